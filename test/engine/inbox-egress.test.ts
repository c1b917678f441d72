/**
 * An inbox is on Waybill's own listener, which the guard refuses where it is not public. Its own requests pass, and no URL
 * that anybody types does, wherever that leads and whatever it is called.
 */
import assert from "node:assert/strict"
import { describe, test } from "node:test"
import { Transport } from "../../src/transport/http.ts"
import { ok, receiver } from "../help/misbehaving.ts"
import { limits, post, saying, summary } from "../help/outbound.ts"
import { Program } from "../help/program.ts"

/** Resolves every name to loopback. */
const toLoopback = { resolve: () => Promise.resolve({ kind: "found", addresses: ["127.0.0.1"], ttlMs: 0 } as const) }

async function makeInbox(program: Program): Promise<{ readonly id: string; readonly path: string }> {
  const made = await program.call("POST", "/v1/integrations", { name: "inbox", connector: "inbox", config: {} })
  const { url } = await program.call("GET", `/v1/integrations/${made.id}/inbox`)
  return { id: String(made.id), path: new URL(String(url)).pathname }
}

async function arrived(program: Program): Promise<number> {
  return (await program.rows("select 1 from inbox_request")).length
}

describe("where loopback is not allowed", () => {
  for (const host of ["0.0.0.0", "::"]) {
    test(`an inbox of a server on ${host} gets its deliveries and tests all the same`, async () => {
      await using program = await Program.open({ host })
      const inbox = await makeInbox(program)
      const event = await program.send({ type: "a" })
      await program.recorded(1)
      assert.equal((await program.delivery(inbox.id, event)).status, "delivered")
      const tested = await program.call("POST", `/v1/integrations/${inbox.id}/test`)
      assert.deepEqual([tested.status, tested.response?.status], ["delivered", 200])
      assert.equal(await arrived(program), 2)
      const metrics = await program.ask("GET", "/metrics")
      assert.doesNotMatch(metrics.text, /waybill_egress_blocked_total\{/)
    })
  }

  test("a webhook cannot be saved with the address of an inbox, by number or by name", async () => {
    await using program = await Program.open({ host: "0.0.0.0" })
    const inbox = await makeInbox(program)
    const { port } = new URL(program.url)
    const urls = [
      `http://127.0.0.1:${port}${inbox.path}`,
      `http://localhost:${port}${inbox.path}`,
      `http://[::1]:${port}${inbox.path}`,
      `http://[::ffff:127.0.0.1]:${port}${inbox.path}`,
      `http://0.0.0.0:${port}${inbox.path}`,
      `http://inbox.waybill.internal/${inbox.id}`,
      `http://inbox.waybill.internal:${port}${inbox.path}`,
    ]
    for (const url of urls) {
      const config = { production: { url }, verification: "none" }
      const made = await program.ask("POST", "/v1/integrations", { name: "x", config })
      assert.deepEqual([made.status, made.body.errors?.[0]?.pointer], [422, "/config/production/url"], url)
    }
  })

  test("a webhook whose name leads to the inbox's listener is blocked, also just after an inbox was served there", async () => {
    await using program = await Program.open({ host: "0.0.0.0", resolver: toLoopback })
    const inbox = await makeInbox(program)
    const { port } = new URL(program.url)
    const webhook = await program.integrate(`http://rebound.example:${port}${inbox.path}`)
    const event = await program.send({ type: "a" })
    await program.recorded(2)
    assert.equal((await program.delivery(inbox.id, event)).status, "delivered")
    const { status, reason } = await program.delivery(webhook, event)
    assert.deepEqual([status, reason], ["failed", "blocked_address"])
    assert.equal(await arrived(program), 1)
  })

  test("an operator who lists the inbox's name opens the way to whatever has it in the DNS, not to inboxes", async () => {
    const resolver = toLoopback
    await using program = await Program.open({ host: "0.0.0.0", egressAllow: "*.internal", resolver })
    const inbox = await makeInbox(program)
    const { port } = new URL(program.url)
    const webhook = await program.integrate(`http://inbox.waybill.internal:${port}/${inbox.id}`)
    const event = await program.send({ type: "a" })
    await program.recorded(2)
    assert.equal((await program.delivery(inbox.id, event)).status, "delivered")
    assert.equal((await program.delivery(webhook, event)).reason, "rejected")
    assert.equal((await program.attempts(webhook))[0]?.status, 404)
    assert.equal(await arrived(program), 1)
  })
})

test("where loopback is allowed anyway, a webhook reaches an inbox as it reaches any receiver there", async () => {
  await using program = await Program.open()
  const inbox = await makeInbox(program)
  const webhook = await program.integrate(new URL(inbox.path, program.url).href, { config: { verification: "json" } })
  const event = await program.send({ type: "a" })
  await program.recorded(2)
  assert.equal((await program.delivery(webhook, event)).status, "delivered")
  assert.equal(await arrived(program), 3)
})

describe("the transport", () => {
  test("lets a request to an inbox through to the one address it was told, and another to the same address not", async () => {
    await using there = await receiver(ok())
    const transport = new Transport({
      rules: { loopback: false, allow: [] },
      now: Date.now,
      resolver: saying(() => ["127.0.0.1"]),
      inbox: id => ({ address: "127.0.0.1", port: there.port, path: `/inbox/${id}` }),
    })
    try {
      const named = post("http://inbox.waybill.internal/int_1")
      const passed = await transport.send({ ...named, inbox: 7 }, limits())
      assert.equal(summary(passed), "answered 200")
      for (const url of [`http://127.0.0.1:${there.port}/inbox/7`, `http://crm.example:${there.port}/inbox/7`]) {
        assert.equal(summary(await transport.send(post(url), limits())), "broken EGRESS_BLOCKED in dns", url)
      }
      assert.equal(summary(await transport.send(named, limits())), "broken EGRESS_BLOCKED in dns")
      assert.equal(there.accepted(), 1)
    } finally {
      await transport.close(0)
    }
  })

  test("does not take one's idle connection for the other's requests, where both may go", async () => {
    await using there = await receiver(ok())
    const transport = new Transport({
      rules: { loopback: true, allow: [] },
      now: Date.now,
      inbox: () => ({ address: "127.0.0.1", port: there.port, path: "/inbox/x" }),
    })
    try {
      const plain = post(there.url)
      for (const request of [{ ...plain, inbox: 7 }, plain, { ...plain, inbox: 7 }]) {
        assert.equal(summary(await transport.send(request, limits())), "answered 200")
      }
      assert.equal(there.accepted(), 2)
    } finally {
      await transport.close(0)
    }
  })

  test("charges it to the sender when a request to an inbox comes before the server listens, or when it stops", async () => {
    let isListening = false
    await using there = await receiver(ok())
    const transport = new Transport({
      rules: { loopback: true, allow: [] },
      now: Date.now,
      inbox: () => (isListening ? { address: "127.0.0.1", port: there.port, path: "/inbox/x" } : null),
    })
    try {
      const request = { ...post(there.url), inbox: 7 }
      assert.equal(summary(await transport.send(request, limits())), "broken SENDER_FAULT in connect")
      isListening = true
      assert.equal(summary(await transport.send(request, limits())), "answered 200")
      transport.closeInboxes()
      assert.equal(summary(await transport.send(request, limits())), "broken SENDER_FAULT in connect")
      assert.equal(summary(await transport.send(post(there.url), limits())), "answered 200")
    } finally {
      await transport.close(0)
    }
  })
})
