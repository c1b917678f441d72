/** How ids are made, by one process and by several. */
import assert from "node:assert/strict"
import { test } from "node:test"
import { firstIdAt, Ids, idShareOf, timeOfId } from "../../src/domain/id.ts"

const NOON = Date.UTC(2026, 10, 21, 12)

test("each id is greater than all before it, also when the millisecond is used up or the clock goes back", () => {
  let now = NOON
  const ids = new Ids(() => now, 0)
  let last = 0
  for (let i = 0; i < 10_000; i++) {
    if (i === 6_000) now -= 60_000
    const id = ids.next()
    assert.ok(id > last)
    last = id
  }
  assert.equal(timeOfId(last), NOON + 2, "4,096 in a millisecond")
})

test("processes at the same time make no id twice, however many each of them makes", () => {
  const all = new Set<number>()
  for (let process = 0; process < 128; process++) {
    const ids = new Ids(() => NOON, 0, idShareOf(process))
    for (let i = 0; i < 100; i++) all.add(ids.next())
  }
  assert.equal(all.size, 128 * 100)
  // 32 in a millisecond, then it runs ahead of the clock.
  assert.equal(timeOfId(Math.max(...all)), NOON + 3)
})

test("ids that were passed over are never made", () => {
  const ids = new Ids(() => NOON, 0, idShareOf(5))
  const far = firstIdAt(NOON + 1_000) + 17
  ids.passOver(far)
  assert.ok(ids.next() > far)
  ids.passOver(NOON)
  assert.ok(ids.next() > far, "and it never goes back")
})
