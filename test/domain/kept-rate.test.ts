/** What a lane keeps of the rate that its endpoints bear, from one holder to the next. */
import assert from "node:assert/strict"
import test from "node:test"
import { type KeptRate, rateFromJson, rateToJson } from "../../src/domain/kept-rate.ts"

const nothing: KeptRate = { pauses: [], congestion: null, budget: null }

test("what was kept is read back as it was", () => {
  const kept: KeptRate = {
    pauses: [["https://api.example", { until: 1_800_000_060_000, ms: 60_000 }]],
    congestion: { limit: 3.25, cutAt: 1_800_000_000_000 },
    budget: {
      pause: null,
      window: { remaining: 4, resetAt: 1_800_000_001_000, resetMs: 1_000, limit: 10, windowMs: null },
      nextAt: 1_800_000_000_250,
    },
  }
  assert.deepEqual(rateFromJson(rateToJson(kept)), kept)
  assert.equal(rateToJson(nothing), null)
  assert.deepEqual(rateFromJson(null), nothing)
})

test("whatever another version wrote is left out", () => {
  const strange = {
    pauses: { "https://a.example": { until: "soon" } },
    congestion: { limit: 2 },
    budget: { window: 1 },
  }
  assert.deepEqual(rateFromJson(JSON.stringify(strange)), nothing)
})
