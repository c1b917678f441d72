/** How an integration is duplicated onto an inbox. */
import assert from "node:assert/strict"
import { describe, test } from "node:test"
import { Endpoint } from "../help/endpoint.ts"
import { makeInbox, requestsOf } from "../help/inboxes.ts"
import { items } from "../help/items.ts"
import { Program } from "../help/program.ts"

describe("an integration is duplicated onto an inbox", () => {
  test("with all that decides what it sends, and neither its URL nor a verification", async () => {
    await using program = await Program.open()
    await using there = await Endpoint.open()
    const webhook = await program.call("POST", "/v1/integrations", {
      name: "CRM",
      apps: ["ios"],
      config: {
        production: { url: there.url(), authorization: "Token abc", headers: { "x-team": "growth" } },
        format: "cloudevents",
        signature: { scheme: "v1a" },
        destination_record: { pointer: "/id" },
      },
      events: { default: "off", types: { trial_started: { name: "TrialBegan" } } },
      filter: { gte: ["data.amount", 10] },
      policy: { preset: "subscription", max_per_second: 50 },
    })
    const before = await program.call("GET", `/v1/integrations/${webhook.id}`)
    const answer = await program.ask("POST", `/v1/integrations/${webhook.id}/duplicate-to-inbox`)
    assert.equal(answer.status, 201)
    assert.equal(answer.body.duplicate_of, webhook.id)
    assert.match(String(answer.body.message), new RegExp(`^CRM \\(inbox\\) gets from now on what ${webhook.id} gets`))
    assert.match(answer.text, /"filter":\{"gte":\["data\.amount",10\]\}/)
    const made = answer.body.integration
    assert.deepEqual([made?.name, made?.connector, made?.enabled], ["CRM (inbox)", "inbox", true])
    for (const field of ["apps", "events", "filter", "options", "policy"]) {
      assert.deepEqual(made?.[field], webhook[field], field)
    }
    assert.deepEqual(made?.config, {
      answer: { status: 200, delay_ms: 0, body: "{}" },
      production: { authorization: { set: true }, headers: { "x-team": { set: true } } },
      format: "cloudevents",
      cloudevents_mode: "structured",
      signature: { scheme: "v1a" },
      destination_record: { pointer: "/id" },
    })
    assert.equal(made?.verification?.production?.state, "not_required")
    assert.match(String(made?.secret), /^whsk_/)
    assert.notEqual(made?.secret, webhook.secret)
    const after = await program.call("GET", `/v1/integrations/${webhook.id}`)
    assert.deepEqual(after, before, "the webhook stays as it was")
  })

  test("which then gets what the endpoint gets, byte for byte, signed with a secret of its own", async () => {
    await using program = await Program.open()
    await using there = await Endpoint.open()
    const webhook = await program.integrate(there.url(), {
      config: { production: { url: there.url(), authorization: "Token abc", headers: { "X-Team": "growth" } } },
      events: { types: { "a.b": { name: "Ab" } } },
    })
    const { integration } = await program.call("POST", `/v1/integrations/${webhook}/duplicate-to-inbox`)
    await program.send('{"type":"a.b","data":{"amount": 9.90, "big": 12345678901234567890}}')
    await program.recorded(2)
    const outside = await there.request(1)
    const [inside] = await requestsOf(program, String(integration?.id))
    assert.equal(inside?.body, outside.body.toString())
    assert.equal(inside.signature?.verdict, "valid")
    assert.equal(inside.method, "POST")
    const own = ["host", "webhook-signature"]
    const sent = outside.rawHeaders.flatMap((name, i) => (i % 2 === 0 ? [[name, outside.rawHeaders[i + 1]]] : []))
    const hidden = new Map([
      ["authorization", null],
      ["x-team", null],
    ])
    const expected = sent.map(([name = "", value]) => {
      return { name, value: hidden.has(name.toLowerCase()) ? null : value }
    })
    const isShared = ({ name }: { readonly name?: unknown }) => !own.includes(String(name).toLowerCase())
    assert.deepEqual(items(inside.headers).filter(isShared), expected.filter(isShared))
    const stored = await program.rows<{ headers: string }>("select headers from inbox_request")
    assert.doesNotMatch(JSON.stringify(stored), /Token abc|growth/, "secrets are not kept in clear")
  })

  test("whatever the length of its name, also when it is switched off", async () => {
    await using program = await Program.open()
    const webhook = await program.integrate("https://crm.example/", { name: "😀".repeat(200), enabled: false })
    const { integration } = await program.call("POST", `/v1/integrations/${webhook}/duplicate-to-inbox`)
    assert.equal(integration?.name, `${"😀".repeat(192)} (inbox)`)
    assert.equal(integration.enabled, true)
    const renamed = await program.ask("PATCH", `/v1/integrations/${integration.id}`, { config: { answer: null } })
    assert.equal(renamed.status, 200, "what was made can be saved again")
  })

  test("once: an inbox is not duplicated, and a webhook has no requests to show", async () => {
    await using program = await Program.open()
    const inbox = await makeInbox(program)
    const again = await program.ask("POST", `/v1/integrations/${inbox}/duplicate-to-inbox`)
    assert.deepEqual([again.status, again.body.code], [409, "conflict"])
    const webhook = await program.integrate("https://crm.example/")
    for (const method of ["GET", "DELETE"]) {
      const answer = await program.ask(method, `/v1/integrations/${webhook}/inbox`)
      assert.equal(answer.status, 409)
      assert.match(String(answer.body.detail), /is no inbox but a webhook\. POST .*\/duplicate-to-inbox makes an inbox/)
    }
  })
})
