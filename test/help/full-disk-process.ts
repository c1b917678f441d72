/** What happens on a full disk, step by step, in a process that has one of its own. Prints what it saw as JSON. */
import { rmSync, statSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { Keeper } from "../../src/engine/keeper.ts"
import { Metrics } from "../../src/engine/metrics.ts"
import { openLog } from "../../src/log.ts"
import { StoreUnavailable, sql } from "../../src/store/database.ts"
import type { Claim } from "../../src/store/ledger.ts"
import { embedded } from "./engines.ts"
import { DAY_MS, FilledStore, type Given, json } from "./filled-store.ts"
import { countOf, makeIntegrations } from "./letting-go.ts"

const [disk = "", scenario = ""] = process.argv.slice(2)
const reserve = join(disk, "reserve")
const payload = json(JSON.stringify("x".repeat(8_000)))

const filled = new FilledStore({ dataDir: disk, url: undefined })
await filled.open()
const [integration] = filled.integrations
await makeIntegrations(filled)
const reserveBytes = statSync(reserve).size

const scenarios: Readonly<Record<string, () => Promise<object>>> = { refuse, letGo, restart }
console.log(JSON.stringify(await scenarios[scenario]?.()))
await filled.close()

/** Events are refused, what was sent is settled; with room again events are taken in by themselves. */
async function refuse(): Promise<object> {
  const other = join(disk, "other")
  writeFileSync(other, Buffer.alloc(24 * 1_048_576, 1))
  const claims = await acceptAndClaim(200)
  const keeper = makeKeeper()
  keeper.start()
  const accepted = await fillUp()
  const stored = await countOf(filled, "event")
  const reserveLeft = statSync(reserve, { throwIfNoEntry: false })?.size ?? 0
  const startedAt = performance.now()
  const refusals = await Promise.all(Array.from({ length: 1_000 }, () => tryToAccept()))
  const refusedInMs = performance.now() - startedAt
  const settled = await settle(claims)
  const [read] = await filled.store.reads.query<{ n: number }>(sql`select count(*) as n from event`)
  rmSync(other)
  const endsAt = performance.now() + 30_000
  while (performance.now() < endsAt && (await tryToAccept()) !== "accepted") await new Promise(setImmediate)
  const again = await tryToAccept()
  await keeper.stop()
  const integrity = embedded(filled.store).sqlite.connection.prepare("pragma integrity_check").get()?.[
    "integrity_check"
  ]
  return {
    reserveBytes,
    reserveLeft,
    lost: claims.length + accepted - stored,
    refusals: [...new Set(refusals)],
    refusedInMs,
    settled,
    read: read?.n === stored,
    again,
    reserveAgain: statSync(reserve).size,
    integrity,
  }
}

/** Nobody makes room: what is due goes all the same, and its room is given back. */
async function letGo(): Promise<object> {
  const keeper = makeKeeper()
  await keeper.runOnce()
  await filled.accept({ targets: [integration], payload: json('{"needed":true}') })
  await fillUp()
  const wasSpent = filled.store.ballast.isSpent
  filled.now += 8 * DAY_MS
  const { removed, failed_steps } = await keeper.runOnce()
  const [claim] = await filled.claim(integration)
  return {
    wasSpent,
    failed_steps,
    removed: Object.keys(removed).sort(),
    isSpent: filled.store.ballast.isSpent,
    again: await tryToAccept(),
    needed: claim?.event?.payload,
  }
}

/** A start on a disk that is still full. */
async function restart(): Promise<object> {
  const claims = await acceptAndClaim(10)
  await fillUp()
  await filled.restart()
  const second = { isSpent: filled.store.ballast.isSpent, refused: await tryToAccept() }
  // Somebody fills up what a start with its ballast left over.
  return { ...second, settled: await settle(claims), events: (await countOf(filled, "event")) > 10 }
}

function makeKeeper(): Keeper {
  const startedAt = filled.now
  return new Keeper({
    store: filled.store,
    metrics: new Metrics("0", "0"),
    now: () => filled.now,
    // Both clocks are turned together.
    monotonicNow: () => filled.now - startedAt,
    log: openLog("silent"),
  })
}

async function acceptAndClaim(count: number): Promise<readonly Claim[]> {
  await Promise.all(Array.from({ length: count }, () => filled.accept({ targets: [integration] })))
  return filled.claim(integration, count)
}

/** Takes in events until one is refused; gives how many were taken in. */
async function fillUp(): Promise<number> {
  for (let accepted = 0; ; ) {
    const answers = await Promise.all(Array.from({ length: 20 }, () => tryToAccept({ payload })))
    accepted += answers.filter(answer => answer === "accepted").length
    if (answers.some(answer => answer !== "accepted")) return accepted
  }
}

async function tryToAccept(given: Given = {}): Promise<string> {
  try {
    await filled.accept(given)
    return "accepted"
  } catch (error) {
    if (error instanceof StoreUnavailable) return error.reason
    throw error
  }
}

/** Settles claims as the engine does: what could not be written is written later. */
async function settle(claims: readonly Claim[]): Promise<number> {
  const settled = await Promise.all(claims.map(claim => filled.settle(claim)))
  return settled.filter(({ kind }) => kind === "moved").length
}
