/**
 * One of several processes that claim from the same database at the same time: a ledger of its own on a connection of
 * its own, past the lock that keeps a second Waybill off a data folder.
 */
import { setTimeout as wait } from "node:timers/promises"
import { Ids } from "../../src/domain/id.ts"
import { StoreUnavailable } from "../../src/store/database.ts"
import type { Claim } from "../../src/store/ledger.ts"
import { Seal } from "../../src/store/seal.ts"
import { SearchIndex } from "../../src/store/search.ts"
import { openConnection, SqliteDatabase } from "../../src/store/sqlite.ts"
import { SqliteLedger } from "../../src/store/sqlite-ledger.ts"
import { answerQuestions, helperOptions } from "./helper-process.ts"
import { seeded } from "./json-writer.ts"

export interface RivalSetup {
  readonly path: string
  /** The integration whose deliveries are claimed. */
  readonly lane: number
  /** A fencing number of its own. */
  readonly fence: number
  /** Its clock, which stands still. */
  readonly now: number
  /** Ids that it gives begin after this one. */
  readonly firstId: number
  /** The most that it claims at a time. */
  readonly room: number
}

/** What one rival got. */
export interface Spoils {
  /** Events whose delivery it claimed, in order. */
  readonly claimed: readonly number[]
  /** How many of its settlements moved their delivery on. */
  readonly moved: number
  /** How often the database was busy for so long that it was told to come back later. */
  readonly turnedAway: number
}

export type RivalQuestion = { readonly kind: "ready" } | { readonly kind: "claim" }

const LONGEST_PAUSE_MS = 3

const setup = helperOptions<RivalSetup>()
const now = () => setup.now
const db = new SqliteDatabase(openConnection(setup.path))
const ledger = new SqliteLedger({
  db,
  now,
  fence: setup.fence,
  ids: new Ids(now, setup.firstId),
  search: new SearchIndex(db),
  seal: new Seal([new Uint8Array(32)], new Uint8Array(32)),
  partLimits: { rows: 100_000, bytes: 2 ** 27 },
})
const random = seeded(setup.fence)

answerQuestions(async (question: RivalQuestion): Promise<unknown> => {
  if (question.kind === "ready") return undefined
  const spoils = await claimAll()
  await db.close()
  return spoils
})

/** Claims and settles until nothing is left. */
async function claimAll(): Promise<Spoils> {
  const claimed: number[] = []
  let moved = 0
  let turnedAway = 0
  for (;;) {
    const room = 1 + Math.floor(random() * setup.room)
    const claims = await insist(() => ledger.claim(setup.lane, setup.fence, room, setup.now))
    if (claims.claims.length === 0) return { claimed, moved, turnedAway }
    claimed.push(...claims.claims.map(claim => claim.delivery.event))
    const settled = await insist(() => ledger.settle(claims.claims.map(settlementOf)))
    moved += settled.filter(({ kind }) => kind === "moved").length
    // As long as sending might take; SQLite's lock goes to whoever asks at the right moment, not to who waits longest.
    await wait(random() * LONGEST_PAUSE_MS)
  }

  async function insist<T>(work: () => Promise<T>): Promise<T> {
    for (;;) {
      try {
        return await work()
      } catch (error) {
        if (!(error instanceof StoreUnavailable)) throw error
        turnedAway++
      }
    }
  }
}

function settlementOf(claim: Claim) {
  return {
    claim,
    attempt: {
      delivery: claim.delivery,
      number: claim.attempts + 1,
      startedAt: setup.now,
      outcome: "success",
      revision: 1,
      process: `rival/${setup.fence}`,
      exchange: null,
      url: null,
      requestHeaders: [],
      requestBody: null,
    },
    attemptReason: null,
    next: { status: "delivered" },
    recordId: null,
    payloadDays: 7,
  } as const
}
