/** A delivery is one event on its way to one integration; an attempt is one request of it, a fact that never changes. */
import type { Exchange, Header } from "./exchange.ts"
import type { AttemptId, DeliveryId } from "./id.ts"
import type { Queue } from "./queue.ts"
import type { ReasonCode } from "./reason.ts"

export const deliveryStatuses = [
  "pending",
  "sending",
  "delivered",
  "retrying",
  "failed",
  "skipped",
  "withheld",
] as const
export type DeliveryStatus = (typeof deliveryStatuses)[number]

/** Facts of a case, filled into its reason's sentences: the status code, the host, the missing field … */
export type Facts = Readonly<Record<string, string | number | boolean | null>>

/** Why a delivery stands where it stands. */
export interface Reason {
  readonly code: ReasonCode
  readonly facts: Facts
}

/** What `decide` needs to know of a delivery. */
export interface DeliveryProgress {
  readonly id: DeliveryId
  /** Attempts made since the schedule began (a retry by hand begins it anew), this one included. */
  readonly attempt: number
  /** Attempts that used up a retry before this one: interruptions and our own faults do not. */
  readonly charged: number
  readonly acceptedAt: number
}

/** What one try came to. */
export type Outcome =
  | { readonly kind: "answered"; readonly status: number; readonly retryAfterMs: number | null; readonly facts: Facts }
  | { readonly kind: "unreachable"; readonly reason: ReasonCode; readonly facts: Facts }
  | { readonly kind: "unsendable"; readonly reason: ReasonCode; readonly facts: Facts }
  | { readonly kind: "withheld"; readonly reason: ReasonCode; readonly facts: Facts }
  | { readonly kind: "interrupted"; readonly facts: Facts }

/** What follows from it. */
export type Next =
  | { readonly status: "delivered" }
  | { readonly status: "retrying"; readonly reason: Reason; readonly at: number; readonly charged: boolean }
  | {
      /** Held back without an attempt, because the endpoint rests. */
      readonly status: "skipped"
      readonly reason: Reason
      /** Its place in the queue's order, or its next try where the skip used up a retry. */
      readonly at: number
      readonly queue: Queue
      /** Whether it used up a retry of the schedule. */
      readonly charged: boolean
      /** It only joins those that wait for their endpoint: no skip of its own, and not counted as one. */
      readonly joins?: true
    }
  | {
      readonly status: "failed"
      readonly reason: Reason
      /** The other side asked to be left alone (410): the integration is switched off in the same commit. */
      readonly disable: boolean
    }
  | { readonly status: "withheld"; readonly reason: Reason }

/** How an attempt is counted: in the history, in protection, in the tallies. */
export type AttemptOutcome = "success" | "error" | "interrupted" | "sender_fault"

/** One attempt as it is recorded. */
export interface AttemptRecord {
  readonly id: AttemptId
  readonly delivery: DeliveryId
  /** 1 for the first, over all schedules of the delivery. */
  readonly number: number
  readonly startedAt: number
  readonly outcome: AttemptOutcome
  readonly revision: number
  /** The process that made it. */
  readonly process: string
  /** Null for an attempt that was interrupted: what it came to is not known. */
  readonly exchange: Exchange | null
  /** Host and path of the URL, without its query. */
  readonly url: string | null
  readonly requestHeaders: readonly Header[]
  /** Null where the body can be rebuilt exactly from the event and the revision. */
  readonly requestBody: string | Uint8Array | null
}
