/** When it is Waybill's own machine or network that fails, and when it is only the endpoints. */
import assert from "node:assert/strict"
import { test } from "node:test"
import { type AnyTried, type Broken, ownTroubleOf, unreachedOf } from "../../src/domain/own-trouble.ts"

const MINUTE_MS = 60_000
const NOW = Date.UTC(2026, 10, 21, 10)

const tried = (integration: number, reason: AnyTried["reason"]): AnyTried => ({
  integration,
  host: `h${integration}.example`,
  reason,
})
const broken = (integration: number, minutesAgo: number, more: Partial<Broken> = {}): Broken => ({
  integration,
  host: `h${integration}.example`,
  attempts: 2,
  isSenderFault: false,
  lastSuccessAt: NOW - 60 * MINUTE_MS,
  failingSince: NOW - minutesAgo * MINUTE_MS,
  ...more,
})

test("all that were tried since anything was reached are looked at, whatever failed before that", () => {
  const attempts = [
    tried(1, "dns_failed"),
    tried(2, "timeout_connect"),
    tried(1, "dns_failed"),
    tried(3, null),
    tried(4, "dns_failed"),
  ]
  assert.deepEqual(
    unreachedOf(attempts).map(({ integration, attempts: count }) => [integration, count]),
    [
      [1, 2],
      [2, 1],
    ],
  )
})

test("an answer of any kind, a reset or a time-out after connecting show that the network is there", () => {
  for (const reason of [null, "server_error", "rejected", "connection_reset", "timeout_response"] as const) {
    assert.deepEqual(unreachedOf([tried(1, reason), tried(2, "dns_failed")]), [], String(reason))
  }
})

test("hosts that had worked and cannot be connected to any more, all at once, are our own trouble", () => {
  const trouble = ownTroubleOf([broken(1, 8), broken(2, 6), broken(3, 7)])
  assert.deepEqual(trouble, { since: NOW - 8 * MINUTE_MS, integrations: 3, hosts: 3, sign: "all_at_once" })
})

test("one that never worked neither proves nor disproves it", () => {
  const never = broken(9, 5_000, { lastSuccessAt: null })
  assert.equal(ownTroubleOf([broken(1, 8), broken(2, 6), never])?.integrations, 3)
  assert.equal(ownTroubleOf([broken(1, 8), never]), null)
})

test("endpoints that died one after the other are just that", () => {
  assert.equal(ownTroubleOf([broken(1, 300), broken(2, 6)]), null)
})

test("one host is no network, however many integrations point to it", () => {
  const same = { host: "crm.example" }
  assert.equal(ownTroubleOf([broken(1, 5, same), broken(2, 5, same), broken(3, 5, same)]), null)
})

test("a few attempts may fail by chance", () => {
  assert.equal(ownTroubleOf([broken(1, 5, { attempts: 1 }), broken(2, 5, { attempts: 2 })]), null)
  assert.equal(ownTroubleOf([]), null)
})

test("what the system itself says is believed of one integration", () => {
  const trouble = ownTroubleOf([broken(1, 5, { attempts: 4, isSenderFault: true, lastSuccessAt: null })])
  assert.deepEqual([trouble?.sign, trouble?.since], ["sender_fault", NOW - 5 * MINUTE_MS])
})
