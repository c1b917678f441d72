/** The end of what is kept whole of data with private fields: with its time, or as no delivery of it is open any more. */
import type { Commit } from "./commit.ts"
import type { Reader } from "./reader.ts"
import type { Counts, Piece } from "./retention-step.ts"
import { deleteSealed, lookAtSealed, maskOver, type SealedEvent, type SealedPage } from "./sealed-payloads.ts"
import { change, type Step } from "./step.ts"

export interface SealedRetentionParts {
  readonly reads: Reader
  /** Carries a piece of work out in the next commit. */
  piece(work: (commit: Commit) => Step<Counts>): Promise<Piece>
}

/** Rows that are looked at together, on the reader. */
const PAGE = 1_000
/** Rows of up to 350 KB that one piece takes away. */
const PIECE = 100

/**
 * Mostly the commit that ended the last delivery has masked it. What ended otherwise is found here: with its integration, by
 * hand, by a recovery that gave it back.
 */
export async function* privatePayloads({ reads, piece }: SealedRetentionParts, at: number): AsyncGenerator<Piece> {
  for (let more = true; more; ) {
    yield await piece(function* () {
      const removed = yield* change(deleteSealed(at)(PIECE))
      more = removed === PIECE
      return { sealed_payload: removed }
    })
  }
  for (let after: SealedEvent | null = { project: 0, event: 0 }; after !== null; ) {
    const page: SealedPage = await lookAtSealed(reads, after, PAGE)
    yield { counts: {}, ms: 0 }
    for (let i = 0; i < page.over.length; i += PIECE) {
      const some = page.over.slice(i, i + PIECE)
      yield await piece(function* (commit) {
        let masked = 0
        for (const event of some) masked += yield* maskOver(commit, event)
        return { payload_masked: masked }
      })
    }
    after = page.last
  }
}
