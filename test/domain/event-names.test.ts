import assert from "node:assert/strict"
import { describe, test } from "node:test"
import { checkEventRules, isEventType, isReservedType, nameFor } from "../../src/domain/event-names.ts"
import type { EventRule, EventRules } from "../../src/domain/integration.ts"

function rules(types: Record<string, EventRule>, otherwise: "on" | "off" = "on"): EventRules {
  return { default: otherwise, types }
}

/** The name that a type goes out under, or null. */
function nameOf(given: EventRules, type: string): string | null {
  const answer = nameFor(given, type)
  return answer.on ? answer.name : null
}

describe("names of events", () => {
  test("a type without a rule goes out as it is, or not at all, as default says", () => {
    assert.equal(nameOf(rules({}), "trial_started"), "trial_started")
    assert.equal(nameOf(rules({}, "off"), "trial_started"), null)
  })

  test("an exact type beats the longest prefix, which beats shorter ones, which beat default", () => {
    const given = rules({
      "*": { enabled: false },
      "trial_*": { name: "Trial" },
      "trial_end*": { name: "End" },
      trial_ended: { name: "Over" },
    })
    assert.equal(nameOf(given, "trial_ended"), "Over")
    assert.equal(nameOf(given, "trial_ending"), "End")
    assert.equal(nameOf(given, "trial_started"), "Trial")
    assert.equal(nameOf(given, "renewed"), null)
  })

  test("the rule that is found decides alone", () => {
    const given = rules({ "trial_*": { enabled: false, name: "Trial" }, trial_started: {} }, "off")
    assert.equal(nameOf(given, "trial_started"), "trial_started")
    assert.equal(nameOf(given, "trial_ended"), null)
  })

  test("a rule with a name alone switches its type on", () => {
    assert.equal(nameOf(rules({ renewed: { name: "Renewed" } }, "off"), "renewed"), "Renewed")
  })

  test("a blank name switches the type off", () => {
    assert.equal(nameOf(rules({ renewed: { name: "" } }), "renewed"), null)
    assert.equal(nameOf(rules({ renewed: { name: " \t" } }), "renewed"), null)
  })

  test("types are case-sensitive", () => {
    assert.equal(nameOf(rules({ Renewed: { enabled: false } }), "renewed"), "renewed")
  })

  test("any string is a name", () => {
    assert.equal(nameOf(rules({ renewed: { name: 'Erneuert "✓"' } }), "renewed"), 'Erneuert "✓"')
  })

  test("types called like parts of an object are types like any other", () => {
    assert.equal(nameOf(rules({}), "constructor"), "constructor")
    assert.equal(nameOf(rules({}, "off"), "__proto__"), null)
  })

  test("Waybill's own types go out by a rule for them only", () => {
    const all = rules({ "*": { enabled: true }, "w*": { enabled: true }, "waybill*": { enabled: true } })
    assert.equal(nameOf(all, "waybill.endpoint_disabled"), null)
    assert.equal(nameOf(rules({}), "waybill.endpoint_disabled"), null)
    assert.equal(nameOf(all, "waybilling"), "waybilling")
    assert.equal(nameOf(rules({ "waybill.*": {} }, "off"), "waybill.endpoint_disabled"), "waybill.endpoint_disabled")
    assert.equal(nameOf(rules({ "waybill.endpoint_disabled": { name: "Off" } }), "waybill.endpoint_disabled"), "Off")
  })
})

describe("the check of rules", () => {
  test("passes types, prefixes and a bare star", () => {
    const given = rules({ a: {}, "a*": {}, "*": { enabled: false }, "waybill.*": {}, "x/y~z": { name: "" } })
    assert.deepEqual(checkEventRules(given), [])
  })

  test("names the type that is on under a blank name", () => {
    const [fault] = checkEventRules(rules({ "trial/started": { enabled: true, name: " " } }))
    assert.equal(fault?.pointer, "/types/trial~1started")
    assert.match(fault?.message ?? "", /"trial\/started" is on but its name is blank/)
  })

  const wrong: readonly (readonly [key: string, rule: EventRule, message: RegExp])[] = [
    ["", {}, /no event type/],
    ["a b", {}, /no event type/],
    ["é", {}, /no event type/],
    ["a".repeat(129), {}, /no event type/],
    ["a*b", {}, /at the end only/],
    ["**", {}, /at the end only/],
    ["a", { name: "x".repeat(257) }, /longer than 256/],
    ["a", { name: "\ud800" }, /half a character/],
  ]
  for (const [key, rule, message] of wrong) {
    test(`refuses ${JSON.stringify(key.slice(0, 20))} with ${JSON.stringify(rule).slice(0, 30)}`, () => {
      const faults = checkEventRules(rules({ [key]: rule }))
      assert.equal(faults.length, 1)
      assert.match(faults[0]?.message ?? "", message)
    })
  }

  test("an event type is 1 to 128 printable ASCII characters without space", () => {
    assert.deepEqual(["a", "A.b-c/d:e*", "~!", "a".repeat(128)].map(isEventType), [true, true, true, true])
    assert.deepEqual(["", " ", "a b", "a\n", "é", "a\u007f", "a".repeat(129)].map(isEventType), Array(7).fill(false))
    assert.equal(isReservedType("waybill.x"), true)
    assert.equal(isReservedType("waybills"), false)
  })
})
