/** The guard against addresses that are not public, on every way out of the program: a canary behind each is never reached. */
import assert from "node:assert/strict"
import { describe, test } from "node:test"
import { Endpoint } from "../help/endpoint.ts"
import { Program } from "../help/program.ts"

/** Resolves every name to these addresses, which a test may change. */
function leadingTo(...addresses: string[]) {
  const names = {
    addresses,
    asked: 0,
    resolve: () => {
      names.asked++
      return Promise.resolve({ kind: "found", addresses: names.addresses, ttlMs: 0 } as const)
    },
  }
  return names
}

describe("an address that is not public", () => {
  test("is refused when it is saved, new or changed, with the field that holds it", async () => {
    await using program = await Program.open()
    await using there = await Endpoint.open()
    const integration = await program.integrate(there.url())
    for (const url of [
      "http://10.0.0.1/",
      "http://169.254.169.254/latest",
      "http://[::ffff:192.168.0.1]/",
      "http://a.internal/",
    ]) {
      const config = { production: { url }, verification: "none" }
      const made = await program.ask("POST", "/v1/integrations", { name: "x", config })
      const changed = await program.ask("PATCH", `/v1/integrations/${integration}`, { config: { sandbox: { url } } })
      assert.deepEqual([made.status, made.body.errors?.[0]?.pointer], [422, "/config/production/url"], url)
      assert.deepEqual([changed.status, changed.body.errors?.[0]?.pointer], [422, "/config/sandbox/url"], url)
    }
    assert.equal((await program.rows("select 1 from integration")).length, 1)
  })

  test("may be loopback where the server itself is bound to loopback, and may not where it is not", async () => {
    await using canary = await Endpoint.open()
    await using open = await Program.open({ host: "0.0.0.0" })
    const config = { production: { url: canary.url() }, verification: "none" }
    const refused = await open.ask("POST", "/v1/integrations", { name: "x", config })
    assert.deepEqual([refused.status, refused.body.errors?.[0]?.pointer], [422, "/config/production/url"])
    await using listed = await Program.open({ host: "0.0.0.0", egressAllow: "127.0.0.0/8" })
    await listed.integrate(canary.url())
    await listed.send({ type: "a" })
    await canary.received(1)
  })

  test("is reached by no way out when a name leads to it: verification, test, delivery, retry", async () => {
    await using canary = await Endpoint.open()
    const names = leadingTo("127.0.0.1")
    await using program = await Program.open({ host: "0.0.0.0", resolver: names })
    const url = `http://rebound.example:${canary.port}/hook`
    const made = await program.call("POST", "/v1/integrations", { name: "x", config: { production: { url } } })
    const { production } = made.verification ?? {}
    assert.deepEqual([production?.state, production?.answer?.class], ["failed", "EGRESS_BLOCKED"])
    assert.doesNotMatch(JSON.stringify(production), /127\.0\.0\.1/, "where the name leads is not told")
    await program.call("POST", `/v1/integrations/${made.id}/verify`)
    const tested = await program.call("POST", `/v1/integrations/${made.id}/test`)
    assert.deepEqual([tested.status, tested.reason?.code], ["failed", "blocked_address"])
    await program.call("PATCH", `/v1/integrations/${made.id}`, { config: { verification: "none" } })
    const event = await program.send({ type: "a" })
    await program.recorded(2)
    const delivery = await program.delivery(String(made.id), event)
    assert.deepEqual([delivery.status, delivery.reason], ["failed", "blocked_address"])
    const { data } = await program.call("GET", "/v1/deliveries?reason=blocked_address")
    await program.call("POST", `/v1/deliveries/${data?.[0]?.id}/retry`)
    await program.recorded(3)
    assert.equal(canary.requests.length, 0)
    assert.equal(names.asked, 5)
    const metrics = await program.ask("GET", "/metrics")
    assert.match(metrics.text, /waybill_egress_blocked_total\{reason="loopback"\} 5/)
  })

  test("is not found out by how long a save takes to refuse it, since no name is looked up for that", async () => {
    const names = leadingTo("203.0.113.1")
    await using program = await Program.open({ resolver: names })
    const config = { production: { url: "http://metadata.google.internal/" } }
    assert.equal((await program.ask("POST", "/v1/integrations", { name: "x", config })).status, 422)
    assert.equal(names.asked, 0)
  })
})

test("a name that led to a public address by the time of the save is judged again at each connection", async () => {
  await using canary = await Endpoint.open()
  const names = leadingTo("127.0.0.1")
  await using program = await Program.open({ resolver: names })
  const integration = await program.integrate(`http://crm.example:${canary.port}/`, {
    config: { verification: "json" },
  })
  assert.equal(canary.requests.length, 1)
  names.addresses = ["10.0.0.1"]
  // The connection that is open already is pinned to where it was found to lead; a new one is not made.
  await canary.close()
  const event = await program.send({ type: "a" })
  await program.recorded(1)
  assert.equal((await program.delivery(integration, event)).reason, "blocked_address")
})
