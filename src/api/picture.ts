/** Gathers what a diagnosis is made of: counts, last attempts, what waits, what changed, and how Waybill itself is doing. */
import { quietSince, silenceOf } from "../domain/activity.ts"
import { isReservedType, nameFor } from "../domain/event-names.ts"
import { formatId, type IntegrationId, type ProjectId, parseId } from "../domain/id.ts"
import { type Broken, OWN_TROUBLE_WINDOW_MS, ownTroubleOf, unreachedOf } from "../domain/own-trouble.ts"
import type { Arrived, HeldBy, OwnTrouble, Picture } from "../domain/picture.ts"
import { BEFORE_MS, type NotedChange } from "../domain/what-changed.ts"
import type { LiveIntegration } from "../engine/directory.ts"
import { heldBy } from "../engine/lateness.ts"
import type { Actor } from "../store/changes.ts"
import {
  failingRun,
  fieldsMissing,
  hoursOf,
  keyNames,
  lastReached,
  lastTried,
  switchesSince,
  triedLately,
  typesArrived,
  waitingOf,
} from "../store/diagnosis-reads.ts"
import { type Revision, revisionsBack } from "../store/integrations.ts"
import type { Reader } from "../store/reader.ts"
import type { Context } from "./context.ts"
import { viewOfRevision } from "./integration-view.ts"

/** How many revisions are looked at for what changed. */
const REVISIONS_READ = 50
/** How many integrations that cannot be reached are asked when they last could. */
const MOST_ASKED = 100

/** The picture of one integration as it stands now; one for the portal counts nothing of other apps and integrations. */
export async function takePicture(
  context: Context,
  live: LiveIntegration,
  ownSide: OwnSide | null,
  isOfPortal = false,
): Promise<Picture> {
  const { store, now } = context
  const { record, integration } = live
  const at = now()
  const asked = { project: record.project, integration: record.id, now: at }
  const hours = await hoursOf(store.reads, asked)
  const isQuiet = hours.every(hour => hour.routed === 0) || silenceOf(hours) !== null
  const isWithheld = hours.slice(-24).some(hour => (hour.withheld.missing_data ?? 0) > 0)
  const { snapshot } = record
  const arrived = isQuiet ? await arrivedSince(context, live, quietSince(hours, record.createdAt, at)) : null
  const ownTrouble = ownSide?.integrations.has(record.id) === true ? ownSide.trouble : null
  const named = Object.keys(snapshot.events.types).filter(type => nameFor(snapshot.events, type).on)
  return {
    now: at,
    integration: {
      name: snapshot.name,
      createdAt: record.createdAt,
      enabled: integration.enabled,
      disabledBy: integration.disabledBy,
      disabledAt: record.disabledAt,
      disabledReason: record.disabledReason,
      paused: integration.paused,
      namedTypes: named.filter(type => type !== "*"),
    },
    hours,
    attempts: await lastTried(store.reads, asked),
    run: await failingRun(store.reads, asked),
    waiting: { ...(await waitingOf(store.reads, record.id)), heldBy: heldNow(context, record.id, at) },
    arrived: arrived !== null && isOfPortal ? { ...arrived, otherApps: 0 } : arrived,
    missingFields: isWithheld ? await fieldsMissing(store.reads, asked) : [],
    // One that was not tried meanwhile has nothing to do with it.
    ownTrouble: ownTrouble !== null && isOfPortal ? { since: ownTrouble.since, sign: ownTrouble.sign } : ownTrouble,
  }
}

/** Waybill's own machine or network, while that is what fails, and the integrations that it keeps from being reached. */
export interface OwnSide {
  readonly trouble: OwnTrouble
  readonly integrations: ReadonlySet<IntegrationId>
}

/** Whether Waybill's own machine or network is down, by all integrations that were tried of late; null where it is not. */
export async function lookAtOwnSide({ store, now }: Pick<Context, "store" | "now">): Promise<OwnSide | null> {
  const at = now()
  const unreached = unreachedOf(await triedLately(store.reads, at - OWN_TROUBLE_WINDOW_MS))
  const broken: Broken[] = []
  // Mostly there are none, or one.
  for (const one of unreached.slice(0, MOST_ASKED)) {
    broken.push({ ...one, ...(await lastReached(store.reads, one.integration, at)) })
  }
  const trouble = ownTroubleOf(broken)
  return trouble === null ? null : { trouble, integrations: new Set(unreached.map(one => one.integration)) }
}

/** A change with who made it. */
export interface ChangeBy extends NotedChange {
  readonly by: { readonly kind: string; readonly id: string | null; readonly name: string | null }
  readonly fields: readonly { readonly pointer: string; readonly from: unknown; readonly to: unknown }[]
}

/** The newest revisions of an integration since a time, each with what it changed. */
async function savesSince(reads: Reader, integration: IntegrationId, from: number) {
  const saves = []
  let newer: Revision | undefined
  for await (const revision of revisionsBack(reads, integration)) {
    if (newer !== undefined) saves.push(saveOf(newer, revision))
    newer = revision.at < from || saves.length === REVISIONS_READ ? undefined : revision
    if (newer === undefined) break
  }
  if (newer !== undefined) saves.push(saveOf(newer, undefined))
  return saves
}

function saveOf(revision: Revision, before: Revision | undefined) {
  const { at, revision: number, by } = revision
  const isFirst = number === 1
  const kind = isFirst ? "integration.created" : "integration.updated"
  return { at, kind, revision: number, by, fields: isFirst ? [] : viewOfRevision(revision, before).changes }
}

/** What changed in an integration since a day before the earliest of what is judged. */
export async function changesOf(
  { store }: Pick<Context, "store">,
  project: ProjectId,
  integration: IntegrationId,
  since: number,
): Promise<ChangeBy[]> {
  const from = since - BEFORE_MS
  const saves = await savesSince(store.reads, integration, from)
  const switches = await switchesSince(store.reads, project, formatId("int", integration), from)
  const all = [
    ...saves,
    ...switches.map(({ at, kind, by_kind, by_id }) => ({
      at,
      kind,
      revision: null,
      by: { kind: by_kind, id: by_id },
      fields: [],
    })),
  ]
  const keys = all.flatMap(({ by }) => callerOf(by) ?? [])
  const names = await keyNames(store.reads, project, keys)
  return all.map(change => ({
    ...change,
    pointers: change.fields.map(({ pointer }) => pointer),
    by: { kind: change.by.kind, id: change.by.id, name: names.get(callerOf(change.by) ?? 0) ?? null },
  }))
}

function callerOf({ kind, id }: { readonly kind: string; readonly id: Actor["id"] }): number | undefined {
  return kind === "api_key" && id !== null ? parseId("key", id) : undefined
}

function heldNow({ engine, directory }: Context, id: IntegrationId, now: number): HeldBy | null {
  const lane = engine.lanes().find(one => one.id === id)
  return lane === undefined ? null : heldBy(lane, directory, now)
}

async function arrivedSince({ store }: Context, { record }: LiveIntegration, since: number): Promise<Arrived> {
  const { apps } = record.snapshot
  const rows = (await typesArrived(store.reads, record.project, since)).filter(({ type }) => !isReservedType(type))
  const isMine = ({ app }: { readonly app: number }) => apps.length === 0 || apps.includes(app)
  const types = new Map<string, number>()
  for (const row of rows.filter(isMine)) types.set(row.type, (types.get(row.type) ?? 0) + row.count)
  return {
    since,
    types: [...types].map(([type, count]) => ({ type, count })).sort((a, b) => b.count - a.count),
    otherApps: rows.filter(row => !isMine(row)).reduce((sum, row) => sum + row.count, 0),
  }
}
