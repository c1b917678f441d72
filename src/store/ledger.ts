/** What the path of an event asks of the store, in batches; the rest is plain reading and writing. */
import type { AttemptRecord, Facts, Next, Reason } from "../domain/delivery.ts"
import type { Event, EventDraft, Privacy, Withheld } from "../domain/event.ts"
import type { AppId, AttemptId, DeliveryId, EventId, IntegrationId, KeyId, ProjectId } from "../domain/id.ts"
import type { Queue } from "../domain/queue.ts"
import type { Change } from "./changes.ts"
import { bringForward } from "./clock.ts"
import type { Commit } from "./commit.ts"
import type { Database } from "./database.ts"
import { keepLane, keptLanes } from "./lanes.ts"
import { endBlocks, unblock } from "./line.ts"
import { endWaiting, retryOne } from "./move.ts"
import type { Step } from "./step.ts"

/** An event on its way in: what was read, where it came from, and who gets it. */
export interface Arrival {
  readonly project: ProjectId
  readonly key: KeyId | null
  readonly draft: EventDraft
  /** SHA-256 over the envelope and the raw data, where a repeat has to be recognised; else null. */
  readonly fingerprint: string | null
  readonly idempotencyKey: string | null
  readonly appId: AppId | null
  readonly receivedAt: number
  readonly test: boolean
  readonly payloadDays: number
  readonly targets: readonly Target[]
  readonly withheld: Withheld
  /** How many of the withholdings someone has to act on. */
  readonly red: number
  /** Set where its data holds private fields: it is stored masked, and whole only under seal. */
  readonly privacy?: Privacy | undefined
  /**
   * The version of the configuration that it was routed by: where another process has changed it since, nothing is stored
   * and ConfigurationChanged is thrown. Undefined: stored whatever the configuration is by now.
   */
  readonly routedBy?: number | undefined
}

/** One integration that gets the event. `claim` is the fencing number of a lane that sends it at once, else null. */
export interface Target {
  readonly integration: IntegrationId
  readonly claim: number | null
  /** Delivered in the order of its key, if it has one. Such a target is never sent at once: who is before it is known in the commit. */
  readonly ordered: boolean
}

export type Accepted =
  | { readonly kind: "new"; readonly id: EventId; readonly event: Event }
  | { readonly kind: "repeat" | "conflict"; readonly id: EventId; readonly by: "id" | "idempotency_key" }

/** A delivery that this process may send now, with all that it takes. */
export interface Claim {
  readonly delivery: DeliveryId
  readonly claim: number
  /** With its whole payload; null where that has gone. */
  readonly event: Event | null
  /** Set where its data holds private fields, which nothing that is written down may show. */
  readonly privacy?: Privacy | undefined
  /** Facts on why the payload has gone. */
  readonly gone?: Facts | undefined
  readonly project: ProjectId
  /** The revision that its first attempt was made with; null before that. */
  readonly revision: number | null
  readonly attempts: number
  readonly scheduleAttempts: number
  readonly charged: number
  readonly lastAttempt: AttemptId | null
  readonly createdAt: number
  /** Its place in the order of its queue: when it was due, ms since 1970. */
  readonly dueAt: number
  /** The queue it was claimed from. */
  readonly queue: Queue
  /** Set where it is delivered in the order of its key. */
  readonly orderingKey: string | null
  /** The recovery that made it due again. */
  readonly recovery: number | null
  readonly tally: TallyKey
}

/** The dimensions that every count keeps. */
export interface TallyKey {
  readonly app: AppId | null
  readonly environment: string
  readonly type: string
  readonly test: boolean
}

/** What became of a claim. */
export interface Settlement {
  readonly claim: Claim
  readonly attempt: Omit<AttemptRecord, "id"> | null
  /** What the attempt came to, in the words of the table of reasons; null after a success. */
  readonly attemptReason: Reason | null
  readonly next: Next
  readonly recordId: string | null
  readonly payloadDays: number
  readonly consequences?: Consequences
}

/** What an attempt brings about beyond its delivery, written in the same commit. */
export interface Consequences extends Tidings {
  /** The state of the lane as it stands now; what is undefined stays as it was. */
  readonly lane?: LaneRecord
  /** The integration is switched off, unless it is off already. */
  readonly switchOff?: SwitchOff
  /** Ordered delivery: whether those behind it stay where they are although it has failed. */
  readonly blocksLine?: boolean
}

/** What people are to be told, written in the commit of what it tells of. */
export interface Tidings {
  /** Operational events. */
  readonly emits?: readonly Arrival[]
  readonly mails?: readonly Mail[]
}

/** A mail to the people of a project. One of each key is written down, and no other ever after. */
export interface Mail {
  readonly key: string
  readonly project: ProjectId
  /** What it tells, as JSON. */
  readonly content: string
}

/** Why an integration is switched off, and what is told of it if this is what switches it off. */
export interface SwitchOff extends Tidings {
  /** As it stands on the integration from then on. */
  readonly cause: "gone" | "long_failure"
}

/** An event that was accepted along with what caused it. */
export interface Emitted {
  readonly arrival: Arrival
  readonly accepted: Accepted
}

/** What a lane keeps over a restart, each as JSON. */
export interface LaneRecord {
  readonly protection?: string | null
  readonly rate?: string | null
  readonly health?: string | null
}

export interface Settled {
  readonly kind: "moved" | "lease-lost"
  readonly attempt: AttemptId | null
  /** What it changed on the integration, where it switched that off. */
  readonly change: Change | null
  /** The delivery that was behind it in the line of its ordering key and is due now. */
  readonly released: EventId | null
  /** The operational events, as they were accepted. */
  readonly emitted: readonly Emitted[]
}

/** What a claim found, and when the earliest of those that still wait is due. */
export interface Claimed {
  readonly claims: readonly Claim[]
  readonly nextAt: number | null
}

/** Where a walk through the waiting deliveries of a lane stands: from the latest that is due to the earliest. */
export interface WaitingPlace {
  readonly nextAt: number
  readonly event: EventId
}

/** A lane as an earlier start left it. */
export interface KeptLane extends Required<LaneRecord> {
  readonly integration: IntegrationId
  /** Queues of origins in which deliveries are held. */
  readonly held: readonly Queue[]
  /** Whether deliveries wait that a recovery made due again. */
  readonly hasRecovered: boolean
  /** Whether it was ever sent to: its rate begins from nothing then, since nobody knows how much went a moment ago. */
  readonly wasSentTo: boolean
}

/** What is told within a transaction of the configuration. */
export interface Telling {
  readonly emitted: readonly Emitted[]
  tell(tidings: Tidings): Promise<void>
  /** The transaction was undone. */
  rolledBack(): void
}

/** What the path of an event asks of the store, in batches, and the moves beside it, which both engines share. */
export abstract class Ledger {
  /** Stores events with their deliveries; resolves after the commit that holds them is on disk. */
  abstract accept(arrivals: readonly Arrival[]): Promise<readonly Accepted[]>

  /**
   * Takes up to `room` deliveries of one queue of a lane (DUE unless it is named) that are due at `now`, oldest first,
   * under its fencing number. In queues other than DUE the time is a place in the order only: ask with Infinity.
   */
  abstract claim(lane: IntegrationId, fence: number, room: number, now: number, queue?: Queue): Promise<Claimed>

  /** Takes one delivery that is due, before all others of its lane; null where it is not, or no longer. */
  abstract claimOne(delivery: DeliveryId, fence: number): Promise<Claim | null>

  /** Records every attempt always; moves the delivery on only where the claim still holds. */
  abstract settle(settlements: readonly Settlement[]): Promise<readonly Settled[]>

  /**
   * Claims that nobody holds any more: deliveries whose attempt was under way when their process ended, in lanes that the
   * process with this fencing number holds, or in all; and those of `forgotten` that it has claimed itself.
   */
  abstract lost(limit: number, fence?: number, forgotten?: readonly DeliveryId[]): Promise<readonly Claim[]>

  /**
   * Runs a transaction of the configuration: one at a time over all processes, so that each sees what those before it have
   * done, and so that changes which it notes show in the stream in the order of their ids.
   */
  abstract transaction<T>(work: (tx: Database) => Promise<T>): Promise<T>

  /** Tells of what a transaction of the configuration does, in that transaction. */
  abstract telling(tx: Database): Telling

  /** How many pieces of work wait for the next commit. */
  abstract readonly waiting: number

  /** Runs a short piece of work in the next commit, together with whatever else waits for it; resolves when it is on disk. */
  abstract inNextCommit<T>(work: (commit: Commit) => Step<T>): Promise<T>

  /**
   * Ends up to `limit` deliveries that wait in a lane that is off or gone: failed, for this reason; then the blocks of
   * its lines. Gives how many there were.
   */
  endWaiting(lane: IntegrationId, reason: Reason, limit: number): Promise<number> {
    return this.inNextCommit(commit => endWaiting(commit, lane, reason, limit))
  }

  /** Makes a delivery due now, its schedule anew, whatever its state, unless it is being sent or is not there. */
  retry(
    delivery: DeliveryId,
    project: ProjectId,
  ): Promise<"due" | "sending" | "absent" | "payload_expired" | "payload_masked"> {
    return this.inNextCommit(commit => retryOne(commit, delivery, project))
  }

  /**
   * After the clock was put back: deliveries that wait for a time which it showed before wait from now on as long as they
   * were to wait then. Looks at up to `limit` of a lane, beginning below `from`; gives where to go on, null at the end.
   */
  bringForward(lane: IntegrationId, from: WaitingPlace | null, limit: number): Promise<WaitingPlace | null> {
    return this.inNextCommit(commit => bringForward(commit, lane, from, limit))
  }

  /** Writes down what a lane keeps over a restart. */
  keepLane(lane: IntegrationId, record: LaneRecord): Promise<void> {
    return this.inNextCommit(() => keepLane(lane, record))
  }

  /** What lanes kept, and the queues in which something waits: of these lanes, or of all. */
  lanes(lanes?: readonly IntegrationId[]): Promise<readonly KeptLane[]> {
    return this.inNextCommit(() => keptLanes(lanes))
  }

  /** Lets those behind a failed delivery that blocks the line of its ordering key go on; undefined where it blocks none. */
  unblock(delivery: DeliveryId, project: ProjectId): Promise<EventId | null | undefined> {
    return this.inNextCommit(commit => unblock(commit, delivery, project))
  }

  /** Ends up to `limit` blocks of a lane's lines, so that those behind them go on. Gives how many there were. */
  endBlocks(lane: IntegrationId, limit: number): Promise<number> {
    return this.inNextCommit(commit => endBlocks(commit, lane, limit))
  }
}
