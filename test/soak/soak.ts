/**
 * The nightly rows of the fault matrix (docs/fault-matrix.md), one after another, then a storm of faults under load for the
 * rest of the time:
 *
 *     npm run soak -- --minutes 30          all rows, and a storm for what is left of half an hour (a minute at the least)
 *     npm run soak -- --only F-07,F-51      these rows alone, F-50 being the storm
 *     npm run soak -- --seed 42             with the same random times again
 *
 * It prints its seed, ends by itself, and ends with the ledger line of everything together.
 */
import { randomInt } from "node:crypto"
import test from "node:test"
import { parseArgs } from "node:util"
import { seeded } from "../help/json-writer.ts"
import { accountLine } from "../help/ledgers.ts"
import { loadRows } from "./load-rows.ts"
import { processRows } from "./process-rows.ts"
import type { Ending, Soak } from "./stage.ts"
import { storm } from "./storm.ts"

const SHORTEST_STORM_MS = 60_000
const LONGEST_ROW_MS = 900_000

const { values } = parseArgs({
  options: {
    seed: { type: "string", default: String(randomInt(1_000_000)) },
    minutes: { type: "string", default: "20" },
    only: { type: "string" },
  },
})
const seed = Number(values.seed)
const endAt = Date.now() + Number(values.minutes) * 60_000
const asked = values.only?.split(",").map(id => id.trim().toUpperCase())
const all = [...processRows, ...loadRows, storm]
const rows = all.filter(({ id }) => asked === undefined || asked.includes(id))
const unknown = asked?.filter(id => all.every(row => row.id !== id)) ?? []
if (!Number.isInteger(seed) || !(endAt > Date.now()) || unknown.length > 0) {
  const known = all.map(({ id }) => id).join(", ")
  console.error(`Usage: npm run soak -- [--seed <number>] [--minutes <number>] [--only <rows>]\nThe rows are ${known}.`)
  process.exit(2)
}

const endings: Ending[] = []
console.log(`seed ${seed}`)
process.on("exit", () => {
  const sum = sumOf(endings)
  console.log(`seed ${seed}\n${accountLine(sum, sum.kills)}`)
})

for (const row of rows) {
  const limit = row === storm ? Number(values.minutes) * 60_000 + LONGEST_ROW_MS : LONGEST_ROW_MS
  test(`${row.id} ${row.what}`, { timeout: limit }, async t => {
    const soak: Soak = { seed, random: seeded(seed), stormMs: Math.max(SHORTEST_STORM_MS, endAt - Date.now()) }
    const ending = await row.run(t, soak)
    if (ending !== null) endings.push(ending)
  })
}

/** What several rows came to together. */
function sumOf(list: readonly Ending[]): Ending {
  const sum = (of: (ending: Ending) => number) => list.reduce((total, account) => total + of(account), 0)
  return {
    accepted: sum(one => one.accepted),
    delivered: sum(one => one.delivered),
    failed: sum(one => one.failed),
    skipped: sum(one => one.skipped),
    pending: sum(one => one.pending),
    withheld: sum(one => one.withheld),
    lost: list.flatMap(one => one.lost),
    unexpected: list.flatMap(one => one.unexpected),
    phantom: list.flatMap(one => one.phantom),
    refusedButStored: list.flatMap(one => one.refusedButStored),
    unmatched: list.flatMap(one => one.unmatched),
    unsigned: list.flatMap(one => one.unsigned),
    duplicates: sum(one => one.duplicates),
    unexplained: list.flatMap(one => one.unexplained),
    interrupted: sum(one => one.interrupted),
    recovered: sum(one => one.recovered),
    maxRecoveryMs: Math.max(0, ...list.map(one => one.maxRecoveryMs)),
    maxRetryMs: Math.max(0, ...list.map(one => one.maxRetryMs)),
    byDestination: {},
    kills: sum(one => one.kills),
  }
}
