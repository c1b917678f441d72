/** When an integration is too quiet, and which of the types that arrived may have been meant. */
import assert from "node:assert/strict"
import { describe, test } from "node:test"
import { nearTypes, silenceOf } from "../../src/domain/activity.ts"
import { diagnose } from "../../src/domain/diagnosis.ts"
import { HOUR_MS } from "../../src/domain/duration.ts"
import { hoursWith, NOW, pictureOf, tried } from "../help/picture.ts"

const hourOfDay = (at: number) => new Date(at).getUTCHours()

describe("a silence", () => {
  test("is unusual where at these hours of the other days events came", () => {
    const silence = silenceOf(hoursWith(hoursAgo => ({ success: hoursAgo < 4 ? 0 : 10 })))
    assert.deepEqual(silence, { since: Date.UTC(2026, 10, 21, 7), hours: 3, expected: 30, days: 20 })
  })

  test("is not where every night is quiet", () => {
    // It is half past ten; business begins at eleven.
    assert.equal(
      silenceOf(hoursWith((_, at) => ({ success: hourOfDay(at) >= 11 && hourOfDay(at) < 20 ? 50 : 0 }))),
      null,
    )
  })

  test("is unusual once business should have begun", () => {
    const silence = silenceOf(
      hoursWith((hoursAgo, at) => ({ success: hourOfDay(at) >= 7 && hourOfDay(at) < 20 && hoursAgo > 10 ? 50 : 0 })),
    )
    assert.deepEqual([silence?.hours, silence?.expected], [14, 150])
  })

  test("is not where every Saturday is quiet", () => {
    const isFree = (at: number) => new Date(at).getUTCDay() === 6
    assert.equal(silenceOf(hoursWith((_, at) => ({ success: isFree(at) ? 0 : 20 }))), null)
    assert.notEqual(silenceOf(hoursWith(hoursAgo => ({ success: hoursAgo < 11 ? 0 : 20 }))), null)
  })

  test("is not where so few events come that it may be chance", () => {
    assert.equal(silenceOf(hoursWith(hoursAgo => ({ success: hoursAgo > 4 && hoursAgo % 6 === 0 ? 1 : 0 }))), null)
  })

  test("is not where fewer than three other days are known", () => {
    assert.equal(silenceOf(hoursWith(hoursAgo => ({ success: hoursAgo >= 4 && hoursAgo < 60 ? 10 : 0 }))), null)
  })

  test("is not while events come in the running hour, nor before a whole hour has passed", () => {
    assert.equal(silenceOf(hoursWith(hoursAgo => ({ success: hoursAgo === 0 || hoursAgo > 4 ? 10 : 0 }))), null)
    assert.equal(silenceOf(hoursWith(hoursAgo => ({ success: hoursAgo === 0 ? 0 : 10 }))), null)
  })

  test("of several days is held against days before it, not against itself", () => {
    const silence = silenceOf(hoursWith(hoursAgo => ({ success: hoursAgo < 100 ? 0 : 10 })))
    assert.deepEqual([silence?.hours, silence?.expected], [24, 240])
    assert.equal(silence?.since, Date.UTC(2026, 10, 21, 11) - 100 * HOUR_MS)
  })
})

describe("the types that arrived", () => {
  test("show the one that was meant, by case, prefix or spelling", () => {
    const arrived = ["Trial_Started", "subscription_renewed", "order.created.v2", "invoice-paid"]
    assert.deepEqual(nearTypes(["trial_started", "subscripton_renewed", "order.created", "invoice_paid"], arrived), [
      { named: "trial_started", arrived: "Trial_Started", by: "case" },
      { named: "subscripton_renewed", arrived: "subscription_renewed", by: "spelling" },
      { named: "order.created", arrived: "order.created.v2", by: "prefix" },
      { named: "invoice_paid", arrived: "invoice-paid", by: "spelling" },
    ])
  })

  test("show what a prefix may mean", () => {
    assert.deepEqual(nearTypes(["trial_*"], ["Trial_started"]), [
      { named: "trial_*", arrived: "Trial_started", by: "case" },
    ])
    assert.deepEqual(nearTypes(["trial_*"], ["trial.started"]), [
      { named: "trial_*", arrived: "trial.started", by: "prefix" },
    ])
    assert.deepEqual(nearTypes(["trial_*"], ["trial_started"]), [], "it did arrive")
  })

  test("show nothing where none comes near", () => {
    assert.deepEqual(nearTypes(["refund", "x"], ["subscription_renewed", "login"]), [])
  })
})

describe("no activity", () => {
  const hours = hoursWith(hoursAgo => ({
    success: hoursAgo < 4 ? 0 : 10,
    ...(hoursAgo < 4 ? { withheld: { type_disabled: 9 } } : {}),
  }))
  const since = NOW - 4 * HOUR_MS

  test("where no event arrived stands on the source", () => {
    const { verdict } = diagnose(pictureOf({ hours, arrived: { since, types: [], otherApps: 0 } }))
    assert.deepEqual(
      [verdict.code, verdict.since, verdict.facts["expected"]],
      ["no_event_arrived", Date.UTC(2026, 10, 21, 7), 30],
    )
  })

  test("where events arrived and none matched shows their types and the nearest", () => {
    const types = [
      { type: "Trial_Started", count: 27 },
      { type: "login", count: 9 },
    ]
    const { verdict } = diagnose(
      pictureOf({ hours, arrived: { since, types, otherApps: 2 }, integration: { namedTypes: ["trial_started"] } }),
    )
    assert.equal(verdict.code, "none_matched")
    assert.deepEqual(verdict.types, [
      { type: "Trial_Started", count: 27, near: "trial_started" },
      { type: "login", count: 9, near: null },
    ])
    assert.match(verdict.what, /^38 events have come in since/)
    assert.match(verdict.causes, /trial_started is, Trial_Started arrives/)
    assert.deepEqual(verdict.withheld, { type_disabled: 36 })
  })

  test("a new integration that none of many events was for is told, one of a few is not", () => {
    const never = (count: number) =>
      diagnose(
        pictureOf({
          hours: hoursWith(() => ({})),
          attempts: [],
          arrived: { since, types: [{ type: "a", count }], otherApps: 0 },
        }),
      ).verdict.code
    assert.equal(never(20), "none_matched")
    assert.equal(never(19), "unused")
  })

  test("a quiet night is no alarm, whatever else arrives", () => {
    const quiet = hoursWith((_, at) => ({ success: hourOfDay(at) >= 11 ? 50 : 0 }))
    const arrived = { since, types: [{ type: "login", count: 500 }], otherApps: 0 }
    assert.equal(diagnose(pictureOf({ hours: quiet, arrived, attempts: tried("ok") })).verdict.code, "healthy")
  })
})
