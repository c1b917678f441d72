/** Accept on SQLite: an event, its payload, its own id and its deliveries, in the commit that is open. */
import { DAY_MS } from "../domain/duration.ts"
import type { Payload, Privacy } from "../domain/event.ts"
import type { EventId, IntegrationId } from "../domain/id.ts"
import { DUE, IN_LINE } from "../domain/queue.ts"
import { asEvent } from "./accept.ts"
import type { Accepted, Arrival } from "./ledger.ts"
import { kindOf } from "./rows.ts"
import { insertSealed, sealedRow } from "./sealed-payloads.ts"
import { runNow, type SqliteDatabase } from "./sqlite.ts"
import type { SqliteCommit } from "./sqlite-ledger.ts"
import { change } from "./step.ts"

/** Stores one arrival, or finds that it is a repeat of an earlier one. */
export function acceptOne(commit: SqliteCommit, arrival: Arrival): Accepted {
  const earlier = findEarlier(commit, arrival)
  if (earlier !== undefined) return earlier
  const { db, ids, parts, search } = commit
  const { draft, project, receivedAt } = arrival
  const id: EventId = ids.next()
  const { privacy } = arrival
  const payload = privacy === undefined ? draft.payload : privacy.masked
  const data = payloadColumns(payload)
  const bytes = data?.bytes ?? 0
  const part = data === undefined ? 0 : parts.partFor(arrival.payloadDays, commit.now, bytes)
  const { targets } = arrival
  db.statements
    .text(insertEvent)
    .run(
      project,
      id,
      draft.type,
      draft.source,
      draft.externalId,
      draft.environment,
      arrival.appId,
      draft.profileId,
      draft.deviceId,
      draft.sourceRecord,
      draft.orderingKey,
      draft.occurredAt ?? receivedAt,
      receivedAt,
      draft.historical ? 1 : 0,
      arrival.test ? 1 : 0,
      arrival.key,
      draft.cloud === null ? null : JSON.stringify(draft.cloud),
      part,
      bytes,
      receivedAt + arrival.payloadDays * DAY_MS,
      targets.length === 0 ? "[]" : `[${targets.map(target => target.integration).join(",")}]`,
      JSON.stringify(arrival.withheld),
      arrival.red,
      targets.length,
    )
  if (data !== undefined) {
    db.statements
      .text(`insert into payload_${part} (event_id, project_id, kind, data, media_type) values (?, ?, ?, ?, ?)`)
      .run(id, project, kindOf(payload), data.value, data.mediaType)
  }
  if (privacy !== undefined) keepWhole(commit, { ...arrival, privacy }, id)
  rememberIds(commit, arrival, id)
  if (draft.profileId !== null) search.add(project, "profile_id", draft.profileId, id)
  if (draft.deviceId !== null) search.add(project, "device_id", draft.deviceId, id)
  if (draft.sourceRecord !== null) search.add(project, "source_record", draft.sourceRecord, id)
  const insert = db.statements.text(insertDelivery)
  for (const { integration, claim, ordered } of targets) {
    const sending = claim !== null
    const key = ordered ? draft.orderingKey : null
    const isBehind = key !== null && isLineTaken(db, integration, key)
    insert.run(
      integration,
      id,
      project,
      sending ? "sending" : "pending",
      sending ? null : isBehind ? "waiting_turn" : "queued",
      sending ? null : receivedAt,
      claim,
      key,
      isBehind ? IN_LINE : DUE,
      receivedAt,
      receivedAt,
    )
  }
  return { kind: "new", id, event: asEvent(arrival, id) }
}

/** The row that holds the data of an event with private fields whole. */
function keepWhole({ db, seal }: SqliteCommit, arrival: Arrival & { readonly privacy: Privacy }, id: EventId): void {
  const row = sealedRow(seal, arrival, id, arrival.receivedAt + arrival.payloadDays * DAY_MS)
  runNow(db, change(insertSealed([row])))
}

/** Whether someone stands in the line of a key already, on its way or blocking it. Index delivery_in_line. */
function isLineTaken(db: SqliteDatabase, lane: IntegrationId, key: string): boolean {
  return db.statements.text(selectInLine).get(lane, key) !== undefined
}

function findEarlier(
  { db }: SqliteCommit,
  { project, draft, fingerprint, idempotencyKey }: Arrival,
): Accepted | undefined {
  if (idempotencyKey !== null) {
    const row = db.statements.text(selectIdempotency).get(project, idempotencyKey) as Earlier | undefined
    if (row !== undefined) {
      return { kind: row.fingerprint === fingerprint ? "repeat" : "conflict", id: row.event_id, by: "idempotency_key" }
    }
  }
  if (draft.externalId !== null) {
    const row = db.statements.text(selectOwnId).get(project, draft.externalId, draft.source) as Earlier | undefined
    if (row !== undefined) {
      return { kind: row.fingerprint === fingerprint ? "repeat" : "conflict", id: row.event_id, by: "id" }
    }
  }
  return undefined
}

interface Earlier {
  readonly event_id: number
  readonly fingerprint: string
}

/** In the same commit as the event, so that an id can at no moment exist without it (API-52). */
function rememberIds({ db, now }: SqliteCommit, arrival: Arrival, id: EventId): void {
  const { project, draft, idempotencyKey } = arrival
  const fingerprint = arrival.fingerprint ?? ""
  if (draft.externalId !== null) {
    db.statements.text(insertOwnId).run(project, draft.source, draft.externalId, id, fingerprint)
  }
  if (idempotencyKey !== null) {
    db.statements.text(insertIdempotency).run(project, idempotencyKey, fingerprint, id, now)
  }
}

/** `bytes`: as it is stored, in UTF-8. Counting them takes 0.2 us for 1,000 letters of whatever script. */
function payloadColumns(
  payload: Payload,
): { value: string | Uint8Array; bytes: number; mediaType: string | null } | undefined {
  switch (payload.kind) {
    case "json":
      return { value: payload.text, bytes: Buffer.byteLength(payload.text), mediaType: null }
    case "text":
      return { value: payload.text, bytes: Buffer.byteLength(payload.text), mediaType: payload.mediaType }
    case "bytes":
      return { value: payload.bytes, bytes: payload.bytes.length, mediaType: payload.mediaType }
    case "none":
      return undefined
  }
}

const insertEvent = `
  insert into event (
    project_id, id, type, source, external_id, environment, app_id, profile_id, device_id, source_record,
    ordering_key, occurred_at, received_at, historical, test, key_id, cloud, payload_part, payload_bytes,
    payload_expires_at, targets, withheld, n_red, n_open
  ) values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`

const insertDelivery = `
  insert into delivery (
    integration_id, event_id, project_id, status, reason, next_at, claim, ordering_key, queue, created_at,
    updated_at
  ) values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`

// Without the name of the index SQLite walks along the whole lane: see `along` in walk.ts.
const selectInLine = `
  select 1 from delivery indexed by delivery_in_line
  where integration_id = ? and ordering_key = ? and in_line in (1, 2) limit 1`

const selectOwnId = "select event_id, fingerprint from own_id where project_id = ? and external_id = ? and source = ?"
const insertOwnId = "insert into own_id (project_id, source, external_id, event_id, fingerprint) values (?, ?, ?, ?, ?)"
const selectIdempotency = "select event_id, fingerprint from idempotency where project_id = ? and key = ?"
const insertIdempotency =
  "insert into idempotency (project_id, key, fingerprint, event_id, created_at) values (?, ?, ?, ?, ?)"
