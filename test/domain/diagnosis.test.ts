/** Which verdict a series shows that is not of attempts that fail, and which series do not show it. */
import assert from "node:assert/strict"
import { describe, test } from "node:test"
import { diagnose } from "../../src/domain/diagnosis.ts"
import { DAY_MS, HOUR_MS, MINUTE_MS } from "../../src/domain/duration.ts"
import type { Picture } from "../../src/domain/picture.ts"
import { hoursWith, NOW, pictureOf, times, tried, verdictOf } from "../help/picture.ts"

describe("healthy", () => {
  test("is an integration of which everything gets through", () => {
    const { verdict, also } = diagnose(pictureOf())
    assert.deepEqual([verdict.code, verdict.colour, verdict.since, also], ["healthy", "plain", null, []])
    assert.equal(verdict.what, "All 240 attempts of the last 24 hours got through.")
  })

  test("is said of one that was not used today, where that is not unusual", () => {
    const hours = hoursWith((_, at) => ({ success: new Date(at).getUTCDay() === 6 ? 0 : 20 }))
    // A Saturday like every other.
    const silent = hours.slice(-24).every(hour => hour.success === 0)
    assert.equal(silent, false)
    const idle = hoursWith(hoursAgo => ({ success: hoursAgo === 100 ? 3 : 0 }))
    assert.equal(verdictOf(pictureOf({ hours: idle, attempts: tried("ok") })), "healthy idle")
  })

  test("an integration for which nothing has ever come has nothing to judge by", () => {
    const picture = pictureOf({ hours: hoursWith(() => ({})), attempts: [] })
    assert.equal(verdictOf(picture), "unused")
  })
})

describe("stuck in processing", () => {
  const late = (heldBy: Picture["waiting"]["heldBy"], minutes = 16) =>
    pictureOf({ waiting: { total: 3, oldestDueAt: NOW - minutes * MINUTE_MS, heldBy } })

  test("is what has been due for more than 15 minutes though nothing holds it", () => {
    const { verdict } = diagnose(late(null))
    assert.deepEqual(
      [verdict.code, verdict.colour, verdict.since],
      ["stuck_in_processing", "red", NOW - 16 * MINUTE_MS],
    )
    assert.match(verdict.what, /for 16 min/)
    assert.equal(verdictOf(late(null, 15)), "healthy")
  })

  test("is never what waits by rule: paused, resting, held by the rate, switched off", () => {
    for (const heldBy of ["paused", "resting", "rate", "off"] as const) {
      assert.equal(verdictOf(late(heldBy, 600)), "healthy", heldBy)
    }
  })

  test("is never what waits behind another of its ordering key, or for a later try: neither is due", () => {
    assert.equal(verdictOf(pictureOf({ waiting: { total: 500, oldestDueAt: null } })), "healthy")
    assert.equal(verdictOf(pictureOf({ waiting: { total: 500, oldestDueAt: NOW + DAY_MS } })), "healthy")
  })

  test("is the endpoint's doing where all places are taken, and Waybill's where a request never ends", () => {
    assert.equal(verdictOf(late("full")), "stuck_in_processing full")
    assert.equal(
      verdictOf(pictureOf({ waiting: { oldestSendingAt: NOW - 20 * MINUTE_MS } })),
      "stuck_in_processing sending",
    )
    assert.equal(verdictOf(pictureOf({ waiting: { oldestSendingAt: NOW - 2 * MINUTE_MS } })), "healthy")
  })
})

describe("a growing backlog", () => {
  const growing = (waiting: Partial<Picture["waiting"]>, surplus = 200) =>
    pictureOf({
      hours: hoursWith(hoursAgo =>
        hoursAgo < 3 ? { routed: 300, delivered: 300 - surplus, success: 300 - surplus } : { success: 300 },
      ),
      waiting: { total: 600, ...waiting },
    })

  test("is more coming in than going out, hour after hour", () => {
    const { verdict } = diagnose(growing({}))
    assert.deepEqual([verdict.code, verdict.facts["growth"]], ["backlog_growing", 600])
    assert.equal(verdict.since, Date.UTC(2026, 10, 21, 8))
  })

  test("has its own advice where a rate or a slow endpoint causes it", () => {
    assert.equal(verdictOf(growing({ heldBy: "rate" })), "backlog_growing rate")
    assert.equal(verdictOf(growing({ heldBy: "full" })), "backlog_growing full")
  })

  test("is none where it shrinks, where little waits, or where somebody paused it", () => {
    assert.equal(verdictOf(growing({}, -50)), "healthy")
    assert.equal(verdictOf(growing({ total: 99 })), "healthy")
    assert.equal(verdictOf({ ...growing({}), integration: { ...growing({}).integration, paused: true } }), "paused")
  })

  test("is none where one busy hour is being worked off", () => {
    const hours = hoursWith(hoursAgo =>
      hoursAgo === 2 ? { routed: 5_000, delivered: 300, success: 300 } : { routed: 100, delivered: 300, success: 300 },
    )
    assert.equal(verdictOf(pictureOf({ hours, waiting: { total: 4_300 } })), "healthy")
  })
})

describe("nothing sent because events lack a field", () => {
  const lacking = (withheld: number, success: number) =>
    pictureOf({
      hours: hoursWith(hoursAgo =>
        hoursAgo < 24
          ? { routed: withheld + success, success, delivered: success, withheld: { missing_data: withheld } }
          : { success: 10 },
      ),
      attempts: success > 0 ? tried(...times(20, "ok")) : [],
      missingFields: [{ field: "amplitude_device_id", count: withheld * 24 }],
    })

  test("says n of m and which field", () => {
    const { verdict } = diagnose(lacking(2, 0))
    assert.deepEqual([verdict.code, verdict.case, verdict.colour], ["missing_data", "nothing_sent", "red"])
    assert.match(verdict.what, /because 48 of 48 events lack amplitude_device_id/)
  })

  test("is amber where others get through, and not spoken of where few lack it", () => {
    const { verdict } = diagnose(lacking(3, 7))
    assert.deepEqual([verdict.code, verdict.case, verdict.colour], ["missing_data", undefined, "amber"])
    assert.match(verdict.what, /^72 of the 240 events/)
    assert.equal(verdictOf(lacking(1, 9)), "healthy")
  })

  test("is over once later events got through", () => {
    const hours = hoursWith(hoursAgo =>
      hoursAgo > 3 && hoursAgo < 24 ? { routed: 5, withheld: { missing_data: 5 } } : { success: 5 },
    )
    assert.equal(verdictOf(pictureOf({ hours })), "healthy")
  })

  test("other reasons that hold events back speak for themselves", () => {
    const hours = hoursWith(hoursAgo => (hoursAgo < 2 ? { withheld: { not_verified: 4 } } : {}))
    const { verdict } = diagnose(pictureOf({ hours, attempts: [] }))
    assert.deepEqual(
      [verdict.code, verdict.case, verdict.facts["reason"]],
      ["withheld", "nothing_sent", "not_verified"],
    )
    assert.match(verdict.advice, /verify it again/)
    const grey = hoursWith(() => ({ success: 5, withheld: { type_disabled: 90, filtered: 5 } }))
    assert.equal(verdictOf(pictureOf({ hours: grey })), "healthy", "what nobody asked for is no trouble")
  })
})

describe("switched off and paused", () => {
  test("by a person it is grey, by Waybill red; what fails no longer matters", () => {
    const off = (disabledBy: "person" | "waybill") =>
      diagnose(
        pictureOf({
          integration: {
            enabled: false,
            disabledBy,
            disabledAt: NOW - DAY_MS,
            disabledReason: disabledBy === "waybill" ? "gone" : null,
          },
          attempts: tried(...times(20, "rejected 410")),
        }),
      )
    assert.deepEqual([off("person").verdict.code, off("person").verdict.colour], ["switched_off", "grey"])
    assert.deepEqual([off("waybill").verdict.colour, off("waybill").also], ["red", []])
    assert.match(off("waybill").verdict.what, /\(gone\)/)
  })

  test("paused says how many wait", () => {
    const { verdict } = diagnose(
      pictureOf({ integration: { paused: true }, waiting: { total: 1, heldBy: "paused", oldestDueAt: NOW - DAY_MS } }),
    )
    assert.deepEqual([verdict.code, verdict.colour], ["paused", "grey"])
    assert.match(verdict.what, /; waiting: 1 event/)
  })
})

describe("our own machine", () => {
  test("explains what fails at every integration, and is not their fault", () => {
    const attempts = tried(...times(20, "connection_refused"))
    const ownTrouble = { since: NOW - 20 * MINUTE_MS, integrations: 12, hosts: 9, sign: "all_at_once" } as const
    const { verdict, also } = diagnose(
      pictureOf({ attempts, ownTrouble, waiting: { total: 9, oldestDueAt: NOW - HOUR_MS } }),
    )
    assert.deepEqual([verdict.code, verdict.colour, also], ["own_machine", "amber", []])
    assert.match(verdict.what, /12 integrations at 9 hosts at once/)
  })
})
