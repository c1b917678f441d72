/**
 * Projects are tenants (API-10): a crawler asks each operation of the OpenAPI document for what belongs to one of two projects,
 * with every kind of credential of the other. An operation that is new falls in by itself, by what its parameters name.
 */
import assert from "node:assert/strict"
import { after, before, describe, test } from "node:test"
import { parseId } from "../../src/domain/id.ts"
import { roleNames, roles, scopeNames } from "../../src/domain/scope.ts"
import { type Operation, operationsOf } from "../help/document.ts"
import { Endpoint } from "../help/endpoint.ts"
import { type FullProject, fillProject, type Kind } from "../help/full-project.ts"
import { items } from "../help/items.ts"
import { join } from "../help/people.ts"
import { type Answer, Program } from "../help/program.ts"
import { rowsOf } from "../help/project-rows.ts"
import { StreamListener } from "../help/stream-listener.ts"

let program: Program
let good: Endpoint
let bad: Endpoint
let operations: readonly Operation[]
let a: FullProject
let b: FullProject
before(async () => {
  program = await Program.open()
  good = await Endpoint.open()
  bad = await Endpoint.open({ status: 404 })
  a = await fillProject(program, "canary-a", { good, bad })
  b = await fillProject(program, "canary-b", { good, bad })
  operations = operationsOf(await (await fetch(`${program.url}/openapi.json`)).json())
})
after(async () => {
  await program[Symbol.asyncDispose]()
  await good.close()
  await bad.close()
})

/** What a parameter in a path names: by the path up to it, or by the whole path where that needs another one. */
const inPaths: Readonly<Record<string, Kind | { readonly why: string }>> = {
  "/v1/integrations/{id}": "integration",
  "/v1/integrations/{id}/inbox": "inbox",
  "/v1/integrations/{id}/resume": "paused integration",
  "/v1/events/{id}": "event",
  "/v1/deliveries/{id}": "delivery",
  "/v1/deliveries/{id}/release": "blocking delivery",
  "/v1/recoveries/{id}": "recovery",
  "/v1/event-types/{name}": "event type",
  "/v1/api-keys/{id}": "key",
  "/v1/portal-tokens/{id}": "key",
  "/v1/projects/{id}": "project",
  "/v1/erasures/{id}": "erasure",
  "/v1/sessions/{id}": "session",
  "/v1/invitations/{id}": "invitation",
  "/v1/people/{id}": "person",
  "/v1/removals/{token}": { why: "the token is the credential, and nobody else has it" },
  "/problems/{code}": { why: "a page for everybody" },
}

/** The same of a parameter in a query. */
const inQueries: Readonly<Record<string, Kind | "text" | { readonly why: string }>> = {
  integration: "integration",
  event: "event",
  recovery: "recovery",
  app: "app",
  type: "event type",
  actor: "key",
  subject: "integration",
  profile_id: "text",
  device_id: "text",
  source_record: "text",
  destination_record: "text",
  external_id: "text",
  ordering_key: "text",
  last_event_id: { why: "a test of its own, with the stream" },
  cursor: { why: "a test of its own" },
  ...Object.fromEntries(
    ["limit", "interval", "from", "to", "format", "environment", "status", "reason", "kind", "outcomes"].map(name => [
      name,
      { why: "names nothing of anybody's" },
    ]),
  ),
}

/** The values of `text` parameters that a full project has. */
const texts: Readonly<Record<string, string>> = {
  profile_id: "profile",
  device_id: "device",
  source_record: "record",
  destination_record: "record",
  external_id: "own",
  ordering_key: "key",
}

/** What is not asked for the other's, and why. */
const ofOnesOwn: Readonly<Record<string, string>> = {
  putEventType: "makes a type of that name in the project that asks: a test of its own",
}

interface Credential {
  readonly name: string
  readonly isPerson: boolean
  /** Whether it may do all that a credential may, so that nothing but the project stands against it. */
  readonly mayAll: boolean
  ask(method: string, path: string, body?: unknown): Promise<Answer>
}

/** Every kind that the other project has: keys with each scope, with those of each role, limited ones, people. */
async function credentialsOfB(): Promise<readonly Credential[]> {
  const key = async (name: string, more: object): Promise<Credential> => {
    const made = await b.call("POST", "/v1/api-keys", { name, ...more })
    const authorization = `Bearer ${made.key}`
    return {
      name: `a key with ${name}`,
      isPerson: false,
      mayAll: false,
      ask: (method, path, body) => program.ask(method, path, body, { authorization }),
    }
  }
  const keys: Credential[] = []
  for (const scope of scopeNames) keys.push(await key(`the scope ${scope}`, { scopes: [scope] }))
  for (const role of roleNames) keys.push(await key(`the scopes of ${role}`, { scopes: [...roles[role].scopes] }))
  keys.push(await key("no scope", { scopes: [] }))
  const limited = { scopes: ["ingest", "events:read", "payloads:read", "replay"] }
  keys.push(await key("an app", { ...limited, app: b.ids.app }))
  keys.push(await key("an environment", { ...limited, environment: "production" }))
  const { token } = await b.call("POST", "/v1/portal-tokens", { app: b.ids.app })
  const authorization = `Bearer ${token}`
  const ask: Credential["ask"] = (method, path, body) => program.ask(method, path, body, { authorization })
  keys.push({ name: "a token of the portal", isPerson: false, mayAll: false, ask })
  const viewer = await join(b.owner, program, "other@canary-b.example", "viewer")
  return [
    { name: "its first key", isPerson: false, mayAll: true, ask: (method, path, body) => b.ask(method, path, body) },
    { name: "its owner", isPerson: true, mayAll: true, ask: (method, path, body) => b.owner.ask(method, path, body) },
    { name: "a viewer", isPerson: true, mayAll: false, ask: (method, path, body) => viewer.ask(method, path, body) },
    ...keys,
  ]
}

interface Schema {
  readonly type?: string
  readonly enum?: readonly unknown[]
  readonly const?: unknown
  readonly anyOf?: readonly Schema[]
  readonly properties?: Readonly<Record<string, Schema>>
  readonly required?: readonly string[]
}

/** A body that the operation takes: what its schema requires, and no more. */
function bodyFor({ takesBody, raw }: Operation): unknown {
  if (!takesBody) return undefined
  const { content } = raw["requestBody"] as { content: Readonly<Record<string, { schema?: Schema }>> }
  const schema = (content["application/json"] ?? Object.values(content)[0])?.schema ?? {}
  return sampleOf(schema)
}

function sampleOf(schema: Schema): unknown {
  if (schema.const !== undefined) return schema.const
  if (schema.enum !== undefined) return schema.enum[0]
  if (schema.anyOf !== undefined) return sampleOf(schema.anyOf[0] ?? {})
  if (schema.type === "object" || schema.properties !== undefined) {
    const { properties = {}, required = [] } = schema
    return Object.fromEntries(required.map(name => [name, sampleOf(properties[name] ?? {})]))
  }
  return schema.type === "integer" || schema.type === "number" ? 1 : schema.type === "boolean" ? true : "x"
}

/** What a parameter of a path names; throws for one that nobody has told about. */
function kindIn({ id, path }: Operation): Kind | { readonly why: string } {
  const upTo = path.slice(0, path.indexOf("}") + 1)
  const kind = inPaths[path] ?? inPaths[upTo]
  assert.ok(
    kind !== undefined,
    `${id} takes ${upTo}, which this test does not know: add to \`inPaths\` what it names, and to test/help/full-project.ts one of it`,
  )
  return kind
}

function namedInQuery({ id, raw }: Operation): readonly (readonly [name: string, kind: Kind | "text"])[] {
  const parameters = (raw["parameters"] ?? []) as readonly { readonly in: string; readonly name: string }[]
  return parameters.flatMap(({ in: place, name }) => {
    if (place !== "query") return []
    const kind = inQueries[name]
    assert.ok(
      kind !== undefined,
      `${id} takes ?${name}=, which this test does not know: add to \`inQueries\` what it names`,
    )
    return typeof kind === "object" ? [] : [[name, kind] as const]
  })
}

/** The text of an answer without what was asked for, which it may say again. */
const without = (text: string, asked: string) => text.replaceAll(asked, "")

/** Whether an answer tells anything of the first project: its mark, or the id of something that was not asked for. */
function tells(text: string, asked: string): boolean {
  const rest = without(text, asked)
  return rest.includes(a.mark) || [...Object.values(a.ids), a.id].some(id => id !== asked && rest.includes(id))
}

const isStream = ({ raw }: Operation) =>
  JSON.stringify((raw["responses"] as Record<string, unknown> | undefined)?.["200"] ?? {}).includes("text/event-stream")

test("every id of one project reads as none with every credential of the other, on every operation", async () => {
  await program.tallied()
  await program.until("nothing of it goes on by itself", async () => {
    return String((await a.call("GET", `/v1/erasures/${a.ids.erasure}`)).state) === "done"
  })
  const rest = await rowsOf(program, parseId("prj", a.id) ?? 0)
  const faults: string[] = []
  let asked = 0
  for (const credential of await credentialsOfB()) {
    for (const operation of operations) {
      if (!operation.path.includes("{") || operation.id in ofOnesOwn) continue
      const kind = kindIn(operation)
      if (typeof kind === "object") continue
      const id = a.ids[kind]
      const answer = await credential.ask(
        operation.method,
        operation.path.replace(/\{\w+\}/, encodeURIComponent(id)),
        bodyFor(operation),
      )
      asked++
      const said = `${operation.id} of ${kind} with ${credential.name}: ${answer.status} ${answer.text.slice(0, 200)}`
      if (tells(answer.text, id)) faults.push(`it tells something: ${said}`)
      const isForPeople = !credential.isPerson && /for people/.test(String(answer.body.detail))
      if (answer.status !== 404 && !(answer.status === 403 && (!credential.mayAll || isForPeople))) faults.push(said)
    }
  }
  assert.deepEqual(faults, [])
  assert.ok(asked > 500, `${asked} requests`)
  assert.deepEqual(await rowsOf(program, parseId("prj", a.id) ?? 0), rest, "and nothing of it was touched")
})

test("no list, search or view of the other project tells of the first, whatever it is asked for", async () => {
  const faults: string[] = []
  for (const operation of operations) {
    if (operation.method !== "GET" || isStream(operation)) continue
    const kind = operation.path.includes("{") ? kindIn(operation) : undefined
    if (typeof kind === "object") continue
    const path = kind === undefined ? operation.path : operation.path.replace(/\{\w+\}/, b.ids[kind])
    const queries: (readonly [query: string, asked: string])[] = [["", "nothing at all"]]
    for (const [name, of] of namedInQuery(operation)) {
      const value = of === "text" ? `${a.mark}-${texts[name]}` : a.ids[of]
      queries.push([`?${name}=${encodeURIComponent(value)}`, value])
    }
    for (const [query, asked] of queries) {
      for (const credential of [b, b.owner]) {
        const { status, text } = await credential.ask("GET", path + query)
        if (tells(text, asked)) faults.push(`${operation.id}${query}: ${status} ${text.slice(0, 300)}`)
      }
    }
  }
  assert.deepEqual(faults, [])
})

test("ids of one project within the body of a request are none of the other's", async () => {
  const from = new Date(program.now - 3_600_000).toISOString()
  const bodies: readonly (readonly [method: string, path: string, body: object])[] = [
    ["POST", "/v1/recoveries", { from, integrations: a.ids.integration }],
    ["POST", "/v1/recoveries", { from, app: a.ids.app }],
    ["POST", "/v1/api-keys", { name: "x", app: a.ids.app }],
    ["POST", `/v1/integrations/${b.ids.integration}/test`, { event: a.ids.event }],
  ]
  for (const [method, path, body] of bodies) {
    const { status, text } = await b.ask(method, path, body)
    assert.ok(status === 404 || status === 422, `${path} ${JSON.stringify(body)}: ${status} ${text}`)
    const asked = String(Object.values(body).find(value => Object.values(a.ids).includes(String(value))))
    assert.equal(tells(text, asked), false, text)
  }
  const moved = await b.owner.ask("PUT", "/v1/session/project", { project: a.id })
  assert.notEqual(moved.status, 200)
  assert.equal((await b.owner.call("GET", "/v1/session")).project?.id ?? b.id, b.id)
})

test("a cursor of one project is refused by the other", async () => {
  const tried: string[] = []
  for (const operation of operations) {
    const parameters = (operation.raw["parameters"] ?? []) as readonly { readonly name: string }[]
    if (operation.method !== "GET" || !parameters.some(({ name }) => name === "cursor")) continue
    const kind = operation.path.includes("{") ? kindIn(operation) : undefined
    if (typeof kind === "object") continue
    const pathOf = ({ ids }: FullProject) =>
      kind === undefined ? operation.path : operation.path.replace(/\{\w+\}/, ids[kind])
    const page = await a.owner.call("GET", `${pathOf(a)}?limit=1`)
    const cursor = page.next_cursor
    if (typeof cursor !== "string") continue
    tried.push(operation.id)
    const there = await a.owner.ask("GET", `${pathOf(a)}?limit=1&cursor=${String(cursor)}`)
    assert.equal(there.status, 200, `${operation.id}: ${there.text}`)
    const refused = await b.owner.ask("GET", `${pathOf(b)}?limit=1&cursor=${String(cursor)}`)
    assert.equal(refused.status, 400, `${operation.id}: ${refused.text}`)
  }
  for (const id of ["listEvents", "listDeliveries", "listIntegrations", "listApiKeys", "listAuditLog", "listPeople"]) {
    assert.ok(tried.includes(id), `${id} gave no cursor: ${tried.join()}`)
  }
})

test("the stream of one project tells nothing of the other, from whatever position", async () => {
  const first = items((await a.call("GET", "/v1/events?limit=1")).data)[0]
  for (const query of [
    "",
    `?last_event_id=${String(first?.id)}`,
    `?integration=${a.ids.integration}`,
    `?app=${a.ids.app}`,
  ]) {
    const opened = await program.ask("GET", `/v1/rejections`, undefined, { authorization: `Bearer ${b.key}` })
    assert.equal(opened.status, 200)
    let stream: StreamListener
    try {
      stream = await StreamListener.open({ url: program.url, key: b.key }, { query })
    } catch {
      // What is named there is none of its own.
      continue
    }
    await a.call("POST", "/v1/events", { type: "canary-a.live", app: a.ids.app, data: { n: a.mark } })
    const own = await b.call("POST", "/v1/events", { type: "live", app: a.ids.app, data: { n: 1 } })
    if (!query.startsWith("?integration")) await stream.find(({ text }) => text.includes(String(own.id)))
    assert.ok(!stream.raw.includes(`${a.mark}.live`), query)
    for (const { text } of stream.messages) assert.equal(tells(text, a.ids.app), false, text)
    stream.close()
  }
})

test("an event type of the same name is each project's own", async () => {
  const path = `/v1/event-types/${a.ids["event type"]}`
  const before = await a.call("GET", path)
  assert.equal((await b.ask("PUT", path, { description: "b's own" })).status, 200)
  assert.equal((await b.ask("DELETE", path)).status, 204)
  assert.deepEqual(await a.call("GET", path), before)
})

test("own ids and idempotency keys of one project mean nothing to the other", async () => {
  const again = { "idempotency-key": "canary-a-call" }
  const event = await b.call("POST", "/v1/events", { type: "paid", id: "canary-a-own" }, again)
  assert.equal(event.duplicate, false)
  assert.notEqual(event.id, a.ids.event)
  const app = await b.ask("POST", "/v1/apps", { name: "fresh-app" }, again)
  assert.deepEqual([app.status, app.headers.get("idempotency-replayed")], [201, null])
})

describe("what one project does to itself does not act on another", () => {
  const sent = async (project: FullProject, count: number, more: object = {}) => {
    const events = Array.from({ length: count }, (_, n) => ({ type: "load", data: { n }, ...more }))
    await project.call("POST", "/v1/events/batch", { events })
  }
  const integrate = async (project: FullProject, url: string, policy: object) => {
    const config = { production: { url }, verification: "none" }
    const made = await project.call("POST", "/v1/integrations", { name: "own", config, policy })
    return String(made.id)
  }
  const delivered = async (project: FullProject, integration: string) =>
    items((await project.call("GET", `/v1/deliveries?integration=${integration}&status=delivered&limit=200`)).data)
      .length

  test("an origin that rests for one is sent to for the other: protection is each lane's", async () => {
    await using shared = await Endpoint.open()
    shared.answer(({ path }) => ({ status: path === "/failing" ? 503 : 200 }))
    const protection = { min_attempts: 4 }
    const policy = { retry_delays_ms: [3_600_000], jitter: 0, max_concurrent: 1, protection }
    const resting = await integrate(a, shared.url("/failing"), policy)
    const sound = await integrate(b, shared.url("/sound"), policy)
    await sent(a, 12)
    await program.until("the origin rests for one", async () =>
      /"state":"open"/.test(JSON.stringify((await a.call("GET", `/v1/integrations/${resting}`)).protection ?? {})),
    )
    await sent(b, 12)
    await program.until("all of the other has arrived", async () => (await delivered(b, sound)) >= 12)
    assert.doesNotMatch(
      JSON.stringify((await b.call("GET", `/v1/integrations/${sound}`)).protection ?? {}),
      /"state":"open"/,
    )
    assert.ok((await delivered(a, resting)) === 0)
  })

  test("rates and budgets of the same name are each project's own", async () => {
    await using receiver = await Endpoint.open()
    receiver.answer(({ path }) =>
      path === "/limited" ? { status: 429, headers: { "retry-after": "3600" } } : { status: 200 },
    )
    const policy = { budget: "crm", max_concurrent: 1, retry_delays_ms: [3_600_000] }
    await integrate(a, receiver.url("/limited"), { ...policy, max_per_second: 1 })
    const free = await integrate(b, receiver.url("/free"), policy)
    await sent(a, 20)
    await program.until("one is asked to wait", async () => receiver.requests.some(({ path }) => path === "/limited"))
    await sent(b, 20)
    await program.until("all of the other has arrived", async () => (await delivered(b, free)) >= 20)
  })

  test("an ordering key that is held for one runs for the other", async () => {
    await using receiver = await Endpoint.open()
    receiver.answer(({ path }) => ({ status: path === "/failing" ? 404 : 200 }))
    const policy = { ordered: true, ordered_on_failure: "stop", retry_delays_ms: [] }
    const held = await integrate(a, receiver.url("/failing"), policy)
    const runs = await integrate(b, receiver.url("/fine"), policy)
    await sent(a, 3, { ordering_key: "same" })
    await sent(b, 3, { ordering_key: "same" })
    await program.until("all of the other has arrived", async () => (await delivered(b, runs)) >= 3)
    const waiting = items((await a.call("GET", `/v1/deliveries?integration=${held}&status=pending`)).data)
    assert.equal(waiting.length, 2)
  })

  test("a quota that one has used up leaves the other all of its own", async () => {
    const quota = await program.call("POST", "/v1/projects", { name: "thrifty", max_requests_per_minute: 1 })
    const as = { authorization: `Bearer ${quota.key}` }
    const first = await program.ask("GET", "/v1/projects", undefined, as)
    const second = await program.ask("GET", "/v1/projects", undefined, as)
    assert.deepEqual([first.status, second.status], [200, 429])
    assert.equal((await b.ask("GET", "/v1/projects")).status, 200)
  })
})
