/** What is ended or let go piece by piece goes on where it was when the store was away for a moment. */
import assert from "node:assert/strict"
import { describe, test } from "node:test"
import { presets } from "../../src/domain/policy.ts"
import type { LiveIntegration } from "../../src/engine/directory.ts"
import { Endings } from "../../src/engine/endings.ts"
import { Lines } from "../../src/engine/lines.ts"
import { openLog } from "../../src/log.ts"
import { StoreUnavailable } from "../../src/store/database.ts"

const log = openLog("silent")
const isRunning = () => true
const reason = { code: "integration_removed", facts: {} } as const

/** A store with so many rows of which a call ends up to a piece, and which is away at these calls. */
function storeWith(rows: number, awayAt: readonly number[]) {
  let [left, calls] = [rows, 0]
  const endPiece = async (limit: number): Promise<number> => {
    calls++
    if (awayAt.includes(calls)) throw new StoreUnavailable("full", null)
    const ended = Math.min(limit, left)
    left -= ended
    return ended
  }
  return {
    endPiece,
    add: (more: number) => {
      left += more
    },
    left: () => left,
    calls: () => calls,
  }
}

describe("while the store is away for a moment", () => {
  test("what waits for an integration that is gone is ended all the same, also what came meanwhile", async () => {
    const store = storeWith(100, [1])
    const ledger = { endWaiting: (_: number, __: unknown, limit: number) => store.endPiece(limit) }
    const endings = new Endings({ ledger, directory: { integration: () => undefined }, log, isRunning })
    const ended = endings.end(1, reason)
    store.add(500)
    await endings.end(1, reason)
    await ended
    assert.equal(store.left(), 0)
  })

  test("nothing is ended of an integration that is on again by the time that the store is there", async () => {
    const store = storeWith(700, [2])
    let live: LiveIntegration | undefined
    const ledger = { endWaiting: (_: number, __: unknown, limit: number) => store.endPiece(limit) }
    const endings = new Endings({ ledger, directory: { integration: () => live }, log, isRunning })
    const ended = endings.end(1, reason)
    while (store.calls() < 2) await new Promise(setImmediate)
    live = { integration: { enabled: true } } as unknown as LiveIntegration
    await ended
    assert.equal(store.left(), 200)
  })

  test("lines that nothing holds any more are let go all the same", async () => {
    const store = storeWith(700, [1, 3])
    const live = { integration: { policy: presets.standard } } as unknown as LiveIntegration
    const ledger = { endBlocks: (_: number, limit: number) => store.endPiece(limit) }
    const lines = new Lines({ ledger, directory: { integration: () => live }, log, isRunning })
    let told = 0
    const letGo = lines.letGo(1, () => told++)
    await lines.letGo(1, () => told++)
    await letGo
    assert.deepEqual([store.left(), told], [0, 2])
  })
})

test("what fails through a fault of the program is not tried without end", async () => {
  let calls = 0
  const endWaiting = async (): Promise<number> => {
    calls++
    throw new Error("a bug")
  }
  const endings = new Endings({ ledger: { endWaiting }, directory: { integration: () => undefined }, log, isRunning })
  await endings.end(1, reason)
  assert.equal(calls, 1)
})
