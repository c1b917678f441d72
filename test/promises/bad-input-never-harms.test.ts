/**
 * 100,000 requests over every route, made from the server's own document and then spoilt: no 5xx, no crash, nothing
 * half stored. At least half of them get past parsing, or the fuzzing would test the parser only. Then the same over every
 * route with every kind of credential, where what is told of a failure tells nothing of the inside (API-31).
 */
import assert from "node:assert/strict"
import { randomInt } from "node:crypto"
import { DatabaseSync } from "node:sqlite"
import { test } from "node:test"
import { Pool } from "undici"
import { scopeNames } from "../../src/domain/scope.ts"
import { operationsOf } from "../help/document.ts"
import { Chance, type FuzzRequest, fuzzRequest } from "../help/fuzz.ts"
import { call, startWaybill, temporaryFolder } from "../help/waybill.ts"

const REQUESTS = 100_000
const AT_A_TIME = 24
/** How long every route is tried with every credential, again and again, in ms. */
const CREDENTIALS_MS = 25_000
/** Answers that say that a request could not be read at all, or was not. */
const unread = new Set([400, 413, 414, 415, 429, 431])

test("no nonsense makes Waybill fail, fall over or store half of anything", { timeout: 480_000 }, async t => {
  const seed = randomInt(2 ** 31)
  const dataDir = temporaryFolder(t)
  const waybill = await startWaybill(t, { dataDir })
  t.after(() => waybill.kill("SIGKILL"))
  const chance = new Chance(seed)
  const operations = operationsOf(await call(waybill, "GET", "/openapi.json")).filter(
    // A stream has no end, and revoking keys, or removing the project, would end with our own.
    ({ id, path }) => path !== "/v1/stream" && !["revokeApiKey", "rotateApiKey", "removeProject"].includes(id),
  )
  const ids = await realThings(waybill)
  const pool = new Pool(waybill.url, { connections: AT_A_TIME, pipelining: 1 })
  t.after(() => pool.destroy())
  const statuses = new Map<number, number>()
  const failures: string[] = []
  let left = REQUESTS

  const worker = async (): Promise<void> => {
    while (left-- > 0 && failures.length < 10) {
      const operation = chance.one(operations)
      const request = fuzzRequest(chance, operation, ids)
      const answer = await send(pool, waybill.key, request)
      statuses.set(answer.status, (statuses.get(answer.status) ?? 0) + 1)
      if (answer.status >= 500)
        failures.push(`${request.method} ${request.path} ${shown(request)} → ${answer.status} ${answer.text}`)
      // What was made is taken away again, or each event would go to ever more integrations.
      if (operation.id === "createIntegration" && answer.status === 201) {
        const { id } = JSON.parse(answer.text) as { id: string }
        await send(pool, waybill.key, { method: "DELETE", path: `/v1/integrations/${id}`, headers: {}, body: null })
      }
    }
  }
  await Promise.all(Array.from({ length: AT_A_TIME }, worker))

  const total = [...statuses.values()].reduce((sum, count) => sum + count, 0)
  const past = [...statuses].filter(([status]) => !unread.has(status)).reduce((sum, [, count]) => sum + count, 0)
  const summary = [...statuses].sort(([a], [b]) => a - b).map(([status, count]) => `${status}: ${count}`)
  t.diagnostic(
    `seed ${seed}; ${total} requests, ${Math.round((past / total) * 100)} % past parsing; ${summary.join(", ")}`,
  )
  assert.deepEqual(failures, [], `seed ${seed}`)
  assert.ok(past * 2 >= total, `only ${past} of ${total} got past parsing`)
  assert.equal((await fetch(`${waybill.url}/livez`)).status, 200)
  waybill.kill("SIGTERM")
  assert.equal((await waybill.stopped).code, 0)
  assert.deepEqual(halves(`${dataDir}/waybill.db`), {})
})

test("with no credential does nonsense make it fail, or a refusal tell of its inside", {
  timeout: 120_000,
}, async t => {
  const seed = randomInt(2 ** 31)
  const dataDir = temporaryFolder(t)
  const waybill = await startWaybill(t, { dataDir })
  const chance = new Chance(seed)
  const operations = operationsOf(await call(waybill, "GET", "/openapi.json")).filter(
    ({ path }) => path !== "/v1/stream",
  )
  const { projects: _own, ...ids } = await realThings(waybill)
  const { credentials, spare } = await everyCredential(waybill)
  const pool = new Pool(waybill.url, { connections: AT_A_TIME, pipelining: 1 })
  t.after(() => pool.destroy())
  const failures: string[] = []
  const endAt = performance.now() + CREDENTIALS_MS
  const counts = new Map<number, number>()
  let [sent, rounds] = [0, 0]
  const isOver = () => (rounds > 0 && performance.now() > endAt) || failures.length >= 10
  while (!isOver()) {
    const pairs = operations.flatMap(operation => [...credentials].map(credential => ({ operation, credential })))
    const worker = async (): Promise<void> => {
      for (let pair = pairs.pop(); pair !== undefined && !isOver(); pair = pairs.pop()) {
        const { operation, credential } = pair
        const [name, key] = credential
        const request = fuzzRequest(chance, operation, { ...ids, ...spare })
        const answer = await send(pool, key, request)
        sent++
        counts.set(answer.status, (counts.get(answer.status) ?? 0) + 1)
        const fault = faultOf(answer, dataDir)
        if (fault !== null) {
          failures.push(`${operation.id} with ${name} ${fault}: ${shown(request)} → ${answer.status} ${answer.text}`)
        }
        if (operation.id === "createIntegration" && answer.status === 201) {
          const { id } = JSON.parse(answer.text) as { id: string }
          const path = `/v1/integrations/${id}`
          await send(pool, waybill.key, { method: "DELETE", path, headers: {}, body: null })
        }
      }
    }
    await Promise.all(Array.from({ length: AT_A_TIME }, worker))
    rounds++
  }
  t.diagnostic(
    `seed ${seed}; ${sent} requests in ${rounds} rounds over ${operations.length} operations and ${credentials.size} credentials; ${[...counts].map(([status, n]) => `${status}: ${n}`).join(", ")}`,
  )
  assert.ok((counts.get(200) ?? 0) > 0, "some of it went well")
  assert.deepEqual(failures, [], `seed ${seed}`)
  assert.equal((await fetch(`${waybill.url}/livez`)).status, 200)
  waybill.kill("SIGTERM")
  assert.equal((await waybill.stopped).code, 0)
})

/** Every kind of credential by what it is: null for none. `spare`: ids of keys and projects that may be spoilt. */
async function everyCredential(at: { readonly url: string; readonly key: string }): Promise<{
  readonly credentials: ReadonlyMap<string, string | null>
  readonly spare: Record<string, readonly string[]>
}> {
  interface Made {
    readonly id: string
    readonly key: string
  }
  const make = async (scopes: readonly string[]) =>
    (await call(at, "POST", "/v1/api-keys", { name: scopes.join(" "), scopes })) as Made
  const spareKey = await make(["admin"])
  const revoked = await make(["admin"])
  await call(at, "DELETE", `/v1/api-keys/${revoked.id}`)
  const other = (await call(at, "POST", "/v1/projects", { name: "other" })) as Made
  const credentials = new Map<string, string | null>([
    ["no credential", null],
    ["a wrong key", `${at.key.slice(0, -6)}abcdef`],
    ["no key at all", "' or 1=1 --"],
    ["a revoked key", revoked.key],
    ["a key of another project", other.key],
  ])
  for (const scope of scopeNames) credentials.set(`the scope ${scope}`, (await make([scope])).key)
  return { credentials, spare: { "api-keys": [spareKey.id], projects: [other.id] } }
}

/** What is wrong with an answer to nonsense; null where nothing is. */
function faultOf(answer: { readonly status: number; readonly type: string; readonly text: string }, dataDir: string) {
  const { status, type, text } = answer
  if (status >= 500) return "made it fail"
  if (status < 400) return null
  if (!type.startsWith("application/problem+json")) return `was answered with ${type}`
  const { code, detail, instance } = JSON.parse(text) as Record<string, unknown>
  if (![code, detail, instance].every(member => typeof member === "string")) return "was answered with half a problem"
  const inside = inner.find(pattern => pattern.test(text))
  if (inside !== undefined) return `told of its inside (${inside})`
  return text.includes(dataDir) ? "told where its data lies" : null
}

/** What only the inside of the program says: stacks, its files, SQL and what a database says. */
const inner = [
  /\bat \S+ \(/,
  /node:internal|node_modules/,
  /\.ts:\d/,
  /\b(?:select|insert|update|delete)\b.{0,200}\b(?:from|into|set|where)\b .{0,40}[=(]/i,
  /sqlite|constraint failed|\bpg_/i,
]

/** Something of each kind, so that ids in paths lead somewhere. The ends are at a port where nobody listens. */
async function realThings(at: {
  readonly url: string
  readonly key: string
}): Promise<Record<string, readonly string[]>> {
  const make = async (name: string) => {
    const config = { production: { url: "http://127.0.0.1:9/hook" }, verification: "none" }
    return (await call(at, "POST", "/v1/integrations", { name, config })) as { id: string }
  }
  const integrations = await Promise.all([make("one"), make("two")])
  const event = (await call(at, "POST", "/v1/events", { type: "a.b", data: { amount: 5 }, id: "own-1" })) as {
    id: string
  }
  const projects = (await call(at, "GET", "/v1/projects")) as { data: { id: string }[] }
  const page = (await call(at, "GET", `/v1/deliveries?limit=10`)) as { data: { id: string }[] }
  await call(at, "PUT", "/v1/event-types/a.b", { description: "known" })
  return {
    integrations: integrations.map(({ id }) => id),
    events: [event.id],
    deliveries: page.data.map(({ id }) => id),
    projects: projects.data.map(({ id }) => id),
    "event-types": ["a.b", "c.d"],
  }
}

async function send(pool: Pool, key: string | null, { method, path, headers, body }: FuzzRequest) {
  const answer = await pool.request({
    method: method as "GET",
    path,
    headers: { ...headers, ...(key === null ? {} : { authorization: `Bearer ${key}` }) },
    body,
  })
  return {
    status: answer.statusCode,
    type: String(answer.headers["content-type"] ?? ""),
    text: await answer.body.text(),
  }
}

function shown({ headers, body }: FuzzRequest): string {
  return `${JSON.stringify(headers)} ${String(body).slice(0, 400)}`
}

/** Rows that belong to something that is not there, by what they are; empty when everything is whole. */
function halves(path: string): Record<string, number> {
  const db = new DatabaseSync(path, { readOnly: true })
  const count = (sql: string) => Number(db.prepare(`select count(*) as n from (${sql})`).get()?.["n"])
  const found: Record<string, number> = {
    "integrity faults": db.prepare("pragma integrity_check").get()?.["integrity_check"] === "ok" ? 0 : 1,
    "deliveries without event": count(
      "select 1 from delivery d where not exists (select 1 from event e where e.project_id = d.project_id and e.id = d.event_id)",
    ),
    "own ids without event": count(
      "select 1 from own_id o where not exists (select 1 from event e where e.project_id = o.project_id and e.id = o.event_id)",
    ),
    "events whose targets lack a delivery": count(
      "select 1 from event e, json_each(e.targets) t where not exists (select 1 from delivery d where d.integration_id = t.value and d.event_id = e.id)",
    ),
    "counts that do not add up": count(
      "select 1 from event e where n_open + n_retrying + n_failed + n_delivered > json_array_length(targets)",
    ),
  }
  for (const { id } of db.prepare("select id from part").all()) {
    found[`payloads missing in part ${id}`] = count(
      `select 1 from event e where e.payload_part = ${id} and not exists (select 1 from payload_${id} p where p.event_id = e.id)`,
    )
  }
  db.close()
  return Object.fromEntries(Object.entries(found).filter(([, n]) => n > 0))
}
