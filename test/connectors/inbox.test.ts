/** An inbox sends what a webhook would, and answers only what can be an answer. */
import assert from "node:assert/strict"
import { readdirSync, readFileSync } from "node:fs"
import { test } from "node:test"
import { bodyAjv } from "../../src/api/validation.ts"
import type { Settings } from "../../src/connectors/connector.ts"
import { answerOf, inbox, inboxInPlaceOf } from "../../src/connectors/inbox.ts"
import { webhook } from "../../src/connectors/webhook.ts"
import { anEvent, aSubject } from "../help/subjects.ts"

const isValid = bodyAjv.compile(inbox.settings)
const folder = new URL("../golden/webhook/", import.meta.url)

test("the inbox in place of a webhook builds the webhook's requests, but for where they go and the token that it asks for", () => {
  let compared = 0
  for (const file of readdirSync(folder).filter(name => name.endsWith(".json"))) {
    const { config } = JSON.parse(readFileSync(new URL(file, folder), "utf8")) as { config: Settings }
    const own = inboxInPlaceOf("webhook", config)
    assert.ok(own !== null)
    assert.equal(isValid({ ...own }), true, JSON.stringify(isValid.errors))
    assert.deepEqual(inbox.check(own), [])
    for (const environment of ["production", "sandbox"] as const) {
      const payload = { kind: "json", text: '{"n":1.50}' } as const
      const subject = aSubject({ event: anEvent({ payload, environment }) })
      const there = webhook.prepare(config).build(subject)
      const here = inbox.prepare(own).build(subject)
      if (there.kind !== "send" || here.kind !== "send") {
        assert.deepEqual(here, there, file)
        continue
      }
      const { credentials: _, ...request } = there.request
      assert.deepEqual({ ...here.request, url: request.url }, { ...request, inbox: 1 }, file)
      compared++
    }
  }
  assert.ok(compared > 15)
})

test("nothing but an inbox asks for a way past the guard", () => {
  const config = { production: { url: "http://inbox.waybill.internal/int_00000000001" } }
  const build = webhook.prepare(config).build(aSubject())
  assert.ok(build.kind === "send")
  assert.equal("inbox" in build.request, false)
})

test("an inbox stands in for webhooks only", () => {
  assert.equal(inboxInPlaceOf("inbox", {}), null)
  assert.equal(inboxInPlaceOf("slack", {}), null)
})

test("an inbox that is told nothing answers 200 with an empty object, at once", () => {
  const config = {}
  assert.equal(isValid(config), true)
  const told = { status: 200, script: [], delayMs: 0, headers: {}, body: "{}" }
  assert.deepEqual(answerOf({}), told)
  assert.deepEqual(answerOf(config), told)
})

test("an answer that cannot be given is refused where it stands", () => {
  const wrong: [answer: object, pointer: string, says: RegExp][] = [
    [{ script: "500, soon" }, "/answer/script", /"soon" is no status/],
    [{ body: "ü".repeat(32_769) }, "/answer/body", /65,538 bytes/],
    [{ headers: { "Content-Length": "5" } }, "/answer/headers/Content-Length", /belongs to the connection/],
    [{ headers: { "x a": "5" } }, "/answer/headers/x a", /no header name/],
    [{ headers: { "x-a": "1\r\nx-b: 2" } }, "/answer/headers/x-a", /line break/],
    [{ headers: { "x-a": "1", "X-A": "2" } }, "/answer/headers/X-A", /twice/],
  ]
  for (const [answer, pointer, says] of wrong) {
    assert.equal(isValid({ answer }), true, pointer)
    const faults = inbox.check({ answer })
    assert.deepEqual(
      faults.map(fault => fault.pointer),
      [pointer],
    )
    assert.match(faults[0]?.message ?? "", says)
  }
  assert.deepEqual(inbox.check({ answer: { body: "ü".repeat(32_768), headers: { "Retry-After": "5" } } }), [])
  for (const answer of [{ status: 199 }, { status: 600 }, { delay_ms: 60_001 }, { delay_ms: -1 }, { colour: "red" }]) {
    assert.equal(isValid({ answer }), false, JSON.stringify(answer))
  }
})
