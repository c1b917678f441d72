/** The audit log: one entry for each call that changes something, with who, from where, before and after, and no secret. */
import assert from "node:assert/strict"
import { describe, test } from "node:test"
import { changingCalls } from "../help/changing-calls.ts"
import { type Operation, operationsOf } from "../help/document.ts"
import { Endpoint } from "../help/endpoint.ts"
import { items } from "../help/items.ts"
import { MailServer } from "../help/mail-server.ts"
import { setUp } from "../help/people.ts"
import { Program } from "../help/program.ts"

interface Row {
  readonly id: number
  readonly kind: string
  readonly by_kind: string
  readonly request: string | null
}

const rowsOf = (program: Program) =>
  program.rows<Row>("select id, kind, by_kind, request from change where by_kind <> 'waybill' order by id")

/** Operations that may change something, without those that say why they leave no entry. */
async function changingOperations(program: Program): Promise<Operation[]> {
  const operations = operationsOf(await program.call("GET", "/openapi.json"))
  return operations.filter(({ method, raw }) => method !== "GET" && raw["x-unaudited"] === undefined)
}

const addressOf = ({ path }: Operation, names: Readonly<Record<string, string>>) =>
  path.replace(/\{(\w+)\}/g, (_, name: string) => names[name] ?? "missing")

describe("the audit log", () => {
  test("has exactly one entry for each call that changes something, whichever operation it is", async () => {
    await using mail = await MailServer.open()
    await using program = await Program.open({ settings: { smtpUrl: `smtp://127.0.0.1:${mail.port}` } })
    await using good = await Endpoint.open()
    await using bad = await Endpoint.open({ status: 500 })
    const operations = await changingOperations(program)
    const faults: string[] = []
    let ada: ReturnType<typeof setUp> | undefined
    const owner = () => {
      ada ??= setUp(program)
      return ada
    }
    for (const operation of operations) {
      const { id, method } = operation
      const make = changingCalls[id]
      if (make === undefined) {
        faults.push(
          `${id} has no call in test/help/changing-calls.ts: add one that succeeds and changes something; or, if it changes nothing that is to be audited, say why in its route's config (\`unaudited\`).`,
        )
        continue
      }
      const { path = {}, body, headers = {}, browser = program } = await make({ program, good, bad, mail, owner })
      const last = (await rowsOf(program)).at(-1)?.id ?? 0
      const answer = await browser.ask(method, addressOf(operation, path), body, headers)
      if (answer.status >= 300) faults.push(`${id} was answered with ${answer.status}: ${answer.text}`)
      const made = (await rowsOf(program)).filter(row => row.id > last)
      const request = answer.headers.get("x-request-id")
      if (made.length !== 1 || made[0]?.request !== request) {
        faults.push(`${id} left ${JSON.stringify(made)} in the audit log, not one entry of the request ${request}.`)
      }
    }
    assert.deepEqual(faults, [])
    const known = new Set(operations.map(({ id }) => id))
    assert.deepEqual(
      Object.keys(changingCalls).filter(id => !known.has(id)),
      [],
      "calls of operations that are gone",
    )
    const entries = await program.rows<{ all_of_it: string }>(
      "select facts || coalesce(before, '') || coalesce(after, '') as all_of_it from change",
    )
    assert.ok(entries.length > operations.length)
    for (const { all_of_it: text } of entries) assert.doesNotMatch(text, /canary|whsec_\w|wb_(?:live|test)_\w{20}/)
  })

  test("has no entry for a call that is refused", async () => {
    await using program = await Program.open()
    const { id, name, code } = { id: "00000000000", name: "sp ace", code: "none" }
    const { key } = await program.call("POST", "/v1/api-keys", { name: "reader", scopes: ["events:read"] })
    const before = (await rowsOf(program)).length
    for (const operation of await changingOperations(program)) {
      // What asks for nothing has nothing wrong with it but who asks.
      const isPlain = !operation.takesBody && !operation.path.includes("{")
      const headers = isPlain ? { authorization: `Bearer ${key}` } : {}
      const address = addressOf(operation, { id, name, code })
      const answer = await program.ask(operation.method, address, { nonsense: 1 }, headers)
      assert.ok(answer.status >= 400, `${operation.id} was answered with ${answer.status}`)
    }
    assert.deepEqual((await rowsOf(program)).slice(before), [])
  })

  test("says who, when, from where, and what it was before and after, without the secrets", async () => {
    await using program = await Program.open()
    const made = await program.call("POST", "/v1/integrations", {
      name: "CRM",
      config: {
        production: { url: "http://127.0.0.1:9/a", authorization: "Bearer first-secret" },
        verification: "none",
      },
    })
    const path = `/v1/integrations/${made.id}`
    program.turn(60_000)
    const patch = { name: "Billing", config: { production: { authorization: "Bearer second-secret" } } }
    const changed = await program.ask("PATCH", path, patch, { "user-agent": "Editor/1.0", "x-request-id": "mine-1" })
    assert.equal(changed.status, 200)
    const { data } = await program.call("GET", `/v1/audit-log?subject=${made.id}`)
    const [entry, created] = items(data)
    assert.equal(entry?.kind, "integration.updated")
    assert.equal(entry?.at, new Date(program.now).toISOString())
    assert.deepEqual(entry?.from, { address: "127.0.0.1", agent: "Editor/1.0", request: "mine-1" })
    const key = (await program.call("GET", "/v1/api-keys")).data?.[0]?.id
    assert.deepEqual(entry?.by, { kind: "api_key", id: key })
    assert.deepEqual(entry?.facts, { revision: 2, secrets_changed: ["/config/production/authorization"] })
    assert.deepEqual([entry?.before?.name, entry?.after?.name], ["CRM", "Billing"])
    for (const side of [entry?.before, entry?.after]) {
      assert.deepEqual(side?.config?.production?.authorization, { set: true })
    }
    assert.equal(created?.kind, "integration.created")
    assert.deepEqual([created?.before, created?.after?.name], [null, "CRM"])
    assert.doesNotMatch(JSON.stringify(data), /-secret/)
  })

  test("what follows by itself is Waybill's doing, and comes from nowhere", async () => {
    await using program = await Program.open()
    await using good = await Endpoint.open()
    await program.integrate(good.url(), { config: { verification: "json" } })
    const { data } = await program.call("GET", "/v1/audit-log?actor=verification")
    const [entry] = items(data)
    assert.deepEqual([entry?.kind, entry?.by?.kind, entry?.from], ["verification.passed", "waybill", null])
  })

  test("is narrowed by actor, kind, subject and time, page by page, newest first", async () => {
    await using program = await Program.open()
    const from = new Date(program.now + 60_000).toISOString()
    await program.call("POST", "/v1/apps", { name: "early" })
    program.turn(120_000)
    for (const name of ["a", "b", "c"]) await program.call("PUT", `/v1/event-types/${name}`, {})
    await program.call("PUT", "/v1/event-types/a", { description: "changed" })
    const kinds = async (query: string) =>
      items((await program.call("GET", `/v1/audit-log?${query}`)).data).map(({ kind, subject }) => `${kind} ${subject}`)
    assert.deepEqual(await kinds("subject=a"), ["event_type.updated a", "event_type.created a"])
    assert.deepEqual(
      await kinds("kind=event_type.created"),
      ["c", "b", "a"].map(name => `event_type.created ${name}`),
    )
    assert.equal((await kinds(`from=${from}`)).length, 4)
    assert.deepEqual(await kinds(`from=${from}&to=${from.replace("10:01", "10:02")}`), [])
    const key = (await program.call("GET", "/v1/api-keys")).data?.[0]?.id
    assert.equal((await kinds(`actor=${key}`)).length, 5)
    const all = await kinds("limit=200")
    const first = await program.call("GET", "/v1/audit-log?limit=2")
    const rest = await program.call("GET", `/v1/audit-log?cursor=${first.next_cursor}`)
    assert.deepEqual(
      [...items(first.data), ...items(rest.data)].map(({ kind, subject }) => `${kind} ${subject}`),
      all,
    )
    assert.equal((await program.ask("GET", "/v1/audit-log?from=yesterday")).status, 422)
  })

  test("is exported whole, an entry a line, oldest first", async () => {
    await using program = await Program.open()
    for (let i = 0; i < 3; i++) await program.call("PUT", `/v1/event-types/t${i}`, { examples: ["line\nbreak"] })
    const answer = await program.ask("GET", "/v1/audit-log/export")
    assert.equal(answer.headers.get("content-type"), "application/x-ndjson; charset=utf-8")
    const lines = answer.text
      .trimEnd()
      .split("\n")
      .map(line => JSON.parse(line) as object)
    const listed = items((await program.call("GET", "/v1/audit-log?limit=200")).data)
    assert.deepEqual(lines, listed.toReversed())
    const none = await program.ask("GET", "/v1/audit-log/export?kind=none.such")
    assert.deepEqual([none.status, none.text], [200, ""])
  })

  test("of one project says nothing of another", async () => {
    await using program = await Program.open()
    const { key } = await program.call("POST", "/v1/projects", { name: "other" })
    const asOther = { authorization: `Bearer ${key}` }
    for (const path of ["/v1/audit-log", "/v1/audit-log/export"]) {
      const { text } = await program.ask("GET", path, undefined, asOther)
      assert.doesNotMatch(text, /project\.created/)
    }
    await program.ask("PUT", "/v1/event-types/theirs", {}, asOther)
    assert.doesNotMatch((await program.ask("GET", "/v1/audit-log")).text, /theirs/)
  })
})
