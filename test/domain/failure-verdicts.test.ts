/** Which verdict a series of failing attempts shows, and which series do not show it. */
import assert from "node:assert/strict"
import { describe, test } from "node:test"
import { diagnose } from "../../src/domain/diagnosis.ts"
import { DAY_MS, HOUR_MS, MINUTE_MS } from "../../src/domain/duration.ts"
import type { Picture } from "../../src/domain/picture.ts"
import { alsoOf, errors, hoursWith, NOW, pictureOf, runOf, times, tried, verdictOf } from "../help/picture.ts"

describe("scattered failures", () => {
  const some = (failed = {}) =>
    pictureOf({
      hours: hoursWith(hoursAgo => ({ success: 20, ...(hoursAgo % 5 === 0 ? { errors: errors(1), failed } : {}) })),
      attempts: tried("ok", "ok", "ok", "server_error 503", ...times(20, "ok")),
    })

  test("that get through in the end are normal: nothing to do", () => {
    const { verdict } = diagnose(some())
    assert.deepEqual([verdict.code, verdict.colour], ["scattered_failures", "plain"])
    assert.match(verdict.what, /^5 of 485 attempts failed/)
  })

  test("are worth a look where events failed for good", () => {
    const { verdict } = diagnose(some({ rejected: 1 }))
    assert.deepEqual([verdict.code, verdict.case, verdict.colour], ["scattered_failures", "some_lost", "amber"])
    assert.match(verdict.what, /5 events failed for good/)
  })

  test("are no sign that all is well where nothing got through", () => {
    const none = (failed = {}) =>
      diagnose(
        pictureOf({
          hours: hoursWith(hoursAgo => (hoursAgo === 0 ? { errors: errors(2), failed } : {})),
          attempts: tried("server_error 503", "timeout_response"),
        }),
      ).verdict
    const verdict = none()
    assert.deepEqual([verdict.code, verdict.case, verdict.colour], ["scattered_failures", "none_through", "amber"])
    assert.equal(verdict.what, "2 attempts failed in the last 24 hours, and none got through.")
    assert.match(none({ rejected: 1 }).what, /and none got through; failed for good: 1 event\./)
  })

  test("a single failed event among successes is nothing more than that", () => {
    const picture = pictureOf({
      hours: hoursWith(hoursAgo => ({ success: 10, ...(hoursAgo === 0 ? { errors: errors(1) } : {}) })),
      attempts: tried("server_error 500", ...times(20, "ok")),
    })
    assert.equal(verdictOf(picture), "scattered_failures")
  })
})

describe("several in a row", () => {
  const inRow = (...said: string[]) =>
    pictureOf({
      attempts: tried(...said, ...times(20, "ok")),
      hours: hoursWith(() => ({ success: 10, errors: errors(1) })),
    })

  test("of the same error are told, since the first of them", () => {
    const { verdict } = diagnose(inRow(...times(3, "server_error 503")))
    assert.deepEqual([verdict.code, verdict.case, verdict.since], ["several_in_a_row", "outage", NOW - 3 * MINUTE_MS])
    assert.match(verdict.what, /^The last 3 attempts failed in the same way, at 3 events: .*503/)
  })

  test("two are not several, nor are three of different errors", () => {
    assert.equal(verdictOf(inRow("server_error 503", "server_error 503")), "scattered_failures")
    assert.equal(verdictOf(inRow("server_error 503", "timeout_response", "server_error 503")), "scattered_failures")
    assert.equal(verdictOf(inRow("server_error 503", "server_error 500", "server_error 503")), "scattered_failures")
  })

  test("are over with the first success", () => {
    assert.equal(verdictOf(inRow("ok", ...times(10, "server_error 503"))), "scattered_failures")
  })

  test("one event that is tried again and again needs five of them", () => {
    const attempts = (count: number) => [
      ...tried(...times(count, "rejected 422")).map(one => ({ ...one, event: 7 })),
      ...tried("ok"),
    ]
    const hours = hoursWith(() => ({ success: 10, errors: errors(1, "rejected") }))
    assert.equal(verdictOf(pictureOf({ hours, attempts: attempts(4) })), "scattered_failures")
    assert.equal(verdictOf(pictureOf({ hours, attempts: attempts(5) })), "several_in_a_row api_changed")
  })

  test("are told apart by status and reason", () => {
    for (const [said, of] of [
      ["rejected 401", "credentials"],
      ["rejected 403", "credentials"],
      ["rejected 404", "address"],
      ["rejected 422", "api_changed"],
      ["rate_limited 429", "rate_limited"],
      ["connection_refused", "connectivity"],
      ["tls_failed", "connectivity"],
      ["no_token", "no_token"],
      ["timeout_response", "outage"],
      ["server_error 500", "outage"],
    ] as const) {
      assert.equal(verdictOf(inRow(...times(4, said))), `several_in_a_row ${of}`, said)
    }
  })
})

describe("everything failing", () => {
  const failing = (said: readonly string[], more: Partial<Picture["run"] & object> = {}) => {
    const attempts = tried(...said, "ok")
    return pictureOf({
      attempts,
      run: runOf(attempts, more),
      hours: hoursWith(hoursAgo => (hoursAgo > 0 ? { success: 10 } : { errors: errors(said.length) })),
    })
  }

  test("is told after a quarter of an hour without a success, with the three questions", () => {
    const { verdict, also } = diagnose(failing(times(20, "server_error 503")))
    assert.deepEqual([verdict.code, verdict.case, verdict.colour], ["everything_failing", "outage", "red"])
    assert.equal(verdict.questions.length, 3)
    assert.equal(verdict.since, NOW - 20 * MINUTE_MS)
    assert.deepEqual(also, [], "that they failed in a row, and more than usual, needs no second word")
    assert.match(
      verdict.what,
      /All 20 attempts since .* failed, at 20 events; nothing has got through since 2026-11-21/,
    )
  })

  test("is not told of a few minutes, however many fail in them", () => {
    const minutes = failing(times(20, "server_error 503"), { since: NOW - 5 * MINUTE_MS, attempts: 900, events: 900 })
    assert.equal(verdictOf(minutes), "several_in_a_row outage")
  })

  test("is not told where one success came between", () => {
    const attempts = tried(...times(9, "server_error 503"), "ok", ...times(30, "server_error 503"))
    const hours = hoursWith(hoursAgo => (hoursAgo > 0 ? { success: 10 } : { success: 1, errors: errors(39) }))
    assert.equal(verdictOf(pictureOf({ attempts, hours })), "several_in_a_row outage")
  })

  test("is not told of one event, however often it is tried", () => {
    const attempts = tried(...times(30, "rejected 422")).map(one => ({ ...one, event: 7 }))
    const run = runOf(attempts, { lastSuccessAt: NOW - DAY_MS })
    assert.equal(verdictOf(pictureOf({ attempts, run })), "several_in_a_row api_changed")
  })

  test("is told of a quiet integration once it has lasted for six hours", () => {
    const few = tried(...times(5, "rejected 401")).map((one, i) => ({ ...one, at: NOW - i * 2 * HOUR_MS }))
    const hours = hoursWith(hoursAgo => ({ success: hoursAgo > 30 ? 1 : 0 }))
    const lasting = (since: number) =>
      pictureOf({ attempts: few, hours, run: runOf(few, { since, lastSuccessAt: NOW - 2 * DAY_MS }) })
    assert.equal(verdictOf(lasting(NOW - 8 * HOUR_MS)), "everything_failing credentials")
    assert.equal(verdictOf(lasting(NOW - 2 * HOUR_MS)), "several_in_a_row credentials")
  })

  test("is told at once of an integration that has never got anything through", () => {
    const attempts = tried(...times(5, "dns_failed"))
    const picture = pictureOf({
      attempts,
      hours: hoursWith(hoursAgo => (hoursAgo === 0 ? { routed: 5, errors: errors(5, "dns_failed") } : {})),
    })
    const { verdict } = diagnose(picture)
    assert.deepEqual([verdict.code, verdict.case], ["everything_failing", "connectivity"])
    assert.match(verdict.what, /nothing has got through in the last 30 days/)
  })

  test("says nothing of the cause where no error is in the majority", () => {
    const mixed = Array.from(
      { length: 21 },
      (_, i) => ["server_error 503", "rejected 401", "connection_refused"][i % 3] ?? "",
    )
    assert.equal(verdictOf(failing(mixed)), "everything_failing")
  })
})

describe("a spike in failures", () => {
  const mixed = (said: string) => Array.from({ length: 40 }, (_, i) => (i % 2 === 0 ? said : "ok"))
  const spike = (reason: "server_error" | "rejected", said: string, more: { usual?: number; now?: number } = {}) =>
    pictureOf({
      attempts: tried(...mixed(said)),
      hours: hoursWith(hoursAgo =>
        hoursAgo < 2
          ? { success: 30, errors: errors(more.now ?? 30, reason) }
          : { success: 60, errors: errors(more.usual ?? 0, reason) },
      ),
    })

  test("that goes on is told apart by status and reason", () => {
    assert.equal(verdictOf(spike("server_error", "server_error 503")), "failure_spike outage")
    assert.equal(verdictOf(spike("rejected", "rejected 401")), "failure_spike credentials")
    assert.equal(verdictOf(spike("rejected", "rejected 422")), "failure_spike api_changed")
    const { verdict } = diagnose(spike("server_error", "server_error 503"))
    assert.equal(verdict.facts["errors"], 60)
    assert.equal(verdict.since, Date.UTC(2026, 10, 21, 9), "the hour in which it began")
  })

  test("is none where as many fail as usual", () => {
    assert.equal(verdictOf(spike("server_error", "server_error 503", { usual: 20 })), "scattered_failures")
  })

  test("is none of four failures", () => {
    assert.equal(verdictOf(spike("server_error", "server_error 503", { now: 4 })), "scattered_failures")
  })

  test("that is over leaves a healthy integration, and a word of when it was", () => {
    const picture = pictureOf({
      hours: hoursWith(hoursAgo =>
        hoursAgo === 5 || hoursAgo === 4 ? { success: 10, errors: errors(40) } : { success: 60 },
      ),
    })
    assert.equal(verdictOf(picture), "healthy")
    const [over] = diagnose(picture).also
    assert.deepEqual([over?.code, over?.case, over?.colour], ["failure_spike", "over", "grey"])
    assert.equal(over?.since, Date.UTC(2026, 10, 21, 5))
    assert.equal(over?.facts["until_at"], Date.UTC(2026, 10, 21, 7))
  })

  test("is over within its hour once the last five attempts got through", () => {
    const hours = hoursWith(hoursAgo => (hoursAgo === 0 ? { success: 20, errors: errors(40) } : { success: 60 }))
    const after = (count: number) =>
      pictureOf({ hours, attempts: tried(...times(count, "ok"), ...mixed("server_error 503")) })
    assert.equal(verdictOf(after(3)), "failure_spike outage")
    assert.equal(verdictOf(after(5)), "healthy recovered")
  })

  test("of yesterday's eve is no longer spoken of", () => {
    const hours = hoursWith(hoursAgo => (hoursAgo === 30 ? { errors: errors(40) } : { success: 60 }))
    assert.deepEqual([verdictOf(pictureOf({ hours })), alsoOf(pictureOf({ hours }))], ["healthy", []])
  })
})

describe("failures at the same hour each day", () => {
  const atThree = (days: readonly number[], elsewhere = 0) =>
    pictureOf({
      hours: hoursWith((hoursAgo, at) => {
        const isBad = new Date(at).getUTCHours() === 3 && days.includes(Math.floor(hoursAgo / 24))
        return { success: 20, errors: isBad ? errors(10) : errors(elsewhere) }
      }),
    })

  test("are told after three days, with the hour", () => {
    const { verdict } = diagnose(atThree([0, 1, 2]))
    assert.equal(verdict.code, "same_hour_daily")
    assert.deepEqual([verdict.facts["from_hour"], verdict.facts["to_hour"], verdict.facts["days"]], ["03", "04", 3])
    assert.match(verdict.what, /between 03:00 and 04:00 UTC, 30 of 90 in all/)
  })

  test("are no pattern after two days, with a good day between, or once they have stopped", () => {
    for (const days of [
      [0, 1],
      [0, 2, 3],
      [1, 2, 3],
    ]) {
      assert.notEqual(verdictOf(atThree(days)), "same_hour_daily", days.join())
    }
  })

  test("are no pattern where the other hours fail as well", () => {
    assert.notEqual(verdictOf(atThree([0, 1, 2, 3], 7)), "same_hour_daily")
  })

  test("may cover some hours, over midnight too", () => {
    const hours = hoursWith((_, at) => ({
      success: 20,
      errors: [23, 0].includes(new Date(at).getUTCHours()) ? errors(10) : {},
    }))
    const { verdict } = diagnose(pictureOf({ hours }))
    assert.deepEqual(
      [verdict.code, verdict.facts["from_hour"], verdict.facts["to_hour"]],
      ["same_hour_daily", "23", "01"],
    )
  })
})
