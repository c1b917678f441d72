/** Whether failures that look alike still go on. */
import assert from "node:assert/strict"
import { test } from "node:test"
import { isGoingOn } from "../../src/domain/failure-group.ts"

const HOUR_MS = 3_600_000
const NOW = Date.UTC(2026, 10, 21, 10)
const group = (hoursAgo: number, count = 1, forHours = 0) => ({
  firstAt: NOW - (hoursAgo + forHours) * HOUR_MS,
  lastAt: NOW - hoursAgo * HOUR_MS,
  count,
})

test("a failure goes on while nothing has got through since", () => {
  assert.equal(isGoingOn(group(100), null, NOW), true)
  assert.equal(isGoingOn(group(100), NOW - 101 * HOUR_MS, NOW), true)
  assert.equal(isGoingOn(group(100), NOW - 99 * HOUR_MS, NOW), false)
})

test("beside successes it goes on for as long as it stays away no longer than it used to", () => {
  assert.equal(isGoingOn(group(0.2), NOW, NOW), true, "seen just now")
  assert.equal(isGoingOn(group(1), NOW, NOW), false, "once, an hour ago")
  // Every two hours.
  assert.equal(isGoingOn(group(5, 13, 24), NOW, NOW), true)
  assert.equal(isGoingOn(group(7, 13, 24), NOW, NOW), false)
  assert.equal(isGoingOn(group(25, 3, 480), NOW, NOW), false, "never longer than a day")
})
