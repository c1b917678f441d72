/** What a settlement writes down of a lane that its process hands over, or has handed over. */
import assert from "node:assert/strict"
import { test } from "node:test"
import { afterHolding } from "../../src/engine/aftermath.ts"
import type { LaneRecord, Settlement } from "../../src/store/ledger.ts"

function settlement(lane: LaneRecord): Settlement {
  return { consequences: { lane, mails: [] } } as unknown as Settlement
}

const cases: readonly [says: string, isLeaving: boolean, lane: LaneRecord, kept: LaneRecord | undefined][] = [
  ["the end of a failing time, which the next holder would tell of again", true, { health: null }, { health: null }],
  ["its failing time, and not how its endpoints stand", true, { health: "{}", rate: null }, { health: "{}" }],
  ["nothing where only its endpoints have changed", true, { protection: null }, undefined],
  ["nothing of one that another process may have taken up", false, { health: null }, undefined],
]

for (const [says, isLeaving, lane, kept] of cases) {
  test(`a settlement in a lane that is handed over writes down ${says}`, () => {
    const { consequences } = afterHolding(settlement(lane), isLeaving)
    assert.deepEqual(consequences, kept === undefined ? { mails: [] } : { lane: kept, mails: [] })
  })
}
