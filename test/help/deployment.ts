/** The deployment files, read for the tests that hold them against the program and each other. */
import assert from "node:assert/strict"
import { spawn } from "node:child_process"
import { once } from "node:events"
import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs"
import { createServer } from "node:http"
import type { AddressInfo } from "node:net"
import { tmpdir } from "node:os"
import { join } from "node:path"
import type { TestContext } from "node:test"
import type { Static, TSchema } from "typebox"
import { parse } from "yaml"
import { timeLimits } from "../../src/api/server.ts"
import { settings } from "../../src/config.ts"
import { type Instruction, readDockerfile, type Stage, variablesOf } from "./dockerfile.ts"
import { Deployment, DisruptionBudget, faultsOf, Kustomization, Service } from "./kubernetes.ts"
import { readUnit, readVariables } from "./systemd.ts"

export const root = join(import.meta.dirname, "../..")
export const kubernetes = "deploy/kubernetes"

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

export interface Compose {
  readonly services: Readonly<Record<string, ComposeService>>
  readonly networks: Readonly<Record<string, { readonly internal?: boolean }>>
  readonly volumes: Readonly<Record<string, object>>
}

export const compose = (): Compose => parse(read("compose.yaml"), { merge: true }) as Compose
export const nodes = () => Object.entries(compose().services).filter(([, { image }]) => image === "waybill")
export const unit = () => readUnit(read("deploy/systemd/waybill.service"))
export const kustomization = () => manifest("kustomization.yaml", Kustomization)
export const deployment = () => manifest("deployment.yaml", Deployment)
export const service = () => manifest("service.yaml", Service)
export const budget = () => manifest("disruption-budget.yaml", DisruptionBudget)
export const imageStages = () => readDockerfile(read("Dockerfile"))
export const image = () => last(imageStages())
export const imageVariables = () =>
  Object.assign({}, ...allOf(image(), "ENV").map(variablesOf)) as Record<string, string>

/** Every setting that a deployment file gives a value, also where it only shows it behind a `#`. */
export function given(): Given[] {
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
export function manifest<T extends TSchema>(name: string, schema: T): Static<T> {
  const document: unknown = parse(read(`${kubernetes}/${name}`))
  assert.equal(faultsOf(schema, document), "", `${kubernetes}/${name}`)
  return document as Static<T>
}

export function container(): Static<typeof Deployment>["spec"]["template"]["spec"]["containers"][number] {
  const [only, ...others] = deployment().spec.template.spec.containers
  assert.ok(only !== undefined && others.length === 0)
  return only
}

export function userOfImage(): number {
  return Number.parseInt(textOf(image(), "USER"), 10)
}

/** How long balancers have to notice a stop, where these settings say so. */
export function drainSecondsOf(variables: Readonly<Record<string, string>>): number {
  const seconds = variables[settings.drainSeconds.variable]
  assert.ok(seconds !== undefined, `${settings.drainSeconds.variable} is not set`)
  return Number(seconds)
}

/** How long an orderly stop may take after that: a slow client's request, then the requests to integrations. */
export function longestStopSeconds(): number {
  const [, graceMs = ""] = /\bSTOP_GRACE_MS = ([\d_]+)/.exec(read("src/main.ts")) ?? []
  assert.notEqual(graceMs, "")
  return (Number(graceMs.replaceAll("_", "")) + timeLimits.requestMs) / 1_000
}

export function assertRoute(path: string): void {
  const { paths } = JSON.parse(read("docs/reference/openapi.json")) as { paths: Record<string, Record<string, object>> }
  assert.ok(paths[path]?.["get"] !== undefined, `There is no GET ${path}`)
}

export function allOf(stage: Stage, name: string): Instruction[] {
  return stage.instructions.filter(instruction => instruction.name === name)
}

export function textOf(stage: Stage | undefined, name: string): string {
  assert.ok(stage !== undefined)
  return allOf(stage, name)
    .map(({ text }) => text)
    .join(" ")
}

export function sourcesOf({ text }: Instruction): string[] {
  return text.split(/\s+/).slice(0, -1)
}

export function valueIn(caddyfile: string, name: string): string {
  const [, value = ""] = new RegExp(`^\\s*${name} (\\S+)$`, "m").exec(caddyfile) ?? []
  return value
}

export function secondsOf(text: string): number {
  const [, number = "", unitOfTime] = /^(\d+)(s|m)$/.exec(text) ?? []
  assert.notEqual(number, "", `${text} is no time`)
  return Number(number) * (unitOfTime === "m" ? 60 : 1)
}

export function last<T>(list: readonly T[]): T {
  const found = list.at(-1)
  assert.ok(found !== undefined)
  return found
}

export function read(path: string): string {
  return readFileSync(join(root, path), "utf8")
}

/** What git keeps of a folder: what a person filled in beside it is theirs. */
export function filesIn(folder: string): string[] {
  return readdirSync(join(root, folder))
    .filter(name => name !== "secret.env")
    .map(name => `${folder}/${name}`)
}

export function temporaryFolder(t: TestContext): string {
  const folder = mkdtempSync(join(tmpdir(), "waybill-deploy-"))
  t.after(() => rmSync(folder, { recursive: true, force: true }))
  return folder
}

/** A server that answers 200 at /good and 503 elsewhere. */
export async function listen(t: TestContext): Promise<number> {
  const server = createServer((request, response) => response.writeHead(request.url === "/good" ? 200 : 503).end())
  t.after(() => server.close())
  await once(server.listen(0, "127.0.0.1"), "listening")
  return (server.address() as AddressInfo).port
}

/** Runs the container's health check; gives its exit code. */
export async function checkHealth(port: number, path: string): Promise<unknown> {
  const program = join(root, "deploy/container/health.mjs")
  const check = spawn(process.execPath, [program, path], { env: { ...process.env, PORT: String(port) } })
  const [code] = await once(check, "exit")
  return code
}
