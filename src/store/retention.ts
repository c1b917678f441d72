/**
 * Retention: what is kept so long and no longer (product.md, "What is kept, and how long"). Every step is a row of short
 * pieces; whoever runs it decides how long to rest between two of them. What is found on the reader costs the writer
 * nothing, and each piece joins the next commit, so that nobody waits longer for it than for a large batch.
 */
import { DAY_MS, HOUR_MS } from "../domain/duration.ts"
import { firstIdAt, type IntegrationId } from "../domain/id.ts"
import { SIGN_IN_WINDOW_MS } from "../domain/person.ts"
import { nextUntallied, tallyArrivals } from "./arrival-tallies.ts"
import { blockedLines, expiredBehind } from "./blocked-lines.ts"
import type { Commit } from "./commit.ts"
import { type Database, raw, type Sql, sql } from "./database.ts"
import {
  deleteAttempts,
  deleteChanges,
  deleteDeliveryHour,
  deleteDoneRemovals,
  deleteEntries,
  deleteFailures,
  deleteIdempotency,
  deleteInbox,
  deleteInboxRequests,
  deleteIngestHour,
  deleteInvitations,
  deleteKeptAnswers,
  deletePortalTokens,
  deleteRejections,
  deleteResets,
  deleteRevision,
  deleteSessions,
  deleteTries,
  type Limited,
} from "./deletions.ts"
import {
  IDEMPOTENCY_MS,
  integrationsOf,
  integrationsWithOldRevisions,
  integrationsWithOldTallies,
  LONG_MS,
  oldestDueAt,
  oldSegments,
  projectsWithOldEvents,
  projectsWithOldTallies,
  removedInboxes,
} from "./due.ts"
import { carryOver, expiredParts, lookAtExchanges, lookAtPayloads, removeFromPart } from "./expired-parts.ts"
import { forgetTurns } from "./inbox.ts"
import { INBOX_REQUESTS_MS, METADATA_MS, REJECTIONS_MS } from "./kept.ts"
import { KEPT_ANSWER_MS } from "./kept-answers.ts"
import type { Ledger } from "./ledger.ts"
import { endExpired } from "./move.ts"
import { removeOldEvents } from "./old-events.ts"
import { Pace, type PaceLimits } from "./pace.ts"
import { expiredOf, pausedIntegrations } from "./paused-waiting.ts"
import { endTogether } from "./postgres-expired.ts"
import { daysAhead } from "./postgres-parts.ts"
import {
  oldestDueAt as oldestDueAtOnPostgres,
  type PostgresRetentionParts,
  postgresSteps,
} from "./postgres-retention.ts"
import type { Reader } from "./reader.ts"
import { oldRecoveries } from "./recoveries.ts"
import { removeRecovery } from "./recovery-moves.ts"
import type { Counted, Counts, Piece, Step } from "./retention-step.ts"
import { privatePayloads } from "./sealed-retention.ts"
import { change, row, rows, type Step as Work } from "./step.ts"
import type { Store } from "./store.ts"

/** So long a portal's token stays in lists after its end: who asks why a page closed finds it. */
const PORTAL_TOKENS_MS = DAY_MS

export interface RetentionParts {
  readonly engine: Store["engine"]
  readonly ledger: Pick<Ledger, "inNextCommit">
  readonly db: Database
  readonly reads: Reader
}

/** How many rows of a part are looked at together: others wait for the reader too. */
const lookLimits = { first: 200, most: 2_000, pieceMs: 10 }
const pieceLimits = { first: 100, most: 500, pieceMs: 10 }
/** Rows of a part, or of a search segment, lie together, so that many of them are few pages. */
const partLimits = { first: 200, most: 2_000, pieceMs: 10 }
/** Rows with a body of up to 1 MiB each. */
const bodyLimits = { first: 10, most: 200, pieceMs: 10 }
/** How many waiting deliveries of a paused integration are looked at together. */
const PAUSED_PAGE = 5_000
/** Free pages stay for what comes in next, unless they are many: 64 MiB, or a quarter of what is in use. */
const FREE_PAGES_KEPT = 16_384
/** A page costs 0.1 ms, so that a run gives back some 80 MB; in no hurry, unless the disk is full. */
const RETURNING_MS = 2_000

export class Retention {
  readonly #engine: Store["engine"]
  readonly #ledger: Pick<Ledger, "inNextCommit">
  readonly #db: Database
  readonly #reads: Reader
  readonly #end: typeof endExpired

  constructor({ engine, ledger, db, reads }: RetentionParts) {
    this.#engine = engine
    this.#end = engine === "postgres" ? endExpiredTogether : endExpired
    this.#ledger = ledger
    this.#db = db
    this.#reads = reads
  }

  /** When the oldest thing that is still stored should have gone; null where nothing is stored. */
  oldestDueAt(): Promise<number | null> {
    return this.#engine === "postgres" ? oldestDueAtOnPostgres(this.#reads) : oldestDueAt(this.#reads)
  }

  /** How many days after that of `now` can be written to; null where nothing has to be made for them. */
  async daysAhead(now: number): Promise<number | null> {
    return this.#engine === "postgres" ? daysAhead(this.#reads, now) : null
  }

  /** Everything that is due at `at`, in the order in which it goes. `keepFree`: free pages are kept, not given back. */
  steps(at: number, keepFree: boolean): readonly Step[] {
    return [
      // Before any event goes.
      { name: "what came in", pieces: () => this.#untallied(at - METADATA_MS) },
      { name: "idempotency", pieces: () => this.#sweep("idempotency", deleteIdempotency(at - IDEMPOTENCY_MS)) },
      { name: "kept answers", pieces: () => this.#sweep("kept_answer", deleteKeptAnswers(at - KEPT_ANSWER_MS)) },
      { name: "sessions", pieces: () => this.#sweep("session", deleteSessions(at)) },
      { name: "tokens of portals", pieces: () => this.#sweep("api_key", deletePortalTokens(at - PORTAL_TOKENS_MS)) },
      { name: "invitations", pieces: () => this.#sweep("invitation", deleteInvitations(at - METADATA_MS)) },
      { name: "links for new passwords", pieces: () => this.#sweep("password_reset", deleteResets(at)) },
      { name: "tries to sign in", pieces: () => this.#sweep("sign_in_limit", deleteTries(at - SIGN_IN_WINDOW_MS)) },
      { name: "rejections", pieces: () => this.#sweepById("rejection", deleteRejections, at - REJECTIONS_MS) },
      { name: "inboxes", pieces: () => this.#inboxRequests(at - INBOX_REQUESTS_MS) },
      { name: "private payloads", pieces: () => privatePayloads(this.#parts, at) },
      // Before the parts, which would carry their payloads over.
      { name: "deliveries of paused integrations", pieces: () => this.#pausedDeliveries(at) },
      { name: "deliveries behind one that blocks their key", pieces: () => this.#blockedDeliveries(at) },
      ...(this.#engine === "postgres" ? this.#postgresSteps(at) : this.#embeddedSteps(at)),
      { name: "failures", pieces: () => this.#sweep("failure_group", deleteFailures(at - METADATA_MS)) },
      { name: "recoveries", pieces: () => this.#oldRecoveries(at - METADATA_MS) },
      { name: "tallies", pieces: () => this.#oldTallies(at - LONG_MS) },
      { name: "changes", pieces: () => this.#sweepById("change", deleteChanges, at - LONG_MS) },
      { name: "removals", pieces: () => this.#sweep("job", deleteDoneRemovals(at - LONG_MS)) },
      { name: "revisions", pieces: () => this.#oldRevisions(at - LONG_MS) },
      ...(this.#engine === "sqlite" ? [{ name: "free pages", pieces: () => this.#freePages(keepFree) }] : []),
    ]
  }

  #embeddedSteps(at: number): readonly Step[] {
    return [
      { name: "parts", pieces: () => this.#expiredParts(at) },
      { name: "events", pieces: () => this.#oldEvents(at) },
      // Those of deliveries went with them; what is left was recorded by someone who no longer held the claim.
      { name: "attempts", pieces: () => this.#sweepById("attempt", deleteAttempts, at - METADATA_MS) },
      { name: "search segments", pieces: () => this.#oldSegments() },
    ]
  }

  /** What steps that stand in files of their own are carried out with. */
  get #parts(): PostgresRetentionParts {
    return { db: this.#db, reads: this.#reads, piece: work => this.#piece(work) }
  }

  #postgresSteps(at: number): readonly Step[] {
    return postgresSteps(this.#parts, at)
  }

  /**
   * Events are tallied within seconds: none is left, unless a transaction has been open on the server for all that time. What
   * it may bring yet goes with the others.
   */
  async *#untallied(upTo: number): AsyncGenerator<Piece> {
    const last = this.#engine === "sqlite" ? Number.MAX_SAFE_INTEGER : firstIdAt(upTo + 1)
    for (let some = await nextUntallied(this.#reads, last); some !== null; ) {
      const now = some
      yield await this.#piece(function* () {
        yield* tallyArrivals(now)
        return {}
      })
      some = await nextUntallied(this.#reads, last)
    }
  }

  /** Those of removed inboxes as well: they go with the inbox, unless the process ended before they were gone. */
  async *#inboxRequests(upTo: number): AsyncGenerator<Piece> {
    yield* this.#sweep("inbox_request", deleteInboxRequests(firstIdAt(upTo + 1), upTo), bodyLimits)
    for (const id of await removedInboxes(this.#reads)) {
      yield* this.#sweep("inbox_request", deleteInbox(id), bodyLimits)
      yield await this.#piece(function* () {
        yield* forgetTurns(id)
        return {}
      })
    }
  }

  async *#pausedDeliveries(at: number): AsyncGenerator<Piece> {
    for (const paused of await pausedIntegrations(this.#reads)) {
      for await (const events of expiredOf(this.#reads, paused, { at, rows: PAUSED_PAGE })) {
        yield onlyRead
        for (let i = 0; i < events.length; i += pieceLimits.most) {
          const some = events.slice(i, i + pieceLimits.most)
          const given = { at, held: "pause" } as const
          const end = this.#end
          yield await this.#piece(function* (commit) {
            return { delivery_ended: yield* end(commit, paused.id, some, given) }
          })
        }
      }
    }
  }

  async *#blockedDeliveries(at: number): AsyncGenerator<Piece> {
    const given = { at, held: "block" } as const
    for await (const lines of blockedLines(this.#reads, PAUSED_PAGE)) {
      yield onlyRead
      for (const line of lines) {
        let ended = 0
        do {
          const events = await expiredBehind(this.#reads, line, { at, rows: pieceLimits.most })
          if (events.length === 0) break
          const end = this.#end
          const piece = await this.#piece(function* (commit) {
            ended = yield* end(commit, line.integration, events, given)
            return { delivery_ended: ended }
          })
          yield piece
        } while (ended > 0)
      }
    }
  }

  async *#expiredParts(at: number): AsyncGenerator<Piece> {
    for (const part of await expiredParts(this.#reads, at)) {
      yield await this.#piece(function* ({ parts }) {
        yield* parts.close(part)
        return {}
      })
      yield* this.#savePayloads(part)
      yield* this.#lookThrough((after, rows) => lookAtExchanges(this.#reads, part, after, rows))
      yield* this.#empty(part, "payload")
      yield* this.#empty(part, "exchange")
      yield await this.#piece(function* ({ parts }) {
        yield* parts.drop(part)
        return { part: 1 }
      })
    }
  }

  async *#empty(part: number, table: "payload" | "exchange"): AsyncGenerator<Piece> {
    const pace = new Pace(partLimits)
    for (let more = true; more; ) {
      const piece = await this.#piece(function* () {
        const removed = yield* removeFromPart(part, table, pace.size)
        more = removed > 0
        return { [table]: removed }
      })
      pace.took(piece.ms)
      yield piece
    }
  }

  async *#savePayloads(part: number): AsyncGenerator<Piece> {
    const found: number[] = []
    const look = async (after: number, rows: number) => {
      const page = await lookAtPayloads(this.#reads, part, after, rows)
      found.push(...page.needed)
      return page.last
    }
    for await (const piece of this.#lookThrough(look)) {
      yield piece
      for (let rest: readonly number[] = found.splice(0); rest.length > 0; ) {
        const some = rest
        yield await this.#piece(function* (commit) {
          // From `some` each time: a commit that fails for another's sake is run again.
          const carried = yield* carryOver(commit, part, some)
          rest = carried.rest
          return { payload_carried: carried.payloads }
        })
      }
    }
  }

  async *#lookThrough(look: (after: number, rows: number) => Promise<number | null>): AsyncGenerator<Piece> {
    const pace = new Pace(lookLimits)
    for (let after: number | null = 0; after !== null; ) {
      const startedAt = performance.now()
      after = await look(after, pace.size)
      pace.took(performance.now() - startedAt)
      yield onlyRead
    }
  }

  async *#oldEvents(at: number): AsyncGenerator<Piece> {
    const pace = new Pace(pieceLimits)
    const receivedUpTo = at - METADATA_MS
    for (const { project, first } of await projectsWithOldEvents(this.#reads, at, receivedUpTo)) {
      const integrations = await integrationsOf(this.#reads, project)
      for (let more = true; more; ) {
        let released: readonly IntegrationId[] = []
        const piece = await this.#piece(function* (commit) {
          const removed = yield* removeOldEvents(commit, {
            project,
            integrations,
            first,
            receivedUpTo,
            rows: pace.size,
          })
          more = removed.more
          released = removed.released
          const { event, delivery, attempt, ended } = removed
          return { event, delivery, attempt, delivery_ended: ended }
        })
        pace.took(piece.ms)
        yield { ...piece, released }
      }
    }
  }

  /** One at a time, with what it counted at each of its integrations. */
  async *#oldRecoveries(upTo: number): AsyncGenerator<Piece> {
    for (const id of await oldRecoveries(this.#reads, upTo)) {
      yield await this.#piece(function* () {
        yield* removeRecovery(id)
        return { recovery: 1 }
      })
    }
  }

  /** A segment goes when all events that it can name have gone; never the one that is written to. */
  async *#oldSegments(): AsyncGenerator<Piece> {
    for (const id of await oldSegments(this.#reads)) {
      yield* this.#sweep("search_entry", deleteEntries(id), partLimits)
      yield await this.#piece(function* () {
        yield* change(sql`delete from search_segment where id = ${id}`)
        return {}
      })
    }
  }

  /** An hour of a project's ingest, or of an integration, at a time: some dozens of rows. */
  async *#oldTallies(upTo: number): AsyncGenerator<Piece> {
    const hour = upTo - HOUR_MS
    for (const project of await projectsWithOldTallies(this.#reads, hour)) {
      yield* this.#repeat("ingest_tally", deleteIngestHour(project, hour))
    }
    for (const { project, id } of await integrationsWithOldTallies(this.#reads, hour)) {
      yield* this.#repeat("delivery_tally", deleteDeliveryHour(project, id, hour))
    }
  }

  /**
   * A revision goes so long after the next one has taken its place: the current one never does, nor one that a delivery
   * names, since deliveries go so much earlier.
   */
  async *#oldRevisions(upTo: number): AsyncGenerator<Piece> {
    for (const id of await integrationsWithOldRevisions(this.#reads, upTo)) {
      yield* this.#repeat("integration_revision", deleteRevision(id, upTo))
    }
  }

  /** Gives pages that nothing uses any more back to the disk. */
  async *#freePages(keepFree: boolean): AsyncGenerator<Piece> {
    const pace = new Pace({ first: 50, most: 200, pieceMs: 10 })
    for (let leftMs = keepFree ? RETURNING_MS : Number.POSITIVE_INFINITY; leftMs > 0; ) {
      let returned = 0
      const piece = await this.#piece(function* () {
        const { free, pages } = yield* countPages()
        const kept = keepFree ? Math.max(FREE_PAGES_KEPT, Math.floor((pages - free) / 4)) : 0
        if (free > kept) yield* rows(sql`pragma incremental_vacuum(${raw(`${Math.min(pace.size, free - kept)}`)})`)
        returned = free - (yield* countPages()).free
        return { page_returned: returned }
      })
      // A database that was made without `auto_vacuum` keeps its pages.
      if (returned === 0) break
      pace.took(piece.ms)
      leftMs -= piece.ms
      yield piece
    }
    // Only now does the file become shorter.
    if (!keepFree) await this.#db.query(sql`pragma wal_checkpoint(passive)`)
  }

  /** Deletes up to a time in a table whose ids follow the time: they bound the search, and the time decides. */
  #sweepById(counted: Counted, text: (before: number, upTo: number) => Limited, upTo: number): AsyncGenerator<Piece> {
    return this.#sweep(counted, text(firstIdAt(upTo + 1), upTo))
  }

  /** Runs a deletion until it finds nothing more. */
  async *#repeat(counted: Counted, statement: Sql): AsyncGenerator<Piece> {
    for (let more = true; more; ) {
      yield await this.#piece(function* () {
        const changes = yield* change(statement)
        more = changes !== 0
        return { [counted]: changes }
      })
    }
  }

  /** Runs a deletion of so many rows until it finds no more than that. */
  async *#sweep(counted: Counted, deletion: Limited, limits: PaceLimits = pieceLimits): AsyncGenerator<Piece> {
    const pace = new Pace(limits)
    for (let more = true; more; ) {
      const limit = pace.size
      const piece = await this.#piece(function* () {
        const changes = yield* change(deletion(limit))
        more = changes === limit
        return { [counted]: changes }
      })
      pace.took(piece.ms)
      yield piece
    }
  }

  #piece(work: (commit: Commit) => Work<Counts>): Promise<Piece> {
    return this.#ledger.inNextCommit(function* (commit) {
      const startedAt = performance.now()
      const counts = yield* work(commit)
      return { counts, ms: performance.now() - startedAt }
    })
  }
}

function* endExpiredTogether(...[commit, lane, events, { at, held }]: Parameters<typeof endExpired>): Work<number> {
  return (yield* endTogether(commit, { lanes: events.map(() => lane), events, at, held })).ended
}

function* countPages(): Work<{ readonly free: number; readonly pages: number }> {
  const free = yield* row<{ freelist_count: number }>(sql`pragma freelist_count`)
  const pages = yield* row<{ page_count: number }>(sql`pragma page_count`)
  return { free: free?.freelist_count ?? 0, pages: pages?.page_count ?? 0 }
}

const onlyRead: Piece = { counts: {}, ms: 0 }
