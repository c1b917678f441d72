/** What changed just before something began. */
import assert from "node:assert/strict"
import { test } from "node:test"
import { changesAround, partsOf } from "../../src/domain/what-changed.ts"

const HOUR_MS = 3_600_000
const SINCE = Date.UTC(2026, 10, 21, 10, 17)
const change = (hours: number, ...pointers: string[]) => ({
  at: SINCE + hours * HOUR_MS,
  kind: "integration.updated",
  revision: 2,
  pointers,
})

test("changes of the day before and since are listed, the newest first; older ones are not", () => {
  const changes = [
    change(-25, "/name"),
    change(-2, "/config/production/url"),
    change(-0.1, "/policy/timeout_ms"),
    change(1, "/events/default"),
  ]
  assert.deepEqual(
    changesAround(changes, SINCE).map(({ pointers, when }) => [pointers[0], when]),
    [
      ["/events/default", "since"],
      ["/policy/timeout_ms", "before"],
      ["/config/production/url", "before"],
    ],
  )
})

test("where the beginning is known by the hour only, a change within that hour came before", () => {
  const since = Date.UTC(2026, 10, 21, 10)
  const [found] = changesAround([{ ...change(0), at: since + 20 * 60_000 }], since)
  assert.equal(found?.when, "before")
})

test("a change says what it touches", () => {
  const touched = change(
    0,
    "/policy/max_per_second",
    "/config/production/url",
    "/config/sandbox/authorization",
    "/config/production/headers/x-team",
    "/events/types/a/name",
    "/filter",
    "/apps",
    "/options/x",
    "/name",
    "/config/format",
    "/config/verification",
  )
  assert.deepEqual(partsOf(touched), [
    "url",
    "authorization",
    "headers",
    "verification",
    "config",
    "names",
    "filter",
    "apps",
    "options",
    "policy",
    "name",
  ])
  assert.deepEqual(partsOf({ kind: "integration.paused", pointers: [] }), ["switch"])
  assert.deepEqual(partsOf({ kind: "integration.secret_rotated", pointers: [] }), ["secret"])
})
