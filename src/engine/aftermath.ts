/**
 * What an attempt brings about beyond its delivery: the state of the lane that a restart has to find again, and the
 * operational events that tell people. It is added to the settlement, so that it is written in the same commit.
 */
import type { Consequences, Settlement } from "../store/ledger.ts"

/** What protection has to say after an attempt or a skip. */
export interface LaneNews {
  /** The states of all origins of the lane as JSON, where one has changed. */
  readonly protection?: string | null
  readonly rate?: string | null
  /** An origin began to rest: the counts it was judged by, and when it is probed. */
  readonly opened?: {
    readonly origin: string
    readonly errors: number
    readonly successes: number
    readonly probeAt: number
  }
  /** An origin is back to normal, after it had rested since then. */
  readonly closed?: { readonly origin: string; readonly openedAt: number }
}

/** Works out what follows from settlements, lane by lane. */
export interface Aftermath {
  /** The settlement with what follows from it. `news`: what protection has to say, null where nothing changed. */
  of(settlement: Settlement, news: LaneNews | null): Settlement
}

/** Keeps the news of the lane, and draws no other conclusion. */
export const plainAftermath: Aftermath = {
  of: (settlement, news) => {
    if (news === null) return settlement
    const { protection, rate } = news
    const lane = { ...(protection === undefined ? {} : { protection }), ...(rate === undefined ? {} : { rate }) }
    const consequences: Consequences = { ...settlement.consequences, lane }
    return { ...settlement, consequences }
  },
}
