/** What a source has read, taken apart: a test that expects the one and meets the other says what it met. */
import assert from "node:assert/strict"
import type { EventDraft } from "../../src/domain/event.ts"
import type { BatchReading, Reading, ReadLimits, SourceFault } from "../../src/sources/source.ts"

export const readLimits: ReadLimits = { now: Date.UTC(2026, 10, 21, 10, 0, 0), maxEventBytes: 262_144, maxBatch: 1_000 }

export function draftOf(reading: Reading | BatchReading | undefined): EventDraft {
  return reading?.kind === "draft" ? reading.draft : assert.fail(JSON.stringify(reading))
}

export function readingsOf(reading: Reading | BatchReading): readonly Reading[] {
  return reading.kind === "batch" ? reading.readings : assert.fail(JSON.stringify(reading))
}

export function faultsOf(reading: Reading | BatchReading | undefined): readonly SourceFault[] {
  return reading?.kind === "faults" ? reading.faults : assert.fail(`nothing is wrong with ${JSON.stringify(reading)}`)
}
