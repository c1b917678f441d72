/**
 * The part of Kubernetes' API that our manifests use, as schemas that take nothing else: a field that is misspelt or stands
 * one level too high is a fault here, as it is for `kubectl apply --validate=strict`.
 */
import { Ajv2020 } from "ajv/dist/2020.js"
import { type TObject, type TProperties, type TSchema, Type } from "typebox"

const Name = Type.String({ pattern: "^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$" })
const Labels = Type.Record(
  Type.String({ pattern: "^([a-z0-9.-]+/)?[A-Za-z0-9]([\\w.-]{0,61}[A-Za-z0-9])?$" }),
  Type.String({ pattern: "^[A-Za-z0-9]([\\w.-]{0,61}[A-Za-z0-9])?$" }),
)
const Port = Type.Integer({ minimum: 1, maximum: 65_535 })
const Count = Type.Integer({ minimum: 0 })
const Metadata = exactly({ name: Name, namespace: Type.Optional(Name), labels: Type.Optional(Labels) })
const Selector = exactly({ matchLabels: Labels })
const Quantity = Type.String({ pattern: "^\\d+(m|Mi|Gi)?$" })

const Probe = exactly({
  httpGet: exactly({ path: Type.String({ pattern: "^/" }), port: Type.Union([Port, Name]) }),
  periodSeconds: Port,
  timeoutSeconds: Port,
  failureThreshold: Port,
})

const Container = exactly({
  name: Name,
  image: Type.String(),
  args: Type.Array(Type.String()),
  ports: Type.Array(exactly({ name: Name, containerPort: Port })),
  envFrom: Type.Array(
    Type.Union([exactly({ configMapRef: exactly({ name: Name }) }), exactly({ secretRef: exactly({ name: Name }) })]),
  ),
  startupProbe: Probe,
  readinessProbe: Probe,
  livenessProbe: Probe,
  resources: exactly({
    requests: exactly({ cpu: Quantity, memory: Quantity }),
    limits: exactly({ memory: Quantity }),
  }),
  securityContext: exactly({
    allowPrivilegeEscalation: Type.Boolean(),
    readOnlyRootFilesystem: Type.Boolean(),
    capabilities: exactly({ drop: Type.Array(Type.String()) }),
  }),
  volumeMounts: Type.Array(exactly({ name: Name, mountPath: Type.String({ pattern: "^/" }) })),
})

const Pod = exactly({
  enableServiceLinks: Type.Boolean(),
  automountServiceAccountToken: Type.Boolean(),
  terminationGracePeriodSeconds: Count,
  securityContext: exactly({
    runAsNonRoot: Type.Boolean(),
    runAsUser: Count,
    runAsGroup: Count,
    fsGroup: Count,
    seccompProfile: exactly({ type: Type.Enum(["RuntimeDefault", "Unconfined", "Localhost"]) }),
  }),
  topologySpreadConstraints: Type.Array(
    exactly({
      maxSkew: Port,
      topologyKey: Type.String(),
      whenUnsatisfiable: Type.Enum(["ScheduleAnyway", "DoNotSchedule"]),
      labelSelector: Selector,
      matchLabelKeys: Type.Array(Type.String()),
    }),
  ),
  containers: Type.Array(Container, { minItems: 1 }),
  volumes: Type.Array(exactly({ name: Name, emptyDir: exactly({ sizeLimit: Quantity }) })),
})

export const Deployment = kind("apps/v1", "Deployment", {
  metadata: Metadata,
  spec: exactly({
    replicas: Count,
    revisionHistoryLimit: Count,
    minReadySeconds: Count,
    strategy: exactly({
      type: Type.Literal("RollingUpdate"),
      rollingUpdate: exactly({ maxUnavailable: Count, maxSurge: Count }),
    }),
    selector: Selector,
    template: exactly({ metadata: exactly({ labels: Labels }), spec: Pod }),
  }),
})

export const Service = kind("v1", "Service", {
  metadata: Metadata,
  spec: exactly({
    type: Type.Enum(["ClusterIP", "NodePort", "LoadBalancer"]),
    selector: Labels,
    ports: Type.Array(
      exactly({ name: Name, port: Port, targetPort: Type.Union([Port, Name]), protocol: Type.Enum(["TCP", "UDP"]) }),
    ),
  }),
})

export const DisruptionBudget = kind("policy/v1", "PodDisruptionBudget", {
  metadata: Metadata,
  spec: exactly({
    maxUnavailable: Count,
    unhealthyPodEvictionPolicy: Type.Enum(["IfHealthyBudget", "AlwaysAllow"]),
    selector: Selector,
  }),
})

export const Namespace = kind("v1", "Namespace", { metadata: Metadata })

export const Kustomization = kind("kustomize.config.k8s.io/v1beta1", "Kustomization", {
  namespace: Name,
  resources: Type.Array(Type.String()),
  images: Type.Array(exactly({ name: Type.String(), newName: Type.String(), newTag: Type.String() })),
  configMapGenerator: Type.Array(exactly({ name: Name, literals: Type.Array(Type.String({ pattern: "^[A-Z_]+=" })) })),
  secretGenerator: Type.Array(exactly({ name: Name, envs: Type.Array(Type.String()) })),
})

const ajv = new Ajv2020({ allErrors: true, allowUnionTypes: true })

/** What is wrong with a document, a line for each fault; empty where it is as the schema has it. */
export function faultsOf(schema: TSchema, document: unknown): string {
  if (ajv.validate(schema, document)) return ""
  return (ajv.errors ?? [])
    .map(({ instancePath, message, params }) => `${instancePath} ${message} ${JSON.stringify(params)}`)
    .join("\n")
}

function exactly<T extends TProperties>(properties: T): TObject<T> {
  return Type.Object(properties, { additionalProperties: false })
}

function kind<T extends TProperties>(apiVersion: string, name: string, properties: T) {
  return exactly({ apiVersion: Type.Literal(apiVersion), kind: Type.Literal(name), ...properties })
}
