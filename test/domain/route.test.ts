import assert from "node:assert/strict"
import { describe, test } from "node:test"
import type { Environment, Event, Withheld } from "../../src/domain/event.ts"
import { parseExact } from "../../src/domain/exact-json.ts"
import type { Integration } from "../../src/domain/integration.ts"
import { presets } from "../../src/domain/policy.ts"
import { isRed } from "../../src/domain/reason.ts"
import { causeOfFiltered, prepare, type RoutingIntegration, route } from "../../src/domain/route.ts"
import { anEvent } from "../help/subjects.ts"
import { shortestMs } from "../help/timing.ts"

const both: readonly Environment[] = ["production", "sandbox"]

function anIntegration(over: Partial<Integration> = {}, endpoints = both): RoutingIntegration {
  const integration: Integration = {
    id: 7,
    project: 1,
    name: "CRM",
    connector: "webhook",
    revision: 1,
    enabled: true,
    disabledBy: null,
    paused: false,
    apps: [],
    settings: {},
    events: { default: "on", types: {} },
    filter: null,
    policy: presets.standard,
    verification: { production: "verified", sandbox: "verified" },
    createdAt: 0,
    ...over,
  }
  return prepare(integration, endpoints)
}

/** What one integration makes of an event: `deliver`, a reason, or `not listed`. */
function verdict(integration: RoutingIntegration, over: Partial<Event> = {}): string {
  const { deliver, withheld, red } = route(anEvent(over), [integration])
  const reasons = Object.keys(withheld)
  assert.ok(deliver.length + reasons.length <= 1)
  assert.equal(
    red,
    reasons.length === 1 && (reasons[0] === "integration_disabled" || reasons[0] === "not_verified") ? 1 : 0,
  )
  return deliver.length > 0 ? "deliver" : (reasons[0] ?? "not listed")
}

const no = parseExact('{"eq":["type","something_else"]}') ?? null
const off = { default: "off", types: {} } as const
const unverified = { production: "failed", sandbox: "pending" } as const
const byWaybill = { enabled: false, disabledBy: "waybill" } as const
const byPerson = { enabled: false, disabledBy: "person" } as const

describe("an event is", () => {
  test("delivered to an integration that wants it", () => assert.equal(verdict(anIntegration()), "deliver"))
  test("delivered to a paused integration, where it waits", () => {
    assert.equal(verdict(anIntegration({ paused: true })), "deliver")
  })
  test("delivered where no verification is asked for", () => {
    const verification = { production: "not_required", sandbox: "not_required" } as const
    assert.equal(verdict(anIntegration({ verification })), "deliver")
  })
  test("not listed on integrations of another project, whatever their state", () => {
    assert.equal(verdict(anIntegration({ project: 2 })), "not listed")
    assert.equal(verdict(anIntegration({ project: 2, ...byWaybill })), "not listed")
  })
  test("not listed on integrations that a person switched off", () => {
    assert.equal(verdict(anIntegration(byPerson)), "not listed")
    assert.equal(verdict(anIntegration({ enabled: false, disabledBy: null })), "not listed")
  })
  test("not listed on integrations that are limited to other apps", () => {
    assert.equal(verdict(anIntegration({ apps: [5] }), { appId: 6 }), "not listed")
    assert.equal(verdict(anIntegration({ apps: [5], ...byWaybill }), { appId: 6 }), "not listed")
    assert.equal(verdict(anIntegration({ apps: [5] }), { appId: null }), "not listed")
    assert.equal(verdict(anIntegration({ apps: [5, 6] }), { appId: 6 }), "deliver")
    assert.equal(verdict(anIntegration({ apps: [] }), { appId: 6 }), "deliver")
  })
  test("withheld as historical if it is imported history", () => {
    assert.equal(verdict(anIntegration(), { historical: true }), "historical")
  })
  test("withheld as type_disabled if its type is off or has a blank name", () => {
    assert.equal(verdict(anIntegration({ events: off })), "type_disabled")
    assert.equal(
      verdict(anIntegration({ events: { default: "on", types: { trial_started: { name: "" } } } })),
      "type_disabled",
    )
    assert.equal(verdict(anIntegration({ events: { default: "off", types: { "trial_*": {} } } })), "deliver")
    assert.equal(verdict(anIntegration(), { type: "waybill.endpoint_disabled" }), "type_disabled")
  })
  test("withheld as filtered if the filter excludes it or there is no endpoint for its environment", () => {
    assert.equal(verdict(anIntegration({ filter: no })), "filtered")
    assert.equal(verdict(anIntegration({}, ["production"]), { environment: "sandbox" }), "filtered")
    assert.equal(verdict(anIntegration({}, ["production"]), { environment: "production" }), "deliver")
    assert.equal(verdict(anIntegration({}, [])), "filtered")
  })
  test("told to be filtered for want of an endpoint, or by the filter, just as it was decided", () => {
    const environment = "sandbox"
    for (const endpoints of [[], ["production"], ["sandbox"], both] as const) {
      for (const filter of [null, no]) {
        if (verdict(anIntegration({ filter }, endpoints), { environment }) !== "filtered") continue
        // Without the filter an event is still withheld where it is the endpoint that is missing.
        const still = verdict(anIntegration({ filter: null }, endpoints), { environment })
        const expected = still === "filtered" ? "no_endpoint" : "filter"
        assert.equal(causeOfFiltered(environment, endpoints), expected, `${endpoints}, ${filter === null}`)
      }
    }
  })
  test("withheld as integration_disabled, in red, if Waybill switched the integration off", () => {
    assert.equal(verdict(anIntegration(byWaybill)), "integration_disabled")
  })
  test("withheld as not_verified, in red, if the endpoint of its environment has not passed verification", () => {
    assert.equal(verdict(anIntegration({ verification: unverified })), "not_verified")
    const one = { production: "verified", sandbox: "failed" } as const
    assert.equal(verdict(anIntegration({ verification: one }), { environment: "sandbox" }), "not_verified")
    assert.equal(verdict(anIntegration({ verification: one }), { environment: "production" }), "deliver")
  })
})

test("the first reason that applies is the one that is told: what is not wanted comes before what is out of order", () => {
  const worst = { ...byWaybill, verification: unverified }
  const steps: readonly (readonly [integration: RoutingIntegration, historical: boolean, reason: string])[] = [
    [anIntegration({ ...worst, events: off, filter: no }, []), true, "historical"],
    [anIntegration({ ...worst, events: off, filter: no }, []), false, "type_disabled"],
    [anIntegration({ ...worst, filter: no }), false, "filtered"],
    [anIntegration({ ...worst }, []), false, "filtered"],
    [anIntegration(worst), false, "integration_disabled"],
    [anIntegration({ verification: unverified }), false, "not_verified"],
    [anIntegration(), false, "deliver"],
  ]
  for (const [integration, historical, reason] of steps) assert.equal(verdict(integration, { historical }), reason)
})

test("integrations are told apart by reason, in their order, and the red ones are counted", () => {
  const all = [
    anIntegration({ id: 1 }),
    anIntegration({ id: 2, filter: no }),
    anIntegration({ id: 3, ...byWaybill }),
    anIntegration({ id: 4 }),
    anIntegration({ id: 5, verification: unverified }),
    anIntegration({ id: 6, ...byPerson }),
    anIntegration({ id: 7, filter: no }),
    anIntegration({ id: 8, verification: unverified }),
    anIntegration({ id: 9, project: 2 }),
  ]
  const expected: Withheld = { filtered: [2, 7], integration_disabled: [3], not_verified: [5, 8] }
  assert.deepEqual(route(anEvent(), all), { deliver: [1, 4], withheld: expected, red: 3 })
  assert.deepEqual((["filtered", "integration_disabled", "not_verified"] as const).map(isRed), [false, true, true])
})

test("an event with no integrations is for nobody", () => {
  assert.deepEqual(route(anEvent(), []), { deliver: [], withheld: {}, red: 0 })
})

test("the same event and integrations are always routed the same", () => {
  const all = [anIntegration({ id: 1, filter: parseExact('{"exists":["data.a"]}') ?? null }), anIntegration({ id: 2 })]
  const event = anEvent({ payload: { kind: "json", text: '{"a":1}' } })
  const before = structuredClone(event)
  assert.deepEqual(route(event, all), route(event, all))
  assert.deepEqual(event, before)
})

test("a thousand integrations with filters are asked within a few milliseconds", () => {
  const filter = parseExact('{"and":[{"eq":["data.plan","pro"]},{"gte":["data.amount",10]}]}') ?? null
  const types = { "trial_*": { name: "Trial" }, renewed: { enabled: false }, "sub*": {} }
  const all = Array.from({ length: 1_000 }, (_, id) => anIntegration({ id, filter, events: { default: "on", types } }))
  const event = anEvent({ payload: { kind: "json", text: `{"plan":"pro","amount":12,"pad":"${"x".repeat(1_000)}"}` } })
  const tookMs = shortestMs(() => {
    for (let i = 0; i < 20; i++) assert.equal(route(event, all).deliver.length, 1_000)
  })
  assert.ok(tookMs / 20 < 25, `took ${tookMs} ms`)
})
