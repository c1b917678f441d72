/** What letting go is told in: steps, one for each kind of thing, made of short pieces that say how much went. */
import type { IntegrationId } from "../domain/id.ts"

/** How many of each. */
export type Counts = Readonly<Partial<Record<Counted, number>>>
/** What went, by its table; payloads that were carried over or masked, deliveries that failed, pages that the disk got back. */
export type Counted =
  | "part"
  | "payload"
  | "exchange"
  | "payload_carried"
  | "payload_masked"
  | "sealed_payload"
  | "delivery_ended"
  | "event"
  | "delivery"
  | "attempt"
  | "failure_group"
  | "recovery"
  | "idempotency"
  | "kept_answer"
  | "rejection"
  | "inbox_request"
  | "search_entry"
  | "delivery_tally"
  | "ingest_tally"
  | "change"
  | "integration_revision"
  | "session"
  | "api_key"
  | "invitation"
  | "password_reset"
  | "sign_in_limit"
  | "job"
  | "page_returned"

/** A piece that is done. */
export interface Piece {
  readonly counts: Counts
  /** How long it held the writer; 0 for one that only read. */
  readonly ms: number
  /** Integrations in which something is due now, as what stood before it in its line has gone. */
  readonly released?: readonly IntegrationId[]
}

/** One kind of thing that is let go. */
export interface Step {
  readonly name: string
  pieces(): AsyncGenerator<Piece>
}
