/** Accept on PostgreSQL: a batch of events with their payloads, ids and deliveries, in one round trip. */
import { hash } from "node:crypto"
import { DAY_MS } from "../domain/duration.ts"
import type { Payload } from "../domain/event.ts"
import type { EventId, Ids, IntegrationId } from "../domain/id.ts"
import { asEvent } from "./accept.ts"
import type { Sql } from "./database.ts"
import type { Accepted, Arrival } from "./ledger.ts"
import { arrayOf } from "./postgres-arrays.ts"
import { Columns, verb } from "./postgres-columns.ts"
import type { PostgresParts } from "./postgres-parts.ts"
import { kindOf } from "./rows.ts"
import type { Seal } from "./seal.ts"
import { type SealedRow, sealedRow } from "./sealed-payloads.ts"

const arrivalColumns = {
  id: "bigint",
  project: "bigint",
  type: "text",
  source: "text",
  external: "text",
  environment: "text",
  app: "bigint",
  profile: "text",
  device: "text",
  record: "text",
  key: "text",
  occurred: "bigint",
  received: "bigint",
  historical: "bigint",
  test: "bigint",
  apiKey: "bigint",
  cloud: "text",
  part: "bigint",
  bytes: "bigint",
  expires: "bigint",
  targets: "text",
  withheld: "text",
  red: "bigint",
  open: "bigint",
  fingerprint: "text",
  idempotency: "text",
  kind: "text",
  data: "bytea",
  media: "text",
} as const
const deliveryColumns = {
  i: "bigint",
  integration: "bigint",
  claim: "bigint",
  key: "text",
} as const

/** first, at, routed, locks, then the columns, then whether any event has an id of its own. */
const accept = verb("accept_1", 5, arrivalColumns, deliveryColumns)

/** What a batch is accepted with, and what its events will be called. */
export interface AcceptCall {
  readonly statement: Sql
  readonly ids: readonly EventId[]
  /** What keeps data with private fields whole, by the places of its arrivals, from 1: to be stored with those that are new. */
  readonly sealed: readonly { readonly i: number; readonly row: SealedRow }[]
}

/** Forms the call for a batch; the parts of its payloads have been made. Ids are drawn now. */
export function acceptCall(
  arrivals: readonly Arrival[],
  { ids, parts, seal }: { readonly ids: Ids; readonly parts: PostgresParts; readonly seal: Seal },
  now: number,
): AcceptCall {
  const rows = new Columns(arrivalColumns)
  const deliveries = new Columns(deliveryColumns)
  const locks = new Set<bigint>()
  const drawn: EventId[] = []
  const sealed: { readonly i: number; readonly row: SealedRow }[] = []
  let hasIds = false
  for (const [index, arrival] of arrivals.entries()) {
    const { draft, project, receivedAt, targets } = arrival
    const i = index + 1
    const id: EventId = ids.next()
    drawn.push(id)
    if (draft.externalId !== null || arrival.idempotencyKey !== null) hasIds = true
    const { privacy } = arrival
    const stored = privacy === undefined ? draft.payload : privacy.masked
    const payload = payloadColumns(stored)
    rows.add({
      id,
      project,
      type: draft.type,
      source: draft.source,
      external: draft.externalId,
      environment: draft.environment,
      app: arrival.appId,
      profile: draft.profileId,
      device: draft.deviceId,
      record: draft.sourceRecord,
      key: draft.orderingKey,
      occurred: draft.occurredAt ?? receivedAt,
      received: receivedAt,
      historical: draft.historical ? 1 : 0,
      test: arrival.test ? 1 : 0,
      apiKey: arrival.key,
      cloud: draft.cloud === null ? null : JSON.stringify(draft.cloud),
      part: payload === undefined ? 0 : parts.numberOf(arrival.payloadDays, now),
      bytes: payload?.length ?? 0,
      expires: receivedAt + arrival.payloadDays * DAY_MS,
      targets: `[${targets.map(target => target.integration).join(",")}]`,
      withheld: JSON.stringify(arrival.withheld),
      red: arrival.red,
      open: targets.length,
      fingerprint: arrival.fingerprint,
      idempotency: arrival.idempotencyKey,
      kind: kindOf(stored),
      data: payload?.data ?? null,
      media: payload?.mediaType ?? null,
    })
    if (privacy !== undefined) {
      sealed.push({ i, row: sealedRow(seal, { ...arrival, privacy }, id, receivedAt + arrival.payloadDays * DAY_MS) })
    }
    for (const { integration, claim, ordered } of targets) {
      const key = ordered ? draft.orderingKey : null
      if (key !== null) locks.add(lineLock(integration, key))
      deliveries.add({ i, integration, claim, key })
    }
  }
  const values = [
    drawn[0] ?? 0,
    now,
    routedBy(arrivals),
    locksOf(locks),
    ...rows.arrays,
    ...deliveries.arrays,
    String(hasIds),
  ]
  return { statement: accept(values), ids: drawn, sealed }
}

/** The oldest configuration that any of them was routed by; null where that is not to be held against today's. */
function routedBy(arrivals: readonly Arrival[]): number | null {
  const versions = arrivals.flatMap(({ routedBy: version }) => (version === undefined ? [] : [version]))
  return versions.length === 0 ? null : Math.min(...versions)
}

/** A row of `accept_1`: one for each arrival that was known already. */
export interface EarlierRow {
  readonly i: number
  readonly id: number
  readonly same: number
  readonly by_key: number
}

/** What became of each arrival. */
export function acceptedOf(
  arrivals: readonly Arrival[],
  ids: readonly EventId[],
  earlier: readonly EarlierRow[],
): readonly Accepted[] {
  const byPlace = new Map(earlier.map(row => [row.i, row]))
  return arrivals.map((arrival, index) => {
    const row = byPlace.get(index + 1)
    const id = ids[index] ?? 0
    if (row === undefined) return { kind: "new", id, event: asEvent(arrival, id) }
    return { kind: row.same === 1 ? "repeat" : "conflict", id: row.id, by: row.by_key === 1 ? "idempotency_key" : "id" }
  })
}

/** The lock of the line of an ordering key: 64 bits of its hash. */
export function lineLock(integration: IntegrationId, key: string): bigint {
  return hash("sha256", `${integration}/${key}`, "buffer").readBigInt64BE()
}

/** Locks as a verb takes them: in one order everywhere, so that two batches never wait for each other. */
export function locksOf(locks: Iterable<bigint>): Buffer {
  return arrayOf(
    "bigint",
    [...new Set(locks)].sort((a, b) => (a < b ? -1 : a > b ? 1 : 0)),
  )
}

/** What makes two arrivals of one batch the same: they are accepted one after the other. */
export function identitiesOf({ project, draft, idempotencyKey }: Arrival): readonly string[] {
  const identities: string[] = []
  if (draft.externalId !== null) identities.push(`${project} ${draft.source} ${draft.externalId}`)
  if (idempotencyKey !== null) identities.push(`${project} ${idempotencyKey}`)
  return identities
}

/** `length` is in bytes, as it is stored. */
function payloadColumns(
  payload: Payload,
): { data: string | Uint8Array; length: number; mediaType: string | null } | undefined {
  switch (payload.kind) {
    case "json":
      return { data: payload.text, length: Buffer.byteLength(payload.text), mediaType: null }
    case "text":
      return { data: payload.text, length: Buffer.byteLength(payload.text), mediaType: payload.mediaType }
    case "bytes":
      return { data: payload.bytes, length: payload.bytes.length, mediaType: payload.mediaType }
    case "none":
      return undefined
  }
}
