/**
 * Payloads with private fields. What readers see of one lies where all payloads lie, masked; the whole of it lies here, sealed
 * and bound to its event, for as long as a delivery of it is open: due, under way, to be tried again, held back, behind
 * another of its ordering key, or in front of the line of that key until a person decides. The commit that ends the last one
 * takes it away; what ends them by other ways leaves it to retention, a minute later at the most. It is never used for longer
 * than its payload was to be kept.
 *
 * An event without private fields has no row here, and none of the steps of its way looks for one: that it has, the kind of
 * its stored payload says.
 */
import type { Facts } from "../domain/delivery.ts"
import type { Payload, Privacy } from "../domain/event.ts"
import type { EventId, ProjectId } from "../domain/id.ts"
import { maskPayload, privateFieldsOf } from "../domain/private-fields.ts"
import type { Commit } from "./commit.ts"
import { join, list, type Sql, sql } from "./database.ts"
import type { Limited } from "./deletions.ts"
import type { Arrival } from "./ledger.ts"
import type { Reader } from "./reader.ts"
import { isMasked } from "./rows.ts"
import type { Seal } from "./seal.ts"
import { change, type Step } from "./step.ts"

/** What is kept of one payload. */
export interface SealedRow {
  readonly project_id: ProjectId
  readonly event_id: EventId
  readonly sealed: string | null
  readonly masked_at: number | null
  readonly expires_at: number
}

/** An event that has a row here. */
export interface SealedEvent {
  readonly project: ProjectId
  readonly event: EventId
}

/** The place that a payload is sealed for, so that it opens as no other event's. */
export function placeOfSealed({ project, event }: SealedEvent): string {
  return `sealed_payload/${project}/${event}`
}

/** The row of an arrival with private fields. Where it goes to nobody nothing whole is kept from the start. */
export function sealedRow(
  seal: Seal,
  arrival: Arrival & { readonly privacy: Privacy },
  event: EventId,
  expiresAt: number,
): SealedRow {
  const { project, draft, receivedAt, targets, privacy } = arrival
  const isKept = targets.length > 0
  return {
    project_id: project,
    event_id: event,
    sealed: isKept ? seal.seal(placeOfSealed({ project, event }), wholeToText(draft.payload, privacy.pointers)) : null,
    masked_at: isKept ? null : receivedAt,
    expires_at: expiresAt,
  }
}

/** Keeps rows, in the commit that stores their events. */
export function insertSealed(rows: readonly SealedRow[]): Sql {
  const values = rows.map(
    row => sql`(${row.project_id}, ${row.event_id}, ${row.sealed}, ${row.masked_at}, ${row.expires_at})`,
  )
  return sql`
    insert into sealed_payload (project_id, event_id, sealed, masked_at, expires_at) values ${join(values, ", ")}`
}

/** Selects the rows of some events. By the project, as SQLite takes no more than a thousand conditions. Primary key. */
export function selectSealed(events: readonly SealedEvent[]): Sql {
  const ofProjects = [...Map.groupBy(events, ({ project }) => project)].map(
    ([project, own]) => sql`(project_id = ${project} and event_id in ${list(own.map(({ event }) => event))})`,
  )
  return sql`
    select project_id, event_id, sealed, masked_at, expires_at from sealed_payload where ${join(ofProjects, " or ")}`
}

/** When the private fields of an event, from a table called `e`, were masked; null where they are not, or it has none. Primary key. */
export const maskedAt: Sql = sql`
  (select s.masked_at from sealed_payload s where s.project_id = e.project_id and s.event_id = e.id)`

/** A payload that is whole again with what is private of it, or facts on why it cannot be. */
export type Opened =
  | { readonly kind: "whole"; readonly payload: Payload; readonly privacy: Privacy }
  | { readonly kind: "gone"; readonly facts: Facts }

/** Opens what is kept of an event whose stored payload is masked. */
export function openSealed(seal: Seal, row: SealedRow | undefined, now: number): Opened {
  if (row === undefined || row.expires_at <= now) {
    return { kind: "gone", facts: row === undefined ? {} : { expired_at: row.expires_at } }
  }
  if (row.sealed === null) return { kind: "gone", facts: { private: "masked", masked_at: row.masked_at } }
  try {
    const place = placeOfSealed({ project: row.project_id, event: row.event_id })
    const { payload, pointers } = wholeOfText(seal.open(place, row.sealed))
    const fields = privateFieldsOf(pointers)
    const masked = fields === null ? payload : (maskPayload(payload, fields) ?? payload)
    return { kind: "whole", payload, privacy: { pointers, masked } }
  } catch {
    // Changed behind the program's back, or sealed with a key that is no longer there: what is masked is never sent in its place.
    return { kind: "gone", facts: { private: "unreadable" } }
  }
}

/** Payloads of a project made whole, by event; those that cannot be any more are left out. */
export async function openAll(
  { reads, seal }: { readonly reads: Reader; readonly seal: Seal },
  project: ProjectId,
  payloads: ReadonlyMap<EventId, Payload>,
  now: number,
): Promise<Map<EventId, { readonly payload: Payload; readonly privacy?: Privacy }>> {
  const masked = [...payloads].flatMap(([event, payload]) => (isMasked(payload) ? [{ project, event }] : []))
  const found = masked.length === 0 ? [] : await reads.query<SealedRow>(selectSealed(masked))
  const byEvent = new Map(found.map(row => [row.event_id, row]))
  const whole = new Map<EventId, { readonly payload: Payload; readonly privacy?: Privacy }>()
  for (const [event, payload] of payloads) {
    if (!isMasked(payload)) {
      whole.set(event, { payload })
      continue
    }
    const opened = openSealed(seal, byEvent.get(event), now)
    if (opened.kind === "whole") whole.set(event, opened)
  }
  return whole
}

/** When the private fields of an event were masked; null where its data is still there whole, or has none. Primary key. */
export async function readMaskedAt(db: Reader, { project, event }: SealedEvent): Promise<number | null> {
  const [row] = await db.query<SealedRow>(selectSealed([{ project, event }]))
  return row?.masked_at ?? null
}

/** Takes the whole payload of an event away, unless a delivery of it is open; gives how many went. Primary keys. */
export function maskOver({ now }: Commit, { project, event }: SealedEvent): Step<number> {
  return change(sql`
    update sealed_payload set sealed = null, masked_at = ${now}
    where project_id = ${project} and event_id = ${event} and sealed is not null
      and not exists (
        select 1 from event e where e.project_id = ${project} and e.id = ${event} and ${isOpen})`)
}

/** Whether a delivery of an event, from a table called `e`, may still be sent, or holds the line of its ordering key. */
const isOpen = sql`(
  e.n_open + e.n_retrying > 0
  or (e.ordering_key is not null and exists (
    select 1 from json_each(e.targets) t join delivery d on d.integration_id = t.value and d.event_id = e.id
    where d.status = 'failed' and d.queue = 1)))`

/** A page of what is kept whole. */
export interface SealedPage {
  /** The last one that was looked at; null at the end. */
  readonly last: SealedEvent | null
  /** Events of which no delivery is open any more. */
  readonly over: readonly SealedEvent[]
}

/** Looks at what is kept whole after an event, and says what need not be. Index sealed_payload_open; primary key of `event`. */
export async function lookAtSealed(db: Reader, after: SealedEvent, rows: number): Promise<SealedPage> {
  const found = await db.query<SealedEvent & { readonly is_open: number }>(sql`
    select s.project_id as project, s.event_id as event, case when exists (
      select 1 from event e where e.project_id = s.project_id and e.id = s.event_id and ${isOpen}) then 1 else 0 end as is_open
    from sealed_payload s
    where s.sealed is not null and (s.project_id, s.event_id) > (${after.project}, ${after.event})
    order by s.project_id, s.event_id limit ${rows}`)
  const over = found.filter(row => row.is_open === 0).map(({ project, event }) => ({ project, event }))
  return { last: found.at(-1) ?? null, over }
}

/** Rows whose payload's time is over. Index sealed_payload_by_expiry. */
export function deleteSealed(upTo: number): Limited {
  return limit => sql`
    delete from sealed_payload
    where (project_id, event_id) in (
      select project_id, event_id from sealed_payload where expires_at <= ${upTo} order by expires_at limit ${limit})`
}

interface Head {
  readonly pointers: readonly string[]
  readonly kind: "json" | "text" | "bytes"
  readonly media_type: string | null
}

/** A line that says what it is, then the data as it came in; bytes as base64. */
function wholeToText(payload: Payload, pointers: readonly string[]): string {
  const head = (kind: Head["kind"], media_type: string | null) => `${JSON.stringify({ pointers, kind, media_type })}\n`
  switch (payload.kind) {
    case "json":
      return head("json", null) + payload.text
    case "text":
      return head("text", payload.mediaType) + payload.text
    case "bytes":
      return head("bytes", payload.mediaType) + payload.bytes.toBase64()
    case "none":
      throw new Error("An event without data has no private fields.")
  }
}

function wholeOfText(text: string): { readonly payload: Payload; readonly pointers: readonly string[] } {
  const end = text.indexOf("\n")
  const { pointers, kind, media_type: mediaType } = JSON.parse(text.slice(0, end)) as Head
  const data = text.slice(end + 1)
  switch (kind) {
    case "json":
      return { pointers, payload: { kind, text: data } }
    case "text":
      return { pointers, payload: { kind, text: data, mediaType: mediaType ?? "text/plain" } }
    case "bytes":
      return { pointers, payload: { kind, bytes: Uint8Array.fromBase64(data), mediaType } }
  }
}
