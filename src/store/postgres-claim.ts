/** Claim on PostgreSQL: the oldest due deliveries of several lanes in one round trip, with their events and payloads. */
import type { Event } from "../domain/event.ts"
import type { DeliveryId, EventId, IntegrationId } from "../domain/id.ts"
import { DUE, type Queue } from "../domain/queue.ts"
import type { Commit } from "./commit.ts"
import { type Sql, sql } from "./database.ts"
import type { Claim, Claimed } from "./ledger.ts"
import { Columns, verb } from "./postgres-columns.ts"
import { type EventRow, eventColumns, eventOfRow, isMasked, type PayloadRow, payloadOfRow } from "./rows.ts"
import type { Seal } from "./seal.ts"
import { type Opened, openSealed, type SealedEvent, type SealedRow, selectSealed } from "./sealed-payloads.ts"
import { change, row, rows, type Step } from "./step.ts"

/** What a lane asks for. */
export interface Wanted {
  readonly lane: IntegrationId
  readonly room: number
  readonly now: number
  readonly queue: Queue
}

const laneColumns = { lane: "bigint", queue: "bigint", upTo: "bigint", room: "bigint" } as const
/** fence, at, then the columns. */
const claim = verb("claim_1", 2, laneColumns)

/** Forms the call for the lanes of one process. A lane and queue stand in it once. */
export function claimCall(wanted: readonly Wanted[], fence: number, at: number): Sql {
  const lanes = new Columns(laneColumns)
  for (const { lane, room, now, queue } of wanted) lanes.add({ lane, queue, upTo: now, room })
  return claim([fence, at, ...lanes.arrays])
}

interface DueRow {
  readonly event_id: number
  readonly d_revision: number | null
  readonly attempts: number
  readonly schedule_attempts: number
  readonly charged: number
  readonly last_attempt_id: number | null
  readonly created_at: number
  readonly due_at: number | null
  readonly queue: Queue
  readonly delivery_key: string | null
  readonly recovery_id: number | null
}

type DeliveryRow = DueRow &
  Omit<EventRow, "id"> & { readonly kind: PayloadRow["kind"] | null } & Pick<PayloadRow, "data" | "media_type">

/** A row of `claim_1`: a delivery, or when the next of a lane is due. */
export type ClaimRow = { readonly i: number } & (DeliveryRow | { readonly event_id: null; readonly due_at: number })

/** What each lane gets. */
export function claimedOf(
  wanted: readonly Wanted[],
  fence: number,
  found: readonly ClaimRow[],
  opener: Opener,
): readonly Claimed[] {
  const byLane = Map.groupBy(found, ({ i }) => i)
  return wanted.map(({ lane }, index) => {
    const claims: Claim[] = []
    let nextAt: number | null = null
    for (const one of byLane.get(index + 1) ?? []) {
      if (one.event_id === null) nextAt = one.due_at
      else claims.push(claimOfRow(lane, fence, one as DeliveryRow, opener))
    }
    return { claims, nextAt }
  })
}

/** Takes one delivery that waits for its time and is due, where this process holds its lane. Primary key. */
export function* claimOne(
  { now }: Commit,
  { integration, event }: DeliveryId,
  fence: number,
  seal: Seal,
): Step<Claim | null> {
  const held = yield* row(sql`
    select 1 as it from lane where integration_id = ${integration} and holder = ${fence} for share`)
  if (held === undefined) return null
  const due = yield* row<DeliveryRow & { readonly d_status: string }>(sql`
    select d.event_id, d.status as d_status, d.next_at as due_at, ${deliveryColumns}, ${eventColumns},
      p.kind, p.data, p.media_type
    from delivery d join event e on e.project_id = d.project_id and e.id = d.event_id
      left join payload p on p.event_id = e.id and p.part = e.payload_part
    where d.integration_id = ${integration} and d.event_id = ${event} and d.queue = ${DUE} and d.next_at <= ${now}
    for update of d`)
  if (due === undefined) return null
  yield* change(sql`
    update delivery set
      status = 'sending', reason = null, next_at = null, queue = 0, claim = ${fence}, updated_at = ${now}
    where integration_id = ${integration} and event_id = ${event}`)
  if (due.d_status !== "pending") {
    yield* change(sql`
      update event set n_retrying = n_retrying - 1, n_open = n_open + 1
      where project_id = ${due.project_id} and id = ${event}`)
  }
  return claimOfRow(integration, fence, due, yield* openerFor([due], seal, now))
}

/**
 * Claims of processes that are no more, in lanes that this process holds (in all where it is left out): one process at a
 * time finds each of them. And those of its own that it has forgotten. Index delivery_sending, and the primary key.
 */
export function* lostClaims(
  limit: number,
  fence: number | undefined,
  forgotten: readonly DeliveryId[],
  { seal, now }: { readonly seal: Seal; readonly now: number },
): Step<readonly Claim[]> {
  const ours =
    fence === undefined
      ? sql``
      : sql` and exists (select 1 from lane l where l.integration_id = d.integration_id and l.holder = ${fence})`
  const lost = [
    ...(yield* rows<LostRow>(sql`${lostSelect}
      where d.claim is not null and not exists (
        select 1 from node n where n.id = d.claim and n.expires_at > clock_timestamp())${ours}
      limit ${limit}`)),
  ]
  for (const { integration, event } of fence === undefined ? [] : forgotten) {
    lost.push(
      ...(yield* rows<LostRow>(sql`${lostSelect}
        where d.integration_id = ${integration} and d.event_id = ${event} and d.claim = ${fence ?? 0}`)),
    )
  }
  const opener = yield* openerFor(lost, seal, now)
  return lost.map(one => claimOfRow(one.integration_id, one.claim, one, opener))
}

/** Makes the data of events with private fields whole. */
export type Opener = (event: EventId) => Opened

/** Events of these rows whose data is masked where it is read. */
export function maskedEvents(found: readonly ClaimRow[]): readonly SealedEvent[] {
  return found.flatMap(row =>
    row.event_id !== null && "kind" in row && row.kind?.startsWith("masked") === true
      ? [{ project: row.project_id, event: row.event_id }]
      : [],
  )
}

/** Opens what these rows keep. */
export function openerOf(sealed: readonly SealedRow[], seal: Seal, now: number): Opener {
  const byEvent = new Map(sealed.map(row => [row.event_id, row]))
  return event => openSealed(seal, byEvent.get(event), now)
}

function* openerFor(found: readonly DeliveryRow[], seal: Seal, now: number): Step<Opener> {
  const masked = maskedEvents(found.map(row => ({ i: 0, ...row })))
  return openerOf(masked.length === 0 ? [] : yield* rows<SealedRow>(selectSealed(masked)), seal, now)
}

type LostRow = DeliveryRow & { readonly integration_id: number; readonly claim: number }

const deliveryColumns = sql`
  d.revision as d_revision, d.attempts, d.schedule_attempts, d.charged, d.last_attempt_id, d.created_at, d.queue,
  d.ordering_key as delivery_key, d.recovery_id`

const lostSelect = sql`
  select d.integration_id, d.claim, d.event_id, d.next_at as due_at, ${deliveryColumns}, ${eventColumns},
    p.kind, p.data, p.media_type
  from delivery d join event e on e.project_id = d.project_id and e.id = d.event_id
    left join payload p on p.event_id = e.id and p.part = e.payload_part`

function claimOfRow(lane: IntegrationId, claim: number, found: DeliveryRow, opener: Opener): Claim {
  const { kind, data, media_type, payload_part: part } = found
  const payload = payloadOfRow(part, kind === null ? undefined : { kind, data, media_type })
  const opened = payload !== undefined && isMasked(payload) ? opener(found.event_id) : undefined
  const whole = opened === undefined ? payload : opened.kind === "whole" ? opened.payload : undefined
  const event: Event | null = whole === undefined ? null : eventOfRow({ ...found, id: found.event_id }, whole)
  return {
    delivery: { event: found.event_id, integration: lane },
    claim,
    event,
    privacy: opened?.kind === "whole" ? opened.privacy : undefined,
    gone: opened?.kind === "gone" ? opened.facts : undefined,
    project: found.project_id,
    revision: found.d_revision,
    attempts: found.attempts,
    scheduleAttempts: found.schedule_attempts,
    charged: found.charged,
    lastAttempt: found.last_attempt_id,
    createdAt: found.created_at,
    dueAt: found.due_at ?? found.created_at,
    queue: found.queue,
    orderingKey: found.delivery_key,
    recovery: found.recovery_id,
    tally: { app: found.app_id, environment: found.environment, type: found.type, test: found.test === 1 },
  }
}
