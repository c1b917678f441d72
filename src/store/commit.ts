/** What the steps of a commit share, whichever engine makes it. */
import type { IntegrationId } from "../domain/id.ts"
import type { Emitted, Tidings } from "./ledger.ts"
import type { Step } from "./step.ts"
import type { TallySheet } from "./tallies.ts"

export interface Commit {
  /** By the store's clock, in ms since 1970. */
  readonly now: number
  readonly tallies: TallySheet
  readonly parts: CommitParts
  /** An id that is greater than all that were committed before. */
  nextId(): Step<number>
  /** Nobody else touches the line of this key until the commit is over. */
  lockLine(lane: IntegrationId, key: string): Step<void>
  /**
   * What is removed in this commit is to be gone: the embedded engine overwrites it where it lay, and writes what its search
   * index still gathers, so that nothing of it comes in later.
   */
  scrub(): Step<void>
  /** Accepts operational events and writes mails down. */
  tell(tidings: Tidings): Step<readonly Emitted[]>
}

/** The parts as a commit sees them: see parts.ts. */
export interface CommitParts {
  /** The part for a row of so many bytes with this retention. */
  partFor(retentionDays: number, now: number, bytes: number): Step<number>
  /** Sees to it that nothing more is put into a part. */
  close(id: number): Step<void>
  /** Drops a part that was closed, with all that is still in it. */
  drop(id: number): Step<void>
}
