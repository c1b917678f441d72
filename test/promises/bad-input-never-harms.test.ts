/**
 * 100,000 requests over every route, made from the server's own document and then spoilt: no 5xx, no crash, nothing
 * half stored. At least half of them get past parsing, or the fuzzing would test the parser only.
 */
import assert from "node:assert/strict"
import { randomInt } from "node:crypto"
import { DatabaseSync } from "node:sqlite"
import { test } from "node:test"
import { Pool } from "undici"
import { operationsOf } from "../help/document.ts"
import { Chance, type FuzzRequest, fuzzRequest } from "../help/fuzz.ts"
import { call, startWaybill, temporaryFolder } from "../help/waybill.ts"

const REQUESTS = 100_000
const AT_A_TIME = 24
/** Answers that say that a request could not be read at all. */
const unread = new Set([400, 413, 414, 415, 431])

test("no nonsense makes Waybill fail, fall over or store half of anything", { timeout: 240_000 }, async t => {
  const seed = randomInt(2 ** 31)
  const dataDir = temporaryFolder(t)
  const waybill = await startWaybill(t, { dataDir })
  t.after(() => waybill.kill("SIGKILL"))
  const chance = new Chance(seed)
  const operations = operationsOf(await call(waybill, "GET", "/openapi.json")).filter(
    // A stream has no end, and revoking keys would end with our own.
    ({ id, path }) => path !== "/v1/stream" && id !== "revokeApiKey",
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

async function send(pool: Pool, key: string, { method, path, headers, body }: FuzzRequest) {
  const { statusCode, body: answer } = await pool.request({
    method: method as "GET",
    path,
    headers: { ...headers, authorization: `Bearer ${key}` },
    body,
  })
  return { status: statusCode, text: await answer.text() }
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
