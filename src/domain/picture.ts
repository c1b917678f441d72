/** What a diagnosis is made of: plain data on one integration, gathered by whoever asks. Times are ms since 1970, hours UTC. */
import type { EventId } from "./id.ts"
import type { DisabledBy } from "./integration.ts"
import type { ReasonCode } from "./reason.ts"

/** Counts by reason. */
export type ByReason = Readonly<Partial<Record<ReasonCode, number>>>

/** What was counted in an hour. */
export interface Hour {
  readonly at: number
  /** Events that came for the integration. */
  readonly routed: number
  /** Deliveries that ended well; that failed for good, by reason. */
  readonly delivered: number
  readonly failed: ByReason
  /** Events that the integration did not get, by reason. */
  readonly withheld: ByReason
  /** Attempts that got through; that failed, by reason. Our own faults and interruptions are in neither. */
  readonly success: number
  readonly errors: ByReason
  /** Held back by protection. */
  readonly skipped: number
}

/** One attempt of the last ones. */
export interface Tried {
  readonly at: number
  readonly event: EventId
  readonly isSuccess: boolean
  readonly reason: ReasonCode | null
  readonly status: number | null
  /** Why no answer came, normalised; empty where one came. */
  readonly message: string
}

/** The failures since the last success: all that was tried since then failed. */
export interface FailingRun {
  /** When the first of them began. */
  readonly since: number
  readonly lastAt: number
  /** How many, and of how many events; no more are counted than `RUN_COUNTED`. */
  readonly attempts: number
  readonly events: number
  /** Null where nothing has got through in 30 days. */
  readonly lastSuccessAt: number | null
}

/** How many attempts of a run are counted. */
export const RUN_COUNTED = 1_000

/** Why a lane does not send what is due. `full`: all its places are taken by requests that are under way. */
export type HeldBy = "off" | "paused" | "resting" | "rate" | "full"

/** What waits. */
export interface Waiting {
  /** Deliveries that wait for whatever it be, at most `WAITING_COUNTED`. */
  readonly total: number
  /** The id of the oldest event among those. */
  readonly oldestEvent: number | null
  /** When the oldest of those was due that wait for their time alone: for no rest and no one before them. */
  readonly oldestDueAt: number | null
  /** Since when the oldest request is under way. */
  readonly oldestSendingAt: number | null
  readonly heldBy: HeldBy | null
}

/** How many waiting deliveries are counted. */
export const WAITING_COUNTED = 10_000

/** Events that came in while the integration got none. */
export interface Arrived {
  readonly since: number
  /** Of the apps that the integration is for, the most frequent first. */
  readonly types: readonly { readonly type: string; readonly count: number }[]
  /** Of other apps. */
  readonly otherApps: number
}

export interface Picture {
  readonly now: number
  readonly integration: {
    readonly name: string
    readonly createdAt: number
    readonly enabled: boolean
    readonly disabledBy: DisabledBy | null
    readonly disabledAt: number | null
    readonly disabledReason: string | null
    readonly paused: boolean
    /** Types that its rules switch on by name, and prefixes that end in `*`. */
    readonly namedTypes: readonly string[]
  }
  /** Up to 21 days without a gap, the oldest first; the last one is running. */
  readonly hours: readonly Hour[]
  /** The last attempts, the newest first. */
  readonly attempts: readonly Tried[]
  readonly run: FailingRun | null
  readonly waiting: Waiting
  /** Null where it was not asked, because events came for the integration. */
  readonly arrived: Arrived | null
  /** Fields that were missing in the last 24 hours, the most frequent first. */
  readonly missingFields: readonly { readonly field: string; readonly count: number }[]
  /** Set while Waybill's own machine or network is what fails; how many others it touches is not for everybody. */
  readonly ownTrouble: OwnTroubleHere | null
}

/** Waybill's own machine or network is down. */
export interface OwnTrouble {
  readonly since: number
  /** Integrations that fail to connect: all that were tried. */
  readonly integrations: number
  readonly hosts: number
  /** `sender_fault` where the system itself says so. */
  readonly sign: "sender_fault" | "all_at_once"
}

/** The same as one integration tells of it. */
export type OwnTroubleHere = Pick<OwnTrouble, "since" | "sign"> & Partial<OwnTrouble>

/** How many in all. */
export function sumOf(counts: ByReason): number {
  return Object.values(counts).reduce((sum, count) => sum + count, 0)
}

/** Counts of several hours, one on top of the other. */
export function sumsOf(all: readonly ByReason[]): ByReason {
  const sums: Partial<Record<ReasonCode, number>> = {}
  for (const counts of all) {
    for (const [reason, count] of Object.entries(counts) as [ReasonCode, number][]) {
      sums[reason] = (sums[reason] ?? 0) + count
    }
  }
  return sums
}
