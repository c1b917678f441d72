/** Attempts as people read them, and what went over the wire in each while that is kept. */
import { isUtf8 } from "node:buffer"
import type { AttemptOutcome } from "../domain/delivery.ts"
import { DAY_MS } from "../domain/duration.ts"
import type { ErrorClass, Phase, Timings } from "../domain/exchange.ts"
import {
  type AttemptId,
  type DeliveryId,
  firstIdAt,
  type IntegrationId,
  type ProjectId,
  type RecoveryId,
} from "../domain/id.ts"
import type { ReasonCode } from "../domain/reason.ts"
import { list, raw, type Sql, sql } from "./database.ts"
import { type EventFilter, eventConditions } from "./event-filter.ts"
import { isReadable, METADATA_MS, rowsOfPart } from "./kept.ts"
import type { Reader } from "./reader.ts"
import { attemptFlags } from "./settle.ts"

/** One attempt without its request and answer. */
export interface AttemptSummary {
  readonly id: AttemptId
  readonly project: ProjectId
  readonly delivery: DeliveryId
  readonly number: number
  readonly startedAt: number
  readonly outcome: AttemptOutcome
  /** Null after a success. */
  readonly reason: ReasonCode | null
  /** Of the answer; null where none came. */
  readonly status: number | null
  /** What broke the exchange off. */
  readonly error: {
    readonly class: ErrorClass
    readonly phase: Phase
    readonly code: string
    readonly message: string
  } | null
  /** The answer's body was longer than what was kept. */
  readonly truncated: boolean
  /** The answer's body was cut off. */
  readonly incomplete: boolean
  readonly revision: number
  readonly process: string
  /** Host and path; null where nothing was sent. */
  readonly url: string | null
  /** Null where it is not known what came of it. */
  readonly timings: Timings | null
  /** The recovery that it was made for; null where it was none. */
  readonly recovery: RecoveryId | null
  /** Where its exchange lies; null where there is none. */
  readonly exchangePart: number | null
  /** From when on the exchange can no longer be read; null where there is none, or its part has gone. */
  readonly exchangeExpiresAt: number | null
}

/** What went over the wire, as far as it is kept. */
export interface KeptExchange {
  /** In the order in which they went out; the value of a secret one is null. */
  readonly requestHeaders: readonly (readonly [name: string, value: string | null])[]
  /** Null where it can be made again from the event and the revision. */
  readonly requestBody: string | Uint8Array | null
  /** Null where no answer came. */
  readonly response: {
    readonly headers: readonly (readonly [name: string, value: string])[]
    readonly body: Uint8Array
  } | null
}

export interface AttemptRow {
  readonly id: number
  readonly project_id: number
  readonly integration_id: number
  readonly event_id: number
  readonly number: number
  readonly started_at: number
  readonly outcome: AttemptOutcome
  readonly reason: ReasonCode | null
  readonly status: number | null
  readonly class: ErrorClass | null
  readonly phase: Phase | null
  readonly code: string | null
  readonly message: string | null
  readonly flags: number
  readonly revision: number
  readonly process: string
  readonly url: string | null
  readonly dns_ms: number | null
  readonly connect_ms: number | null
  readonly tls_ms: number | null
  readonly wait_ms: number | null
  readonly body_ms: number | null
  readonly total_ms: number | null
  readonly exchange_part: number | null
  readonly recovery_id: number | null
  readonly retention_days: number | null
}

/** The columns of an AttemptRow, from a table called `a`. */
export const attemptColumns: Sql = sql`
  a.id, a.project_id, a.integration_id, a.event_id, a.number, a.started_at, a.outcome, a.reason, a.status, a.class,
  a.phase, a.code, a.message, a.flags, a.revision, a.process, a.url, a.dns_ms, a.connect_ms, a.tls_ms, a.wait_ms,
  a.body_ms, a.total_ms, a.exchange_part, a.recovery_id,
  (select p.retention_days from part p where p.id = a.exchange_part) as retention_days`

export function attemptOfRow(row: AttemptRow): AttemptSummary {
  const { dns_ms, connect_ms, tls_ms, wait_ms, body_ms, total_ms } = row
  return {
    id: row.id,
    project: row.project_id,
    delivery: { event: row.event_id, integration: row.integration_id },
    number: row.number,
    startedAt: row.started_at,
    outcome: row.outcome,
    reason: row.reason,
    status: row.status,
    error:
      row.class === null || row.phase === null
        ? null
        : { class: row.class, phase: row.phase, code: row.code ?? "", message: row.message ?? "" },
    truncated: (row.flags & attemptFlags.truncated) !== 0,
    incomplete: (row.flags & attemptFlags.incomplete) !== 0,
    revision: row.revision,
    process: row.process,
    url: row.url,
    timings:
      total_ms === null
        ? null
        : { dnsMs: dns_ms, connectMs: connect_ms, tlsMs: tls_ms, waitMs: wait_ms, bodyMs: body_ms, totalMs: total_ms },
    recovery: row.recovery_id,
    exchangePart: row.exchange_part,
    exchangeExpiresAt: row.retention_days === null ? null : row.started_at + row.retention_days * DAY_MS,
  }
}

/**
 * The attempts of deliveries, each the newest first and at most so many: a delivery's attempts are a chain from its last
 * one. Primary key of `attempt`.
 */
export async function readAttempts(
  db: Reader,
  deliveries: readonly { readonly lastAttempt: AttemptId | null }[],
  atMost: number,
): Promise<AttemptSummary[]> {
  const last = deliveries.flatMap(({ lastAttempt }) => lastAttempt ?? [])
  if (last.length === 0) return []
  const rows = await db.query<AttemptRow>(sql`
    with recursive chain (id, place) as (
      select id, 1 from attempt where id in ${list(last)}
      union all
      select a.previous_id, chain.place + 1
      from chain join attempt a on a.id = chain.id
      where a.previous_id is not null and chain.place < ${atMost}
    )
    select ${attemptColumns} from chain join attempt a on a.id = chain.id
    order by a.id desc`)
  return rows.map(attemptOfRow)
}

/** The last attempts at an integration that succeeded or did not, newest first. Index attempt_succeeded or attempt_failed. */
export async function lastAttempts(
  db: Reader,
  asked: {
    readonly project: ProjectId
    readonly integration: IntegrationId
    readonly outcome: "success" | "error"
    /** What has to hold of their events. */
    readonly of?: EventFilter
    readonly limit: number
    readonly now: number
  },
): Promise<AttemptSummary[]> {
  const { project, integration, of = {}, limit, now } = asked
  const outcome = asked.outcome === "success" ? sql`a.outcome = 'success'` : sql`a.outcome <> 'success'`
  const rows = await db.query<AttemptRow>(sql`
    select ${attemptColumns}
    from attempt a join event e on e.project_id = a.project_id and e.id = a.event_id
    where a.integration_id = ${integration} and ${outcome} and a.id >= ${firstIdAt(now - METADATA_MS)}
      and a.project_id = ${project} and ${isReadable(now)} and ${eventConditions(of)}
    order by a.id desc limit ${limit}`)
  return rows.map(attemptOfRow)
}

/** Attempts by their ids, the newest first. Primary key. */
export async function attemptsById(db: Reader, ids: readonly AttemptId[]): Promise<AttemptSummary[]> {
  if (ids.length === 0) return []
  const rows = await db.query<AttemptRow>(sql`
    select ${attemptColumns} from attempt a where a.id in ${list(ids)} order by a.id desc`)
  return rows.map(attemptOfRow)
}

/** What went over the wire in some attempts, by attempt; those whose time is over are not there. Primary keys. */
export async function readExchanges(
  db: Reader,
  attempts: readonly AttemptSummary[],
  now: number,
): Promise<Map<AttemptId, KeptExchange>> {
  const kept = attempts.filter(({ exchangeExpiresAt }) => exchangeExpiresAt !== null && exchangeExpiresAt > now)
  const exchanges = new Map<AttemptId, KeptExchange>()
  for (const [part, group] of Map.groupBy(kept, attempt => attempt.exchangePart)) {
    const rows = await rowsOfPart(
      db.query<ExchangeRow>(sql`
        select attempt_id, request_headers, request_body, response_headers, response_body
        from ${raw(`exchange_${part}`)} where attempt_id in ${list(group.map(attempt => attempt.id))}`),
    )
    for (const row of rows) exchanges.set(row.attempt_id, exchangeOfRow(row))
  }
  return exchanges
}

interface ExchangeRow {
  readonly attempt_id: number
  readonly request_headers: string
  readonly request_body: string | Uint8Array | null
  readonly response_headers: string | null
  readonly response_body: Uint8Array | null
}

/** Text as text, also where the engine keeps bytes alone. */
function asText(body: string | Uint8Array | null): string | Uint8Array | null {
  if (body === null || typeof body === "string" || !isUtf8(body)) return body
  return Buffer.from(body.buffer, body.byteOffset, body.byteLength).toString()
}

function exchangeOfRow(row: ExchangeRow): KeptExchange {
  return {
    requestHeaders: JSON.parse(row.request_headers) as KeptExchange["requestHeaders"],
    requestBody: asText(row.request_body),
    response:
      row.response_headers === null
        ? null
        : {
            headers: JSON.parse(row.response_headers) as readonly (readonly [string, string])[],
            body: row.response_body ?? new Uint8Array(0),
          },
  }
}
