import assert from "node:assert/strict"
import { test } from "node:test"
import type { DeliveryStatus } from "../../src/domain/delivery.ts"
import { deliveryStatuses } from "../../src/domain/delivery.ts"
import { type ReasonCode, reasonCodes } from "../../src/domain/reason.ts"
import {
  type Candidate,
  estimatedEndAt,
  isAskedFor,
  needsAction,
  needsPayload,
  onlyFailed,
  type RecoveryAction,
  type RecoveryAsk,
  type RecoveryState,
  recoverableStatuses,
  ruleOn,
  type Standing,
  shareDone,
  stateAfter,
} from "../../src/domain/recovery.ts"
import type { RoutedEvent, RoutingIntegration } from "../../src/domain/route.ts"

const NOW = Date.UTC(2026, 10, 21, 10)

const asks = (more: Partial<RecoveryAsk> = {}): RecoveryAsk => ({
  integrations: [1],
  from: 0,
  to: NOW,
  statuses: ["failed", "withheld"],
  reasons: null,
  eventTypes: null,
  environment: null,
  app: null,
  includeHistorical: false,
  configuration: "current",
  maxPerSecond: null,
  ...more,
})

const event: RoutedEvent = {
  type: "order_paid",
  payload: { kind: "none" },
  externalId: null,
  source: "api",
  occurredAt: NOW,
  environment: "production",
  app: null,
  appId: null,
  profileId: null,
  deviceId: null,
  sourceRecord: null,
  orderingKey: null,
  historical: false,
  cloud: null,
  project: 1,
  receivedAt: NOW,
}

const integration: RoutingIntegration = {
  id: 1,
  project: 1,
  apps: null,
  state: "on",
  nameFor: type => ({ on: true, name: type }),
  passes: null,
  endpoints: { production: "ready", sandbox: "none" },
}

const candidate = (standing: Standing, more: Partial<RoutedEvent> = {}): Candidate => ({
  id: 7,
  event: { ...event, ...more },
  standing,
  payloadExpiresAt: NOW + 1,
})
const delivery = (status: DeliveryStatus, reason: ReasonCode | null = null): Standing => ({
  kind: "delivery",
  status,
  reason,
})

test("what is on its way is never asked for, whatever is asked", () => {
  const all = asks({ statuses: recoverableStatuses, reasons: reasonCodes, includeHistorical: true })
  const found = deliveryStatuses.filter(status => isAskedFor(all, candidate(delivery(status, "server_error"))))
  assert.deepEqual(found, ["delivered", "failed", "withheld"])
})

test("without reasons, every failure is asked for, and of withholdings those that someone has to act on", () => {
  const failures = reasonCodes.filter(code => isAskedFor(asks(), candidate(delivery("failed", code))))
  assert.deepEqual(failures, reasonCodes)
  const withheld = reasonCodes.filter(reason => isAskedFor(asks(), candidate({ kind: "withheld", reason })))
  assert.ok(withheld.includes("not_verified"))
  assert.ok(withheld.includes("integration_disabled"))
  for (const grey of ["type_disabled", "filtered", "opted_out", "event_expired"] as const)
    assert.ok(!withheld.includes(grey), grey)
})

test("a reason that is named is asked for, grey or red, and no other is", () => {
  const ask = asks({ reasons: ["filtered", "rejected"] })
  assert.equal(isAskedFor(ask, candidate({ kind: "withheld", reason: "filtered" })), true)
  assert.equal(isAskedFor(ask, candidate({ kind: "withheld", reason: "not_verified" })), false)
  assert.equal(isAskedFor(ask, candidate(delivery("failed", "rejected"))), true)
  assert.equal(isAskedFor(ask, candidate(delivery("failed", "server_error"))), false)
})

test("skipped asks for what failed while the endpoint rested, and nothing else", () => {
  const ask = asks({ statuses: ["skipped"] })
  assert.equal(isAskedFor(ask, candidate(delivery("failed", "sleeping"))), true)
  assert.equal(isAskedFor(ask, candidate(delivery("failed", "server_error"))), false)
})

test("imported history is asked for only where it is said so, whatever the reasons", () => {
  const historical = candidate({ kind: "withheld", reason: "historical" }, { historical: true })
  assert.equal(isAskedFor(asks({ reasons: ["historical"] }), historical), false)
  assert.equal(isAskedFor(asks({ includeHistorical: true }), historical), true)
})

test("an index of failures, or of what needs action, is used only where it holds all that is asked for", () => {
  const over = (more: Partial<RecoveryAsk>) => [onlyFailed(asks(more)), needsAction(asks(more))]
  assert.deepEqual(over({ statuses: ["failed", "skipped"] }), [true, true])
  assert.deepEqual(over({}), [false, true])
  assert.deepEqual(over({ reasons: ["not_verified"] }), [false, true])
  assert.deepEqual(over({ reasons: ["not_verified", "filtered"] }), [false, false])
  assert.deepEqual(over({ includeHistorical: true }), [false, false])
  assert.deepEqual(over({ statuses: ["missing"] }), [false, false])
  assert.deepEqual(over({ statuses: ["delivered", "failed"] }), [false, false])
  // Every standing that fits one that needs action has its event counted as failed or red.
  for (const reason of reasonCodes) {
    const standings: Standing[] = [delivery("withheld", reason), { kind: "withheld", reason }]
    for (const standing of standings) {
      if (!isAskedFor(asks(), candidate(standing))) continue
      assert.ok(isAskedFor(asks({ reasons: [reason] }), candidate(standing)))
      assert.ok(needsAction(asks({ reasons: [reason] })), reason)
    }
  }
})

test("what fits is routed by today's rules: it goes, or stays for a reason", () => {
  const withheld = candidate({ kind: "withheld", reason: "not_verified" })
  const rule = (more: Partial<RoutingIntegration>, ask = asks()) =>
    ruleOn(ask, withheld, { ...integration, ...more }, NOW)
  assert.deepEqual(rule({}), { kind: "send" })
  assert.deepEqual(rule({ endpoints: { production: "unverified", sandbox: "none" } }), {
    kind: "withheld",
    reason: "not_verified",
  })
  assert.deepEqual(rule({ nameFor: () => ({ on: false }) }), { kind: "withheld", reason: "type_disabled" })
  assert.deepEqual(rule({ passes: () => false }), { kind: "withheld", reason: "filtered" })
  assert.deepEqual(rule({ apps: new Set([9]) }), { kind: "other_apps" })
})

test("an event whose payload has expired is never sent", () => {
  const expired = { ...candidate(delivery("failed", "rejected")), payloadExpiresAt: NOW }
  assert.deepEqual(ruleOn(asks({ configuration: "original" }), expired, integration, NOW), { kind: "expired" })
})

test("with the original configuration today's rules are not asked for what was attempted, but for all else", () => {
  const ask = asks({ configuration: "original" })
  const closed = { ...integration, passes: () => false }
  const failed = candidate(delivery("failed", "rejected"))
  const missing = candidate({ kind: "missing" })
  assert.deepEqual(ruleOn(ask, failed, closed, NOW), { kind: "send" })
  assert.deepEqual(ruleOn(ask, missing, closed, NOW), { kind: "withheld", reason: "filtered" })
  assert.equal(needsPayload(ask, failed, closed), false)
  assert.equal(needsPayload(ask, missing, closed), true)
  assert.equal(needsPayload(asks(), missing, integration), false)
})

test("imported history goes only where it is asked for", () => {
  const history = candidate({ kind: "missing" }, { historical: true })
  assert.deepEqual(ruleOn(asks(), history, integration, NOW), { kind: "withheld", reason: "historical" })
  assert.deepEqual(ruleOn(asks({ includeHistorical: true }), history, integration, NOW), { kind: "send" })
})

test("each state takes the actions that make sense there, and says why it takes no other", () => {
  const table = (state: RecoveryState) =>
    (["pause", "resume", "cancel"] as RecoveryAction[]).map(action => {
      const to = stateAfter(state, action)
      return typeof to === "string" ? to : "refused"
    })
  assert.deepEqual(table("running"), ["paused", "running", "canceled"])
  assert.deepEqual(table("paused"), ["paused", "running", "canceled"])
  assert.deepEqual(table("canceled"), ["refused", "refused", "canceled"])
  assert.deepEqual(table("done"), ["refused", "refused", "refused"])
})

test("the share that is done is that of the stretch, over all integrations", () => {
  assert.equal(shareDone({ after: 100, upTo: 300 }, [100, 300]), 0.5)
  assert.equal(shareDone({ after: 100, upTo: 300 }, [50, 900]), 0.5)
  assert.equal(shareDone({ after: 300, upTo: 300 }, [300]), 1)
  assert.equal(shareDone({ after: 0, upTo: 300 }, []), 1)
})

test("the end is estimated from what is done, once that says something", () => {
  assert.equal(estimatedEndAt(0, 0.25, 10_000), 40_000)
  assert.equal(estimatedEndAt(0, 0.001, 10_000), null)
  assert.equal(estimatedEndAt(0, 0.5, 1_000), null)
})
