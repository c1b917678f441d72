/** The manifests for Kubernetes: as its API has them, and they fit the image, the routes and each other. */
import assert from "node:assert/strict"
import { spawnSync } from "node:child_process"
import { cpSync } from "node:fs"
import { basename, join } from "node:path"
import test from "node:test"
import { parseAllDocuments } from "yaml"
import { readConfig, settings, version } from "../src/config.ts"
import {
  assertRoute,
  budget,
  container,
  deployment,
  drainSecondsOf,
  filesIn,
  given,
  imageVariables,
  kubernetes,
  kustomization,
  longestStopSeconds,
  manifest,
  root,
  service,
  temporaryFolder,
  userOfImage,
} from "./help/deployment.ts"
import { Namespace } from "./help/kubernetes.ts"
import { readVariables } from "./help/systemd.ts"

test("every manifest is as Kubernetes' API has it, and kustomization.yaml lists them all", () => {
  const { resources } = kustomization()
  manifest("namespace.yaml", Namespace)
  deployment()
  service()
  budget()
  const listed = filesIn(kubernetes).filter(file => file.endsWith(".yaml"))
  assert.deepEqual([...resources, "kustomization.yaml"].sort(), listed.map(file => basename(file)).sort())
  assert.deepEqual(manifest("namespace.yaml", Namespace).metadata.name, kustomization().namespace)
})

test("the service and the disruption budget pick the pods that the deployment makes", () => {
  const { selector, template } = deployment().spec
  assert.deepEqual(selector.matchLabels, template.metadata.labels)
  assert.deepEqual(service().spec.selector, template.metadata.labels)
  assert.deepEqual(budget().spec.selector.matchLabels, template.metadata.labels)
  for (const { labelSelector } of template.spec.topologySpreadConstraints) {
    assert.deepEqual(labelSelector.matchLabels, template.metadata.labels)
  }
  assert.ok(deployment().spec.replicas >= 2)
  assert.ok(budget().spec.maxUnavailable < deployment().spec.replicas)
})

test("the probes ask routes that are there, on the port that the image listens on", () => {
  const { ports, readinessProbe, livenessProbe, startupProbe } = container()
  const [port] = ports
  assert.equal(String(port?.containerPort), imageVariables()["PORT"])
  assert.equal(service().spec.ports[0]?.targetPort, port?.name)
  for (const { httpGet } of [readinessProbe, livenessProbe, startupProbe]) {
    assert.equal(httpGet.port, port?.name)
    assertRoute(httpGet.path)
  }
  assert.equal(readinessProbe.httpGet.path, "/readyz")
  // A database that is away is not mended by a restart.
  assert.equal(livenessProbe.httpGet.path, "/livez")
})

test("a pod that is to go has time to be forgotten by balancers and then to stop in order", () => {
  const { terminationGracePeriodSeconds: grace } = deployment().spec.template.spec
  const { readinessProbe } = container()
  const unnoticed = readinessProbe.periodSeconds * readinessProbe.failureThreshold
  const [literals = []] = kustomization().configMapGenerator.map(config => config.literals)
  const drainSeconds = drainSecondsOf(readVariables(literals.join("\n")).set)
  assert.ok(drainSeconds >= unnoticed)
  assert.ok(grace > drainSeconds + longestStopSeconds())
  const { maxUnavailable, maxSurge } = deployment().spec.strategy.rollingUpdate
  assert.deepEqual([maxUnavailable, maxSurge], [0, 1])
})

test("a pod runs as the image's user, on a root that is read-only, and writes where a volume is", () => {
  const { securityContext: pod, volumes } = deployment().spec.template.spec
  assert.deepEqual([pod.runAsNonRoot, pod.runAsUser, pod.runAsGroup], [true, userOfImage(), userOfImage()])
  const { securityContext: own, volumeMounts } = container()
  assert.deepEqual(own, {
    allowPrivilegeEscalation: false,
    readOnlyRootFilesystem: true,
    capabilities: { drop: ["ALL"] },
  })
  assert.deepEqual(
    volumeMounts.map(({ mountPath }) => mountPath).sort(),
    [imageVariables()["WAYBILL_DATA_DIR"], "/tmp"].sort(),
  )
  assert.deepEqual(
    volumeMounts.map(({ name }) => name),
    volumes.map(({ name }) => name),
  )
})

test("the variables that Kubernetes makes of a service named waybill do not keep Waybill from starting", () => {
  const fromKubernetes = { [`${service().metadata.name.toUpperCase()}_SERVICE_HOST`]: "10.0.0.1" }
  assert.ok("faults" in readConfig({}, fromKubernetes), "they would be harmless: this test has lost its point")
  assert.equal(deployment().spec.template.spec.enableServiceLinks, false)
})

test("a pod gets its settings from what kustomization.yaml makes, secrets as a Secret", () => {
  const { configMapGenerator, secretGenerator, images } = kustomization()
  assert.deepEqual(container().envFrom, [
    { configMapRef: { name: configMapGenerator[0]?.name } },
    { secretRef: { name: secretGenerator[0]?.name } },
  ])
  assert.deepEqual(secretGenerator[0]?.envs, ["secret.env"])
  const secret = Object.values(settings).filter(setting => "secret" in setting)
  const open = given().filter(({ file }) => file.endsWith("kustomization.yaml"))
  assert.deepEqual(
    open.filter(({ name }) => secret.some(({ variable }) => variable === name)),
    [],
  )
  assert.deepEqual(images[0]?.name, container().image)
  assert.equal(images[0]?.newTag, version)
})

const hasKubectl = spawnSync("kubectl", ["version", "--client"]).status === 0

test("kubectl makes the manifests of them", { skip: !hasKubectl && "kubectl is not installed" }, t => {
  const folder = join(temporaryFolder(t), "kubernetes")
  cpSync(join(root, kubernetes), folder, { recursive: true })
  cpSync(join(folder, "secret.env.example"), join(folder, "secret.env"))
  const { status, stdout, stderr } = spawnSync("kubectl", ["kustomize", folder], { encoding: "utf8" })
  assert.equal(status, 0, stderr)
  const made = parseAllDocuments(stdout).map(
    document => document.toJS() as { kind: string; metadata: { namespace?: string } },
  )
  assert.deepEqual(made.map(({ kind }) => kind).sort(), [
    ...["ConfigMap", "Deployment", "Namespace", "PodDisruptionBudget", "Secret", "Service"],
  ])
  assert.deepEqual(
    made.filter(({ kind, metadata }) => kind !== "Namespace" && metadata.namespace !== "waybill"),
    [],
  )
})
