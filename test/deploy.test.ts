/**
 * What is in the deployment files fits the program, and itself: settings exist, probes lead to routes, the image is made of what
 * is there, nothing runs as root, and every stop leaves the program the time that it takes. No engine is needed for that.
 */
import assert from "node:assert/strict"
import { spawnSync } from "node:child_process"
import { existsSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import test from "node:test"
import { parse } from "yaml"
import { nodeOptions } from "../scripts/runtime.mjs"
import { MAX_BATCH_BYTES } from "../src/api/ingest-body.ts"
import { timeLimits } from "../src/api/server.ts"
import { readConfig, settings } from "../src/config.ts"
import {
  assertRoute,
  compose,
  drainSecondsOf,
  filesIn,
  given,
  imageVariables,
  kubernetes,
  longestStopSeconds,
  nodes,
  read,
  root,
  secondsOf,
  temporaryFolder,
  unit,
  userOfImage,
  valueIn,
} from "./help/deployment.ts"
import { readVariables } from "./help/systemd.ts"

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
    const drainSeconds = name.startsWith("waybill") ? drainSecondsOf(rest.environment) : 0
    assert.ok(secondsOf(grace) > drainSeconds + longestStopSeconds(), name)
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

test("a node that is to go takes events until the proxy has noticed", () => {
  const text = read("deploy/compose/Caddyfile")
  const unnoticed = secondsOf(valueIn(text, "health_interval")) + secondsOf(valueIn(text, "health_timeout"))
  for (const [name, { environment }] of nodes()) assert.ok(drainSecondsOf(environment) > unnoticed, name)
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
  const { set, shown } = readVariables(read("deploy/systemd/waybill.env.example"))
  const drainSeconds = drainSecondsOf({ ...set, ...shown })
  assert.ok(Number(said?.["TimeoutStopSec"]?.[0]) > drainSeconds + longestStopSeconds())
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
