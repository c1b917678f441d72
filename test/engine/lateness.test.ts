/** What counts as late: only what waits for nothing but its time. */
import assert from "node:assert/strict"
import { test } from "node:test"
import type { LiveIntegration } from "../../src/engine/directory.ts"
import { Lane } from "../../src/engine/lane.ts"
import { heldBy, latenessFault, latenessOf } from "../../src/engine/lateness.ts"

const NOW = Date.UTC(2026, 10, 21, 10)
const MINUTE_MS = 60_000

/** A lane with one place whose oldest delivery has been due for so many minutes. */
function lane(minutes: number, more: { maxPerSecond?: number; busy?: boolean } = {}): Lane {
  const made = new Lane(1, { maxConcurrent: 1, maxPerSecond: more.maxPerSecond ?? null, held: false }, null)
  if (more.busy === true) made.reserve(NOW - minutes * MINUTE_MS)
  made.expect(NOW - minutes * MINUTE_MS)
  return made
}

function directoryOf(more: { enabled?: boolean; paused?: boolean; maxPerSecond?: number } = {}) {
  const { enabled = true, paused = false, maxPerSecond = null } = more
  const integration = { enabled, paused, policy: { maxConcurrent: 1, maxPerSecond } }
  return { integration: () => ({ integration }) as unknown as LiveIntegration }
}

test("with a place free, what is due is late after a minute", () => {
  assert.deepEqual(latenessOf([lane(1)], directoryOf(), NOW), { oldestMs: MINUTE_MS, lateLanes: 0 })
  assert.deepEqual(latenessOf([lane(2), lane(0.5)], directoryOf(), NOW), { oldestMs: 2 * MINUTE_MS, lateLanes: 1 })
  assert.equal(heldBy(lane(2), directoryOf(), NOW), null)
})

test("behind an endpoint that takes all places, after a quarter of an hour", () => {
  assert.equal(heldBy(lane(2, { busy: true }), directoryOf(), NOW), "full")
  assert.equal(latenessOf([lane(15, { busy: true })], directoryOf(), NOW).lateLanes, 0)
  assert.equal(latenessOf([lane(16, { busy: true })], directoryOf(), NOW).lateLanes, 1)
})

test("what is paused, switched off or held by a rate is never late, however long it waits", () => {
  const old = 10_000
  for (const [held, at, directory] of [
    ["paused", lane(old), directoryOf({ paused: true })],
    ["off", lane(old), directoryOf({ enabled: false })],
    ["off", lane(old), { integration: () => undefined }],
  ] as const) {
    assert.equal(heldBy(at, directory, NOW), held)
    assert.deepEqual(latenessOf([at], directory, NOW), { oldestMs: 0, lateLanes: 0 })
  }
  const limited = lane(old, { maxPerSecond: 1 })
  limited.reserveByHand(NOW)
  limited.release()
  assert.equal(heldBy(limited, directoryOf({ maxPerSecond: 1 }), NOW), "rate")
  assert.equal(latenessOf([limited], directoryOf({ maxPerSecond: 1 }), NOW).lateLanes, 0)
})

test("what is late is said in a sentence", () => {
  assert.equal(latenessFault({ oldestMs: 90_000, lateLanes: 0 }), null)
  assert.match(
    latenessFault({ oldestMs: 20 * MINUTE_MS, lateLanes: 3 }) ?? "",
    /^3 integrations are behind: .* 20 min\./,
  )
})
