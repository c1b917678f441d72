/**
 * What is in the deployment files fits the program, and itself: settings exist, probes lead to routes, the image is made of what
 * is there, nothing runs as root, and every stop leaves the program the time that it takes. No engine is needed for that.
 */
import assert from "node:assert/strict"
import { spawn, spawnSync } from "node:child_process"
import { once } from "node:events"
import { cpSync, existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { createServer } from "node:http"
import type { AddressInfo } from "node:net"
import { tmpdir } from "node:os"
import { basename, join } from "node:path"
import test, { type TestContext } from "node:test"
import type { Static, TSchema } from "typebox"
import { parse, parseAllDocuments } from "yaml"
import { nodeOptions } from "../scripts/runtime.mjs"
import { MAX_BATCH_BYTES } from "../src/api/ingest-body.ts"
import { timeLimits } from "../src/api/server.ts"
import { readConfig, settings, version } from "../src/config.ts"
import { execForm, type Instruction, letThrough, readDockerfile, type Stage, variablesOf } from "./help/dockerfile.ts"
import { Deployment, DisruptionBudget, faultsOf, Kustomization, Namespace, Service } from "./help/kubernetes.ts"
import { readUnit, readVariables } from "./help/systemd.ts"

const root = join(import.meta.dirname, "..")
const kubernetes = "deploy/kubernetes"

/** A setting as a file gives it, where it is known. */
interface Given {
  readonly file: string
  readonly name: string
  readonly value: string
}

interface ComposeService {
  readonly image: string
  readonly restart: string
  readonly stop_grace_period: string
  readonly healthcheck: { readonly test: readonly string[] }
  readonly environment: Readonly<Record<string, string>>
  readonly depends_on?: Readonly<Record<string, { readonly condition: string }>>
  readonly networks: readonly string[]
  readonly volumes?: readonly string[]
  readonly read_only?: boolean
  readonly tmpfs?: readonly string[]
  readonly ports?: readonly string[]
}

interface Compose {
  readonly services: Readonly<Record<string, ComposeService>>
  readonly networks: Readonly<Record<string, { readonly internal?: boolean }>>
  readonly volumes: Readonly<Record<string, object>>
}

const compose = (): Compose => parse(read("compose.yaml"), { merge: true }) as Compose
const nodes = () => Object.entries(compose().services).filter(([, { image }]) => image === "waybill")
const unit = () => readUnit(read("deploy/systemd/waybill.service"))
const kustomization = () => manifest("kustomization.yaml", Kustomization)
const deployment = () => manifest("deployment.yaml", Deployment)
const service = () => manifest("service.yaml", Service)
const budget = () => manifest("disruption-budget.yaml", DisruptionBudget)
const imageStages = () => readDockerfile(read("Dockerfile"))
const image = () => last(imageStages())
const imageVariables = () => Object.assign({}, ...allOf(image(), "ENV").map(variablesOf)) as Record<string, string>

test("every setting that the deployment files name is in the table of settings", () => {
  const known = Object.values(settings).map(({ variable }) => variable as string)
  const files = [
    ...["Dockerfile", "compose.yaml", ".env.example", "deploy/compose/Caddyfile"],
    ...filesIn("deploy/systemd"),
    ...filesIn(kubernetes),
  ]
  const mentioned = files.flatMap(file =>
    [...read(file).matchAll(/\bWAYBILL_[A-Z_]+\b/g)].map(([name]) => ({ file, name })),
  )
  const named = [...mentioned, ...given()]
  assert.deepEqual(
    named.filter(({ name }) => !known.includes(name)),
    [],
  )
  for (const file of [
    "Dockerfile",
    "compose.yaml",
    "deploy/systemd/waybill.service",
    `${kubernetes}/kustomization.yaml`,
  ]) {
    assert.ok(
      named.some(other => other.file === file),
      `${file} names no setting`,
    )
  }
})

test("the values that the deployment files give to settings are taken", () => {
  // A URL of PostgreSQL is judged by the store's tests; the values that a person fills in are not there yet.
  const own = given().filter(({ name, value }) => !/\$\{|^$|CHANGE-ME/.test(value) && name !== "DATABASE_URL")
  assert.ok(own.length > 0)
  for (const { file, name, value } of own) {
    const reading = readConfig({}, { [name]: value })
    assert.ok("config" in reading, `${file} has ${name}=${value}: ${"faults" in reading && reading.faults.join(" ")}`)
  }
})

test("Waybill does not start with what stands in the templates in place of secrets", () => {
  const { set } = readVariables(read(`${kubernetes}/secret.env.example`))
  for (const name of ["WAYBILL_SECRET_KEY", "WAYBILL_API_KEY"]) {
    assert.ok("faults" in readConfig({}, { [name]: set[name] }), name)
  }
  assert.match(set["DATABASE_URL"] ?? "", /CHANGE-ME/)
  const ignored = read(".gitignore").split("\n")
  assert.ok(ignored.includes(".env") && ignored.includes("secret.env"), "git would keep what is filled in")
})

test("the image is made of files that are there, and of no others", () => {
  const stages = imageStages()
  const through = letThrough(read(".dockerignore"))
  const copies = stages.flatMap(stage => allOf(stage, "COPY"))
  const fromTree = copies.filter(({ flags }) => flags["from"] === undefined).flatMap(sourcesOf)
  assert.deepEqual([...new Set(fromTree)].sort(), [...through].sort())
  assert.deepEqual(
    fromTree.filter(path => !existsSync(join(root, path))),
    [],
  )
  for (const [i, stage] of stages.entries()) {
    const before = stages.slice(0, i).map(({ name }) => name)
    const named = [...allOf(stage, "COPY").map(({ flags }) => flags["from"])].filter(name => name !== undefined)
    assert.deepEqual(
      named.filter(name => !before.includes(name)),
      [],
    )
  }
})

test("the image holds what the build makes and the dependencies that it runs with, at the pinned versions", () => {
  const stages = imageStages()
  const copies = allOf(last(stages), "COPY").map(copy => ({ from: copy.flags["from"], sources: sourcesOf(copy) }))
  assert.ok(copies.some(({ from, sources }) => from === "built" && sources.includes("/build/dist")))
  assert.ok(copies.some(({ from, sources }) => from === "needed" && sources.includes("/build/node_modules")))
  assert.ok(copies.some(({ from, sources }) => from === "needed" && sources.includes("/build/node")))
  const needed = stages.find(({ name }) => name === "needed")
  assert.match(
    textOf(needed, "RUN"),
    /\bnpm ci\b.* --omit=dev --include=optional\b.*node_modules\/node-linux-\*\/bin\/node /,
  )
  assert.match(
    textOf(
      stages.find(({ name }) => name === "built"),
      "RUN",
    ),
    /\bnpm run build\b/,
  )
  assert.ok(existsSync(join(root, "src/cli.ts")), "cli.js is what the image starts")
})

test("the image runs as a user that is not root and keeps its data in a volume of that user's", () => {
  const [user] = allOf(image(), "USER")
  const [, uid = "", gid = ""] = /^(\d+):(\d+)$/.exec(user?.text ?? "") ?? []
  assert.ok(Number(uid) > 0 && Number(gid) > 0, `USER ${user?.text}`)
  const setUp = textOf(image(), "RUN")
  assert.match(setUp, new RegExp(`useradd --uid ${uid} --gid ${gid} `))
  const { WAYBILL_DATA_DIR: folder = "", PORT: port, HOST: host = "" } = imageVariables()
  assert.match(setUp, new RegExp(`install -d -o waybill -g waybill -m 0700 ${folder} `))
  assert.deepEqual(allOf(image(), "VOLUME").flatMap(execForm), [folder])
  assert.equal(textOf(image(), "EXPOSE"), port)
  assert.equal(host, "0.0.0.0")
})

test("signals to the container reach the program: Node is started by itself, as `npm start` starts it", () => {
  const [entry, ...entries] = allOf(image(), "ENTRYPOINT").map(execForm)
  const [command, ...commands] = allOf(image(), "CMD").map(execForm)
  assert.deepEqual([entries, commands], [[], []])
  assert.deepEqual(entry, ["node", ...nodeOptions, "/opt/waybill/cli.js"])
  assert.deepEqual(command, ["serve"])
})

test("the container's health check asks a route that is there, in a program that tells good from bad", async t => {
  const [check] = allOf(image(), "HEALTHCHECK")
  const [, exec = ""] = /CMD (\[.*\])$/.exec(check?.text ?? "") ?? []
  assert.deepEqual(JSON.parse(exec), ["node", "/opt/waybill/health.mjs", "/livez"])
  assertRoute("/livez")

  const port = await listen(t)
  assert.equal(await checkHealth(port, "/good"), 0)
  assert.equal(await checkHealth(port, "/bad"), 1)
  assert.equal(await checkHealth(1, "/good"), 1)
})

test("Compose asks for nothing that .env.example does not name, and .env.example for nothing that it does not use", () => {
  const found = [...read("compose.yaml").matchAll(/\$\{(\w+)(:[?-])?([^}]*)\}/g)]
  const asked = found.map(([, name = "", kind = "", fallback = ""]) => ({ name, kind, fallback }))
  const { set } = readVariables(read(".env.example"))
  assert.deepEqual([...new Set(asked.map(({ name }) => name))].sort(), Object.keys(set).sort())
  for (const { name, kind, fallback } of asked) {
    if (kind === ":?") assert.equal(set[name], "", `${name} has to be filled in, so it must be empty`)
    else assert.equal(set[name], fallback, name)
  }
  const secrets = Object.values(settings).filter(setting => "secret" in setting && setting.variable in set)
  assert.ok(secrets.length > 0)
  for (const { variable } of secrets) assert.equal(set[variable], "", `${variable} is a secret`)
})

test("every service of Compose says when it is healthy, comes back by itself and has time to stop", () => {
  const { services, networks, volumes } = compose()
  assert.deepEqual(Object.keys(services).sort(), ["postgres", "proxy", "waybill-1", "waybill-2"])
  for (const [name, { healthcheck, restart, stop_grace_period: grace, ...rest }] of Object.entries(services)) {
    assert.equal(healthcheck.test[0], "CMD", name)
    assert.equal(restart, "unless-stopped", name)
    assert.ok(secondsOf(grace) > longestStopSeconds(), name)
    for (const network of rest.networks) assert.ok(network in networks, `${name}: ${network}`)
    for (const [other] of Object.entries(rest.depends_on ?? {})) assert.ok(other in services, `${name}: ${other}`)
    for (const volume of rest.volumes ?? []) {
      const [from = ""] = volume.split(":")
      assert.ok(from.startsWith("./") ? existsSync(join(root, from)) : from in volumes, `${name}: ${volume}`)
    }
  }
})

test("the nodes of Compose are equal, share PostgreSQL and their key, and wait for it", () => {
  const [[, first] = [], [, second] = [], ...more] = nodes()
  assert.ok(first !== undefined && second !== undefined && more.length === 0)
  assert.deepEqual(first, second)
  assert.match(first.environment["DATABASE_URL"] ?? "", /@postgres:5432\//)
  assert.match(first.environment["WAYBILL_SECRET_KEY"] ?? "", /^\$\{WAYBILL_SECRET_KEY:\?/)
  assert.equal(first.depends_on?.["postgres"]?.condition, "service_healthy")
  assert.deepEqual(first.healthcheck.test, ["CMD", "node", "/opt/waybill/health.mjs", "/readyz"])
  assertRoute("/readyz")
  assert.equal(first.read_only, true)
  const { WAYBILL_DATA_DIR: folder = "" } = imageVariables()
  assert.ok(first.tmpfs?.some(path => path.startsWith(`${folder}:uid=${userOfImage()},`)))
})

test("PostgreSQL is reached by the nodes alone, and only the proxy from outside", () => {
  const { services, networks } = compose()
  assert.equal(networks["database"]?.internal, true)
  assert.deepEqual(services["postgres"]?.networks, ["database"])
  assert.ok(!services["proxy"]?.networks.includes("database"))
  assert.deepEqual(
    Object.keys(services).filter(name => services[name]?.ports !== undefined),
    ["proxy"],
  )
})

test("the proxy asks both nodes whether they take events, lets everything pass that Waybill takes, and cuts no stream", () => {
  const text = read("deploy/compose/Caddyfile").replace(/^\s*#.*$/gm, "")
  const [, upstreams = ""] = /^\s*reverse_proxy (.*) \{$/m.exec(text) ?? []
  const { PORT: port } = imageVariables()
  assert.deepEqual(
    upstreams.split(" "),
    nodes().map(([name]) => `${name}:${port}`),
  )
  assertRoute(valueIn(text, "health_uri"))
  const [, mebibytes] = /^(\d+)MiB$/.exec(valueIn(text, "max_size")) ?? []
  assert.ok(Number(mebibytes) * 1_048_576 > MAX_BATCH_BYTES)
  assert.equal(valueIn(text, "flush_interval"), "-1")
  assert.doesNotMatch(text, /^\s*(write|stream_timeout)\b/m)
  // What may have been taken already goes to the other node only where that harms nothing.
  const repeated = [...text.matchAll(/lb_retry_match \{\s*(.*?)\s*\}/g)].map(([, match]) => match)
  assert.deepEqual(repeated, ["method GET HEAD", "header Idempotency-Key *"])
  assert.equal(secondsOf(valueIn(text, "read_body")) * 1_000, timeLimits.requestMs)
  assert.equal(secondsOf(valueIn(text, "read_header")) * 1_000, timeLimits.headersMs)
  assert.equal(text.split("{").length, text.split("}").length)
})

test("systemd starts the pinned Node as `npm start` does, with the data folder that it lets it write to", () => {
  const { Service: said, Install } = unit()
  assert.deepEqual(said?.["ExecStart"], [`/opt/waybill/node ${nodeOptions.join(" ")} /opt/waybill/cli.js serve`])
  const [, folder = ""] = /^WAYBILL_DATA_DIR=(.*)$/.exec(said?.["Environment"]?.[0] ?? "") ?? []
  assert.equal(folder, `/var/lib/${said?.["StateDirectory"]?.[0]}`)
  assert.deepEqual(said?.["ReadWritePaths"], [folder])
  assert.deepEqual(Install?.["WantedBy"], ["multi-user.target"])
  assert.match(read("deploy/systemd/waybill.sysusers.conf"), new RegExp(`^u ${said?.["User"]?.[0]} `, "m"))
})

test("systemd keeps Waybill within bounds, gives it time to stop, and starts it again after a fault", () => {
  const { Service: said } = unit()
  const bounds = { ProtectSystem: "strict", ProtectHome: "yes", NoNewPrivileges: "yes", CapabilityBoundingSet: "" }
  for (const [key, value] of Object.entries(bounds)) assert.deepEqual(said?.[key], [value], key)
  assert.ok(Number(said?.["TimeoutStopSec"]?.[0]) > longestStopSeconds())
  assert.deepEqual(said?.["Restart"], ["on-failure"])
  assert.equal(said?.["MemoryDenyWriteExecute"], undefined)
})

const hasSystemd = spawnSync("systemd-analyze", ["--version"]).status === 0

test("systemd itself finds no fault with the unit", { skip: !hasSystemd && "systemd is not installed" }, t => {
  const folder = temporaryFolder(t)
  const path = join(folder, "waybill.service")
  // It looks for the program, which is not installed here.
  writeFileSync(path, read("deploy/systemd/waybill.service").replace("/opt/waybill/node ", `${process.execPath} `))
  const { stderr, error } = spawnSync("systemd-analyze", ["verify", "--man=no", path], { encoding: "utf8" })
  assert.equal(error, undefined)
  // What it says of the machine's other units is not ours.
  const said = stderr.split("\n").filter(line => line.includes("waybill.service"))
  assert.deepEqual(said, [])
})

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
  const { readinessProbe, lifecycle } = container()
  const unnoticed = readinessProbe.periodSeconds * readinessProbe.failureThreshold
  assert.ok(lifecycle.preStop.sleep.seconds >= unnoticed)
  assert.ok(grace > lifecycle.preStop.sleep.seconds + longestStopSeconds())
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

test("what docs/deploy.md names is there, and its YAML is YAML", () => {
  const guide = read("docs/deploy.md")
  const named = [...guide.matchAll(/(?<![\w/])deploy\/[\w./-]*[\w/]/g)].map(([path]) => path)
  assert.ok(named.length > 0)
  assert.deepEqual(
    named.filter(path => !existsSync(join(root, path))),
    [],
  )
  const blocks = [...guide.matchAll(/```yaml\n([\s\S]*?)```/g)].map(([, block = ""]) => block)
  assert.ok(blocks.length > 0)
  for (const block of blocks) assert.equal(typeof (parse(block) as { kind: unknown }).kind, "string")
  const services = Object.keys(compose().services)
  const used = [...guide.matchAll(/docker compose (?:exec|up)(?: -\S+| -T)* ([a-z][\w-]*)/g)].map(
    ([, name = ""]) => name,
  )
  assert.ok(used.length > 0)
  assert.deepEqual(
    used.filter(name => !services.includes(name)),
    [],
  )
})

/** Every setting that a deployment file gives a value, also where it only shows it behind a `#`. */
function given(): Given[] {
  const of = (file: string, variables: Readonly<Record<string, string>>): Given[] =>
    Object.entries(variables).map(([name, value]) => ({ file, name, value }))
  const [example, secret] = ["deploy/systemd/waybill.env.example", `${kubernetes}/secret.env.example`]
  const { set, shown } = readVariables(read(example))
  const environment = unit()["Service"]?.["Environment"] ?? []
  const { configMapGenerator } = kustomization()
  return [
    ...of("Dockerfile", imageVariables()),
    ...nodes().flatMap(([, node]) => of("compose.yaml", node.environment)),
    ...of("deploy/systemd/waybill.service", readVariables(environment.join("\n")).set),
    ...of(example, { ...set, ...shown }),
    ...of(secret, readVariables(read(secret)).set),
    ...configMapGenerator.flatMap(({ literals }) =>
      of(`${kubernetes}/kustomization.yaml`, readVariables(literals.join("\n")).set),
    ),
  ]
}

/** A manifest, after it has been held against its schema. */
function manifest<T extends TSchema>(name: string, schema: T): Static<T> {
  const document: unknown = parse(read(`${kubernetes}/${name}`))
  assert.equal(faultsOf(schema, document), "", `${kubernetes}/${name}`)
  return document as Static<T>
}

function container(): Static<typeof Deployment>["spec"]["template"]["spec"]["containers"][number] {
  const [only, ...others] = deployment().spec.template.spec.containers
  assert.ok(only !== undefined && others.length === 0)
  return only
}

function userOfImage(): number {
  return Number.parseInt(textOf(image(), "USER"), 10)
}

/** How long an orderly stop may take: a slow client's request, then the requests to integrations. */
function longestStopSeconds(): number {
  const [, graceMs = ""] = /\bSTOP_GRACE_MS = ([\d_]+)/.exec(read("src/main.ts")) ?? []
  assert.notEqual(graceMs, "")
  return (Number(graceMs.replaceAll("_", "")) + timeLimits.requestMs) / 1_000
}

function assertRoute(path: string): void {
  const { paths } = JSON.parse(read("docs/reference/openapi.json")) as { paths: Record<string, Record<string, object>> }
  assert.ok(paths[path]?.["get"] !== undefined, `There is no GET ${path}`)
}

function allOf(stage: Stage, name: string): Instruction[] {
  return stage.instructions.filter(instruction => instruction.name === name)
}

function textOf(stage: Stage | undefined, name: string): string {
  assert.ok(stage !== undefined)
  return allOf(stage, name)
    .map(({ text }) => text)
    .join(" ")
}

function sourcesOf({ text }: Instruction): string[] {
  return text.split(/\s+/).slice(0, -1)
}

function valueIn(caddyfile: string, name: string): string {
  const [, value = ""] = new RegExp(`^\\s*${name} (\\S+)$`, "m").exec(caddyfile) ?? []
  return value
}

function secondsOf(text: string): number {
  const [, number = "", unitOfTime] = /^(\d+)(s|m)$/.exec(text) ?? []
  assert.notEqual(number, "", `${text} is no time`)
  return Number(number) * (unitOfTime === "m" ? 60 : 1)
}

function last<T>(list: readonly T[]): T {
  const found = list.at(-1)
  assert.ok(found !== undefined)
  return found
}

function read(path: string): string {
  return readFileSync(join(root, path), "utf8")
}

/** What git keeps of a folder: what a person filled in beside it is theirs. */
function filesIn(folder: string): string[] {
  return readdirSync(join(root, folder))
    .filter(name => name !== "secret.env")
    .map(name => `${folder}/${name}`)
}

function temporaryFolder(t: TestContext): string {
  const folder = mkdtempSync(join(tmpdir(), "waybill-deploy-"))
  t.after(() => rmSync(folder, { recursive: true, force: true }))
  return folder
}

/** A server that answers 200 at /good and 503 elsewhere. */
async function listen(t: TestContext): Promise<number> {
  const server = createServer((request, response) => response.writeHead(request.url === "/good" ? 200 : 503).end())
  t.after(() => server.close())
  await once(server.listen(0, "127.0.0.1"), "listening")
  return (server.address() as AddressInfo).port
}

/** Runs the container's health check; gives its exit code. */
async function checkHealth(port: number, path: string): Promise<unknown> {
  const program = join(root, "deploy/container/health.mjs")
  const check = spawn(process.execPath, [program, path], { env: { ...process.env, PORT: String(port) } })
  const [code] = await once(check, "exit")
  return code
}
