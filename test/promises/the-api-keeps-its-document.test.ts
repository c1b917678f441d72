/**
 * Every operation of the OpenAPI document, and every status that it lists for it, is produced here at least once; each
 * answer is held against the document's schemas (test/help/document.ts does so for all other tests as well).
 */
import assert from "node:assert/strict"
import { once } from "node:events"
import { createServer } from "node:http"
import { DatabaseSync } from "node:sqlite"
import { test } from "node:test"
import { parseId } from "../../src/domain/id.ts"
import { askAsPerson, askElsewhere } from "../help/asking-as-a-person.ts"
import { askWithoutEnd } from "../help/asking-without-end.ts"
import { breach, type Operation, operationsOf } from "../help/document.ts"
import { openWaybill, temporaryFolder, testKey } from "../help/waybill.ts"

/** What a request of this test is made of; what is left out is as it should be. */
interface Ask {
  readonly path?: Readonly<Record<string, string>>
  readonly query?: string
  readonly body?: unknown
  readonly text?: string
  readonly contentType?: string
  readonly key?: string | null
  readonly headers?: Readonly<Record<string, string>>
}

const unknownIds: Readonly<Record<string, string>> = { id: "00000000000", name: "no.such.type", code: "none_such" }
const prefixes: readonly [part: string, prefix: string][] = [
  ["/v1/integrations", "int_"],
  ["/v1/events", "evt_"],
  ["/v1/deliveries", "dlv_00000000000"],
  ["/v1/api-keys", "key_"],
  ["/v1/portal-tokens", "key_"],
  ["/v1/projects", "prj_"],
  ["/v1/people", "per_"],
  ["/v1/invitations", "inv_"],
  ["/v1/sessions", "ses_"],
  ["/v1/recoveries", "rec_"],
  ["/v1/erasures", "ers_"],
]

test("every operation and every status of the document happens, and keeps its schema", {
  timeout: 120_000,
}, async t => {
  let now = Date.now()
  const dataDir = temporaryFolder(t)
  const waybill = await openWaybill(t, { dataDir, now: () => now })
  const operations = operationsOf(await (await fetch(`${waybill.url}/openapi.json`)).json())
  const slow = createServer((_request, response) => setTimeout(() => response.end("{}"), 1_500).unref())
  await once(slow.listen(0, "127.0.0.1"), "listening")
  t.after(() => slow.close())
  const slowPort = (slow.address() as { port: number }).port

  const seen = new Set<string>()
  const faults: string[] = []
  const ask = async (
    id: string,
    { path = {}, query = "", body, text, contentType, key, headers }: Ask,
  ): Promise<unknown> => {
    const operation = operationNamed(operations, id)
    const url = waybill.url + operation.path.replace(/\{(\w+)\}/g, (_, name: string) => path[name] ?? "missing") + query
    const abort = new AbortController()
    const sends = text ?? (body === undefined ? undefined : JSON.stringify(body))
    const response = await fetch(url, {
      method: operation.method,
      signal: abort.signal,
      headers: {
        ...(key === null ? {} : { authorization: `Bearer ${key ?? testKey}` }),
        ...(sends === undefined ? {} : { "content-type": contentType ?? "application/json" }),
        ...headers,
      },
      ...(sends === undefined ? {} : { body: sends }),
    })
    seen.add(`${id} ${response.status}`)
    if (response.headers.get("content-type")?.startsWith("text/event-stream")) {
      streams.push(abort)
      // One that is not held on to is ended when it is collected.
      held.push(response)
      return undefined
    }
    const answer = await response.text()
    const media = response.headers.get("content-type") ?? ""
    const fault = breach(operation, response.status, media, answer)
    if (fault !== null) faults.push(fault)
    return answer === "" || !/[/+]json/.test(media) ? undefined : JSON.parse(answer)
  }
  const streams: AbortController[] = []
  const held: Response[] = []
  t.after(() => {
    for (const stream of streams) stream.abort()
  })
  const integration = (port: number, more: object = {}) => ({
    name: "CRM",
    config: { production: { url: `http://127.0.0.1:${port}/hook` }, verification: "none" },
    ...more,
  })

  // All that goes well.
  const made = (await ask("createIntegration", { body: integration(9) })) as { id: string }
  const late = (await ask("createIntegration", { body: integration(slowPort) })) as { id: string }
  const path = { id: made.id }
  await ask("listConnectors", {})
  await ask("listIntegrations", {})
  await ask("getIntegration", { path })
  await ask("changeIntegration", { path, body: { name: "Other" } })
  for (const id of [
    "disableIntegration",
    "enableIntegration",
    "pauseIntegration",
    "resumeIntegration",
    "verifyIntegration",
  ]) {
    await ask(id, { path })
  }
  await ask("rotateSecret", { path, body: {} })
  await ask("readSigningSecrets", { path })
  const asymmetric = { production: { url: "http://127.0.0.1:9/" }, verification: "none", signature: { scheme: "v1a" } }
  const signed = (await ask("createIntegration", { body: integration(9, { config: asymmetric }) })) as { id: string }
  await ask("getJwks", { path: { id: signed.id }, key: null })
  await ask("testIntegration", { path, body: { data: { n: 1 } } })
  await ask("testIntegration", { path, body: { dry_run: true } })
  await ask("tryFilter", { body: { filter: null, integration: made.id } })
  await ask("tryFilter", { body: { filter: null, integration: "int_nobody" } })
  for (const id of [
    "listRevisions",
    "getIntegrationHistory",
    "getIntegrationLogs",
    "listIntegrationEvents",
    "getDiagnosis",
    "listFailures",
    "getReport",
  ]) {
    await ask(id, { path })
  }
  const event = (await ask("sendEvent", { body: { type: "a.b", id: "own", data: { n: 1.0 } } })) as { id: string }
  await ask("sendEvents", { body: { events: [{ type: "a.b" }, { type: "" }] } })
  await ask("listEvents", {})
  await ask("getEvent", { path: { id: event.id } })
  const deliveries = (await ask("listDeliveries", { query: `?integration=${made.id}` })) as { data: { id: string }[] }
  const delivery = { id: deliveries.data[0]?.id ?? "" }
  await ask("getDelivery", { path: delivery })
  const sending = (await ask("listDeliveries", { query: `?integration=${late.id}&status=sending` })) as {
    data: { id: string }[]
  }
  await ask("retryDelivery", { path: { id: sending.data[0]?.id ?? "" } })
  await ask("retryDelivery", { path: delivery })
  // A failed delivery that blocks its ordering key, and one that blocks none.
  const policy = { ordered: true, ordered_on_failure: "stop", retry_delays_ms: [] }
  const ordered = (await ask("createIntegration", { body: integration(9, { policy }) })) as { id: string }
  await ask("sendEvent", { body: { type: "a.b", ordering_key: "a" } })
  let blocking: { id: string }[] = []
  while (blocking.length === 0) {
    const query = `?integration=${ordered.id}&status=failed&ordering_key=a`
    blocking = ((await ask("listDeliveries", { query })) as { data: { id: string }[] }).data
  }
  for (let i = 0; i < 2; i++) await ask("releaseDelivery", { path: { id: blocking[0]?.id ?? "" } })
  for (const id of [
    "listRejections",
    "listEventTypes",
    "listApps",
    "listApiKeys",
    "livez",
    "readyz",
    "metrics",
    "getStatus",
    "listDiagnoses",
  ]) {
    await ask(id, {})
  }
  await ask("putEventType", { path: { name: "a.b" }, body: { schema: { type: "object" }, examples: [{ n: 1 }] } })
  await ask("getEventType", { path: { name: "a.b" } })
  await ask("removeEventType", { path: { name: "a.b" } })
  await ask("putEventType", { path: { name: "c.d" }, body: {} })
  await ask("createApp", { body: { name: "ios" } })
  const portal = (await ask("createPortalToken", { body: { app: "ios" } })) as { id: string; token: string }
  await ask("getPortal", { key: portal.token })
  await ask("revokePortalToken", { path: { id: portal.id } })
  const extra = (await ask("createApiKey", { body: { name: "second" } })) as { id: string }
  await ask("revokeApiKey", { path: { id: extra.id } })
  for (const id of ["changeApiKey", "rotateApiKey"]) await ask(id, { path: { id: extra.id }, body: {} })
  const spare = (await ask("createApiKey", { body: { name: "spare" } })) as { id: string }
  await ask("getApiKey", { path: { id: spare.id } })
  await ask("changeApiKey", { path: { id: spare.id }, body: { name: "kept" } })
  await ask("rotateApiKey", { path: { id: spare.id }, body: {} })
  const projects = (await ask("listProjects", {})) as { data: { id: string }[] }
  const project = { id: projects.data[0]?.id ?? "" }
  await ask("getProject", { path: project })
  await ask("changeProject", { path: project, body: { name: "renamed" } })
  // The only one there is, then one of two.
  await ask("removeProject", { path: project, body: { name: "renamed" } })
  const further = (await ask("createProject", { body: { name: "further" } })) as { id: string; key: string }
  const going = { path: { id: further.id }, body: { name: "further" }, key: further.key }
  const removal = (await ask("removeProject", going)) as { token: string }
  await ask("getRemoval", { path: { token: removal.token } })
  await ask("createProject", { body: { name: "another" } })
  const erasure = (await ask("createErasure", { body: { profile_id: "ada" } })) as { id: string }
  await ask("getErasure", { path: { id: erasure.id } })
  await ask("getProblemType", { path: { code: "invalid" } })
  await ask("getSignIn", { key: null })
  await ask("listRoles", {})
  await ask("listReasons", {})
  await ask("getUsage", {})

  await askConditionally(ask, { integration: made.id, project: project.id, key: spare.id })
  await askAtOnce(ask, seen, integration(9))
  for (const id of ["listAuditLog", "exportAuditLog"]) await ask(id, {})

  const duplicated = (await ask("duplicateToInbox", { path })) as { integration: { id: string } }
  const inbox = { id: duplicated.integration.id }
  await fetch(((await ask("listInboxRequests", { path: inbox })) as { url: string }).url, {
    method: "POST",
    body: "{}",
  })
  await ask("listInboxRequests", { path: inbox })
  await ask("emptyInbox", { path: inbox })

  // What contradicts what is there.
  for (const id of ["listInboxRequests", "emptyInbox"]) await ask(id, { path })
  await ask("duplicateToInbox", { path: inbox })
  spoilSigningKeys(dataDir, signed.id)
  await ask("readSigningSecrets", { path: { id: signed.id } })
  await ask("sendEvent", { body: { type: "a.b", id: "own", data: { n: 2 } } })
  for (let i = 0; i < 10; i++) await ask("rotateSecret", { path, body: { grace_seconds: 600 } })
  const keys = (await ask("listApiKeys", {})) as { data: { id: string; name: string }[] }
  await ask("revokeApiKey", { path: { id: keys.data.find(({ name }) => name === "first key")?.id ?? "" } })
  now += 8 * 86_400_000
  await ask("testIntegration", { path, body: { event: event.id } })
  await ask("getEvent", { path: { id: event.id } })

  // To an integration that is paused a recovery does not end. Each is for an event of its own, or one would take all.
  const unfilled = (await ask("createIntegration", { body: integration(9, { name: "New" }) })) as { id: string }
  const past = ["past.a", "past.b", "past.c"]
  for (const type of past) await ask("sendEvent", { body: { type } })
  const latest = (await ask("createIntegration", { body: integration(9, { name: "Newer" }) })) as { id: string }
  await ask("pauseIntegration", { path: { id: latest.id } })
  const range = { from: new Date(now - 60_000).toISOString(), integrations: latest.id, statuses: ["missing"] }
  await ask("createRecovery", { body: { ...range, dry_run: true } })
  const [running = { id: "" }, paused = { id: "" }, canceled = { id: "" }] = await Promise.all(
    past.map(type => ask("createRecovery", { body: { ...range, event_types: [type] } }) as Promise<{ id: string }>),
  )
  for (const [id, recovery] of [
    ["pauseRecovery", paused],
    ["resumeRecovery", paused],
    ["pauseRecovery", paused],
    ["cancelRecovery", canceled],
    ["resumeRecovery", canceled],
    ["pauseRecovery", canceled],
  ] as const)
    await ask(id, { path: recovery })
  await ask("listRecoveries", {})
  const empty = { ...range, to: new Date(now - 59_000).toISOString() }
  const done = (await ask("createRecovery", { body: empty })) as { id: string }
  for (let state = ""; state !== "done"; ) ({ state } = (await ask("getRecovery", { path: done })) as { state: string })
  await ask("cancelRecovery", { path: done })
  await ask("disableIntegration", { path: unfilled })
  await ask("createRecovery", { body: { ...range, integrations: unfilled.id } })

  const asker = await askAsPerson(waybill, ask, ms => {
    now += ms
  })
  await askElsewhere((id, status) => seen.add(`${id} ${status}`))
  const narrow = (await ask("createApiKey", { body: { name: "narrow", scopes: [] } })) as { key: string }
  const slowly = { name: "once a minute", max_requests_per_minute: 1 }
  const spent = (await ask("createApiKey", { body: slowly })) as { key: string }
  await ask("getStatus", { key: spent.key })
  const framed = (await ask("createPortalToken", { body: { app: "ios" } })) as { id: string; token: string }

  for (const operation of operations) if (isForPeople(operation)) await asker.askWrongly(operation)

  // What is wrong in the same way everywhere.
  for (const operation of operations)
    await askWrongly(operation, { narrow: narrow.key, spent: spent.key, framed: framed.token }, ask)
  for (const id of ["listRevisions", "listIntegrationEvents", "listFailures"])
    await ask(id, { path, query: "?cursor=abc.def" })
  await ask("listInboxRequests", { path: inbox, query: "?cursor=abc.def" })
  // One more than a project may have.
  for (let i = 0; i <= 100; i++) await ask("stream", {})
  await ask("removeIntegration", { path: { id: late.id } })

  // What happens when the database cannot be written, and when the process hangs.
  const rival = new DatabaseSync(`${dataDir}/waybill.db`)
  rival.exec("begin immediate")
  const given = { ...path, name: "c.d" }
  const ofPeople = (template: string) => Object.entries(asker.ids).find(([start]) => template.startsWith(start))?.[1]
  // Together, as each would wait for the lock by itself: those that share a commit wait for it once.
  const refusing = operations.filter(operation => operation.statuses.includes(503))
  const asked = refusing.map(async ({ id, statuses, path: template }) => {
    const ids = template.includes("/projects/")
      ? project
      : template.includes("/deliveries/")
        ? delivery
        : template.includes("/api-keys/")
          ? spare
          : template.includes("/portal-tokens/")
            ? framed
            : template.endsWith("/inbox")
              ? inbox
              : template.includes("/recoveries/")
                ? id === "resumeRecovery"
                  ? paused
                  : running
                : { ...given, id: ofPeople(template) ?? given.id }
    if (statuses.length > 2) await ask(id, { path: ids, ...unavailableBodies(id, integration(9)) })
    else if (id === "readyz") await ask(id, {})
  })
  await Promise.all([...asked, asker.askUnavailable()])
  rival.exec("rollback")
  rival.close()
  block(5_100)
  await ask("livez", {})

  // Requests whose headers never end: all at once, at a server of their own, which does not wait for as long as others do.
  const hurried = { headersMs: 500, requestMs: 1_000, checkMs: 100 }
  const hasty = await openWaybill(t, { dataDir: temporaryFolder(t), timeLimits: hurried })
  const unfinished = operations.map(async operation => {
    const { status, contentType, body } = await askWithoutEnd(hasty.url, operation)
    seen.add(`${operation.id} ${status}`)
    const fault = breach(operation, status, contentType, body)
    if (fault !== null) faults.push(fault)
  })
  await Promise.all(unfinished)

  const missing = operations
    .flatMap(({ id, statuses }) => statuses.map(status => `${id} ${status}`))
    .filter(pair => !seen.has(pair))
  assert.deepEqual(faults, [])
  assert.deepEqual(missing, [])
})

/** Whether a session alone reaches it. */
function isForPeople({ raw }: Operation): boolean {
  const security = (raw["security"] ?? []) as readonly object[]
  return security.length > 0 && security.every(each => "session" in each)
}

/** The mistakes that every operation with such a status answers alike. */
async function askWrongly(
  operation: Operation,
  keys: { readonly narrow: string; readonly spent: string; readonly framed: string },
  ask: (id: string, ask: Ask) => Promise<unknown>,
): Promise<void> {
  const { id, statuses, takesBody, path: template } = operation
  const readsBody = takesBody || operation.method !== "GET"
  const prefix = prefixes.find(([part]) => template.startsWith(part))?.[1] ?? ""
  const unknown = { ...unknownIds, id: prefix + unknownIds["id"] }
  const body = takesBody ? { body: {} } : {}
  if (statuses.includes(401)) await ask(id, { path: unknown, ...body, key: null })
  if (statuses.includes(403)) await ask(id, { path: unknown, ...body, key: keys.narrow })
  // What every key may, a token of the portal may not.
  const isForAny = JSON.stringify(operation.raw["security"] ?? []).includes('"any"')
  if (statuses.includes(403) && isForAny) await ask(id, { path: unknown, ...body, key: keys.framed })
  if (statuses.includes(429)) await ask(id, { path: unknown, ...body, key: keys.spent })
  if (statuses.includes(404))
    await ask(id, { path: unknown, ...(takesBody ? { body: id === "testIntegration" ? {} : { name: "x" } } : {}) })
  if (statuses.includes(404) && id.startsWith("rotate")) await ask(id, { path: unknown, body: {} })
  if (statuses.includes(400))
    await ask(id, { path: unknown, ...(readsBody ? { text: "{" } : { query: "?cursor=abc.def" }) })
  // Refused before anything else is looked at.
  await ask(id, { path: unknown, query: `?long=${"x".repeat(9_000)}` })
  await ask(id, { path: unknown, headers: { "x-long": "x".repeat(17_000) } })
  if (statuses.includes(413)) await ask(id, { path: unknown, text: `{"type":"${"x".repeat(5_300_000)}"}` })
  if (statuses.includes(415)) await ask(id, { path: unknown, text: "{}", contentType: "text/plain" })
  if (statuses.includes(422)) {
    const long = { id: "x".repeat(100), name: "sp ace", code: "x".repeat(100) }
    await ask(id, {
      path: long,
      query: takesBody ? "" : "?limit=0&nonsense=1",
      ...(takesBody ? { body: { nonsense: 1 } } : {}),
    })
  }
}

/** What is read again unchanged, and what is changed by somebody who read it before it was. */
async function askConditionally(
  ask: (id: string, ask: Ask) => Promise<unknown>,
  ids: { readonly integration: string; readonly project: string; readonly key: string },
): Promise<void> {
  const known = [
    { read: "getIntegration", changes: ["changeIntegration", "removeIntegration"], path: { id: ids.integration } },
    { read: "getEventType", changes: ["putEventType", "removeEventType"], path: { name: "c.d" } },
    { read: "getApiKey", changes: ["changeApiKey", "revokeApiKey"], path: { id: ids.key } },
    { read: "getProject", changes: ["changeProject"], path: { id: ids.project } },
  ]
  for (const { read, changes, path } of known) {
    await ask(read, { path, headers: { "if-none-match": "*" } })
    await ask(read, { path, headers: { "if-none-match": "no tag" } })
    for (const id of changes) {
      await ask(id, { path, headers: { "if-match": '"old"' }, ...(id.startsWith("remove") ? {} : { body: {} }) })
    }
  }
}

/** Several at a time with the same Idempotency-Key, until one has come while another was under way. */
async function askAtOnce(
  ask: (id: string, ask: Ask) => Promise<unknown>,
  seen: ReadonlySet<string>,
  integration: object,
): Promise<void> {
  const bodies = { createIntegration: integration, createApp: { name: "at.once" }, createApiKey: { name: "at once" } }
  for (const [id, body] of Object.entries({ ...bodies, createProject: { name: "at once" } })) {
    for (let i = 0; i < 100 && !seen.has(`${id} 409`); i++) {
      const headers = { "idempotency-key": `${id}-${i}` }
      await Promise.all(Array.from({ length: 4 }, () => ask(id, { body, headers })))
    }
  }
}

/** Changes the signing secrets of an integration behind the program's back. */
function spoilSigningKeys(dataDir: string, id: string): void {
  const database = new DatabaseSync(`${dataDir}/waybill.db`, { timeout: 5_000 })
  database.prepare("update signing_key set sealed = 'spoilt' where integration_id = ?").run(parseId("int", id) ?? 0)
  database.close()
}

/** Bodies with which an operation gets as far as the database. */
function unavailableBodies(id: string, integration: object): Ask {
  const bodies: Readonly<Record<string, unknown>> = {
    createIntegration: integration,
    createPortalToken: { app: "ios" },
    changeIntegration: { name: "Third" },
    rotateSecret: {},
    testIntegration: {},
    sendEvent: { type: "a.b" },
    sendEvents: { events: [{ type: "a.b" }] },
    putEventType: {},
    createApp: { name: "android" },
    createApiKey: { name: "third" },
    changeApiKey: { name: "fourth" },
    rotateApiKey: {},
    changeProject: { name: "again" },
    createProject: { name: "one more" },
    createInvitation: { email: "late@shop.example", role: "viewer" },
    changePerson: { role: "viewer" },
    createRecovery: { from: "2026-01-01T00:00:00Z" },
    createErasure: { profile_id: "grace" },
    removeProject: { name: "renamed" },
  }
  return id in bodies ? { body: bodies[id] } : {}
}

function operationNamed(operations: readonly Operation[], id: string): Operation {
  const found = operations.find(operation => operation.id === id)
  if (found === undefined) throw new Error(`There is no operation ${id}.`)
  return found
}

/** Keeps this thread busy, as a bug would. */
function block(ms: number): void {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, ms)
}
