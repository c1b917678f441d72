import assert from "node:assert/strict"
import { test } from "node:test"
import {
  formatStatuses,
  includesStatus,
  overlapOf,
  parseStatuses,
  withoutStatus,
} from "../../src/domain/status-ranges.ts"

test("statuses are read as people write them, and written back in order", () => {
  const texts = [
    ["200-299", "200-299"],
    ["200-299,304", "200-299,304"],
    [" 304 , 200 - 299 ", "200-299,304"],
    ["400-404", "400-404"],
    ["410", "410"],
    ["304,200-299,250-303", "200-304"],
    ["200-250,210-220", "200-250"],
    ["200,201", "200-201"],
    ["", "none"],
    ["none", "none"],
    ["100-599", "100-599"],
  ] as const
  for (const [text, written] of texts) {
    const parsed = parseStatuses(text)
    assert.ok(parsed.kind === "ranges", text)
    assert.equal(formatStatuses(parsed.ranges), written)
    assert.deepEqual(parseStatuses(written), parsed)
  }
})

test("what is no set of statuses is refused with a sentence that quotes it", () => {
  for (const text of [
    "2xx",
    "200–299",
    "299-200",
    "99",
    "600",
    "200-600",
    "200,",
    ",",
    "200..299",
    "all",
    "-1",
    "1e2",
    "200 299",
  ]) {
    const parsed = parseStatuses(text)
    assert.ok(parsed.kind === "fault", text)
    assert.match(parsed.message, /^".*" .+\.$/)
  }
})

test("a status is in a set when a range holds it", () => {
  const ranges = [
    [200, 299],
    [304, 304],
  ] as const
  assert.deepEqual(
    [199, 200, 299, 300, 304, 305].map(status => includesStatus(ranges, status)),
    [false, true, true, false, true, false],
  )
  assert.equal(includesStatus([], 200), false)
})

test("the overlap of two sets is what both hold", () => {
  assert.deepEqual(
    overlapOf(
      [
        [200, 299],
        [400, 404],
      ],
      [[290, 402]],
    ),
    [
      [290, 299],
      [400, 402],
    ],
  )
  assert.deepEqual(overlapOf([[200, 299]], [[300, 399]]), [])
  assert.deepEqual(withoutStatus([[400, 410]], 404), [
    [400, 403],
    [405, 410],
  ])
  assert.deepEqual(withoutStatus([[410, 410]], 410), [])
})
