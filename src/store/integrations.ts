/** Integrations as they are kept: the configuration as one snapshot per revision, secrets apart and sealed. */
import type { Environment } from "../domain/event.ts"
import type { SigningKey } from "../domain/exchange.ts"
import type { AppId, IntegrationId, ProjectId } from "../domain/id.ts"
import type { DisabledBy, EventRules, VerificationState } from "../domain/integration.ts"
import type { PolicyInput } from "../domain/policy.ts"
import type { Actor } from "./changes.ts"
import { type Database, type Sql, sql } from "./database.ts"
import type { Reader } from "./reader.ts"
import type { Seal } from "./seal.ts"

/** Everything that a save can change, without secrets: they read `{"set": true}`. */
export interface Snapshot {
  readonly name: string
  readonly connector: string
  readonly apps: readonly AppId[]
  readonly config: Readonly<Record<string, unknown>>
  readonly events: EventRules
  /** The filter's JSON text as it was sent: its numbers are exact. */
  readonly filter: string | null
  readonly options: Readonly<Record<string, unknown>>
  /** The policy as it was sent: a preset and what differs from it. */
  readonly policy: PolicyInput
}

export interface KeptSigningKey extends SigningKey {
  readonly number: number
  readonly createdAt: number
  readonly expiresAt: number | null
}

/** What the last verification of an endpoint found. `endpoint` identifies what was verified. */
export interface Verification {
  readonly state: VerificationState
  readonly rule: string
  readonly endpoint: string
  readonly checkedAt: number | null
  readonly message: string | null
  /** The whole answer as JSON. */
  readonly answer: string | null
}

export interface IntegrationRecord {
  readonly id: IntegrationId
  readonly project: ProjectId
  readonly revision: number
  readonly enabled: boolean
  readonly disabledBy: DisabledBy | null
  readonly disabledReason: string | null
  readonly disabledAt: number | null
  readonly paused: boolean
  readonly snapshot: Snapshot
  /** Opened secrets of `config`, by JSON pointer. */
  readonly secrets: ReadonlyMap<string, string>
  /** The newest first. */
  readonly signingKeys: readonly KeptSigningKey[]
  readonly verification: Readonly<Partial<Record<Environment, Verification>>>
  /** Why its secrets cannot be opened; null when all is well. */
  readonly fault: string | null
  readonly createdAt: number
  readonly updatedAt: number
}

export interface Revision {
  readonly revision: number
  readonly at: number
  readonly by: Actor
  readonly snapshot: Snapshot
  /** Pointers of secrets that this save set, changed or removed. */
  readonly secretsChanged: readonly string[]
}

interface IntegrationRow {
  readonly id: number
  readonly project_id: number
  readonly revision: number
  readonly enabled: number
  readonly disabled_by: DisabledBy | null
  readonly disabled_reason: string | null
  readonly disabled_at: number | null
  readonly paused: number
  readonly snapshot: string
  readonly created_at: number
  readonly updated_at: number
}

/** All integrations that were not removed, or one of them, with everything that belongs to them. */
export async function loadIntegrations(db: Reader, seal: Seal, only?: IntegrationId): Promise<IntegrationRecord[]> {
  const which = (column: Sql) => (only === undefined ? sql`` : sql`where ${column} = ${only}`)
  const rows = await db.query<IntegrationRow>(sql`
    select id, project_id, revision, enabled, disabled_by, disabled_reason, disabled_at, paused, snapshot, created_at,
      updated_at
    from integration where removed_at is null ${only === undefined ? sql`` : sql`and id = ${only}`} order by id`)
  const secrets = groupBy(
    await db.query<SecretRow>(sql`
      select integration_id, pointer, sealed from integration_secret ${which(sql`integration_id`)}`),
  )
  const keys = groupBy(
    await db.query<KeyRow>(sql`
      select integration_id, number, scheme, sealed, created_at, expires_at from signing_key
      ${which(sql`integration_id`)} order by number desc`),
  )
  const verifications = groupBy(
    await db.query<VerificationRow>(sql`
      select integration_id, environment, state, rule, endpoint, checked_at, message, answer
      from integration_verification ${which(sql`integration_id`)}`),
  )
  return rows.map(row => {
    const owner = { id: row.id, project: row.project_id }
    const opened = openSecrets(seal, owner, secrets.get(row.id) ?? [], keys.get(row.id) ?? [])
    return recordOfRow(row, opened, verifications.get(row.id) ?? [])
  })
}

type Opened = Pick<IntegrationRecord, "secrets" | "signingKeys" | "fault">

/** A secret that was changed or moved does not open: that is this integration's fault alone (API-40). The others stay. */
function openSecrets(seal: Seal, owner: Owner, secrets: readonly SecretRow[], keys: readonly KeyRow[]): Opened {
  const { id } = owner
  const values = secrets.flatMap(({ pointer, sealed }): (readonly [string, string])[] => {
    const secret = openOrNull(seal, [secretPlace(owner, pointer), secretPlaceOfV1(id, pointer)], sealed)
    return secret === null ? [] : [[pointer, secret]]
  })
  const signingKeys = keys.flatMap(({ number, scheme, sealed, created_at, expires_at }): KeptSigningKey[] => {
    const secret = openOrNull(seal, [keyPlace(owner, number), keyPlaceOfV1(id, number)], sealed)
    return secret === null ? [] : [{ number, scheme, secret, createdAt: created_at, expiresAt: expires_at }]
  })
  const fault =
    signingKeys.length < keys.length
      ? "A signing secret of this integration cannot be opened: it was changed on disk. Rotate the secret."
      : values.length < secrets.length
        ? "A stored secret of this integration cannot be opened: it was changed on disk. Save the secrets again."
        : null
  return { secrets: new Map(values), signingKeys, fault }
}

function openOrNull(seal: Seal, [place, placeOfV1]: readonly [string, string], sealed: string): string | null {
  try {
    return seal.open(place, sealed, placeOfV1)
  } catch {
    return null
  }
}

function recordOfRow(
  row: IntegrationRow,
  opened: Opened,
  verifications: readonly VerificationRow[],
): IntegrationRecord {
  return {
    id: row.id,
    project: row.project_id,
    revision: row.revision,
    enabled: row.enabled === 1,
    disabledBy: row.disabled_by,
    disabledReason: row.disabled_reason,
    disabledAt: row.disabled_at,
    paused: row.paused === 1,
    snapshot: JSON.parse(row.snapshot) as Snapshot,
    ...opened,
    verification: Object.fromEntries(
      verifications.map(v => [
        v.environment,
        {
          state: v.state,
          rule: v.rule,
          endpoint: v.endpoint,
          checkedAt: v.checked_at,
          message: v.message,
          answer: v.answer,
        },
      ]),
    ),
    createdAt: row.created_at,
    updatedAt: row.updated_at,
  }
}

/**
 * Saves an integration, its secrets and the revision that this save makes; call it in a transaction. Of one that is there
 * already only the configuration is written: whether it is on stays as it stands, since an answer of the other side may
 * just have switched it off.
 */
export async function saveIntegration(
  db: Database,
  seal: Seal,
  record: IntegrationRecord,
  save: { readonly by: Actor; readonly secretsChanged: readonly string[] },
): Promise<void> {
  const { id, revision, updatedAt } = record
  const snapshot = JSON.stringify(record.snapshot)
  await db.query(sql`
    insert into integration (id, project_id, name, connector, revision, enabled, disabled_by, disabled_reason,
      disabled_at, paused, snapshot, created_at, updated_at)
    values (${id}, ${record.project}, ${record.snapshot.name}, ${record.snapshot.connector}, ${revision},
      ${record.enabled ? 1 : 0}, ${record.disabledBy}, ${record.disabledReason}, ${record.disabledAt},
      ${record.paused ? 1 : 0}, ${snapshot}, ${record.createdAt}, ${updatedAt})
    on conflict (id) do update set
      name = excluded.name, revision = excluded.revision, snapshot = excluded.snapshot, updated_at = excluded.updated_at`)
  await db.query(sql`
    insert into integration_revision (integration_id, revision, at, by_kind, by_id, snapshot, secrets_changed)
    values (${id}, ${revision}, ${updatedAt}, ${save.by.kind}, ${save.by.id}, ${snapshot},
      ${JSON.stringify(save.secretsChanged)})`)
  await db.query(sql`delete from integration_secret where integration_id = ${id}`)
  for (const [pointer, secret] of record.secrets) {
    const sealed = seal.seal(secretPlace(record, pointer), secret)
    await db.query(
      sql`insert into integration_secret (integration_id, pointer, sealed) values (${id}, ${pointer}, ${sealed})`,
    )
  }
}

/** What a person does to an integration without changing its configuration. */
export type Switch = "enable" | "disable" | "pause" | "resume"

/**
 * Carries out a switch, without a new revision; false where there is nothing to change. Each writes what it is about and
 * no more, so that two at a time both hold. What Waybill switched off, a person's `disable` makes a person's doing.
 */
export async function switchIntegration(db: Database, id: IntegrationId, to: Switch, at: number): Promise<boolean> {
  const rows = await db.query(sql`
    update integration set ${switches[to](at)}, updated_at = ${at}
    where id = ${id} and removed_at is null and ${changes[to]} returning id`)
  return rows.length > 0
}

const switches: Readonly<Record<Switch, (at: number) => Sql>> = {
  enable: () => sql`enabled = 1, disabled_by = null, disabled_reason = null, disabled_at = null`,
  disable: at => sql`enabled = 0, disabled_by = 'person', disabled_reason = null, disabled_at = ${at}`,
  pause: () => sql`paused = 1`,
  resume: () => sql`paused = 0`,
}

/** Where each of them changes something. */
const changes: Readonly<Record<Switch, Sql>> = {
  enable: sql`enabled = 0`,
  disable: sql`(enabled = 1 or disabled_by <> 'person')`,
  pause: sql`paused = 0`,
  resume: sql`paused = 1`,
}

/** Takes an integration away, false where it is gone already; its history stays. */
export async function removeIntegration(db: Database, id: IntegrationId, at: number): Promise<boolean> {
  const rows = await db.query(sql`
    update integration set removed_at = ${at}, enabled = 0, updated_at = ${at}
    where id = ${id} and removed_at is null returning id`)
  await db.query(sql`delete from integration_secret where integration_id = ${id}`)
  await db.query(sql`delete from signing_key where integration_id = ${id}`)
  return rows.length > 0
}

/** Ids, projects and names of all integrations ever, removed ones too: history has to name them. */
export async function integrationNames(
  db: Reader,
  project: ProjectId,
): Promise<{ readonly id: IntegrationId; readonly name: string; readonly removed_at: number | null }[]> {
  return db.query(sql`select id, name, removed_at from integration where project_id = ${project} order by id`)
}

/** Adds a signing key, and sets when those before it stop to sign; such as cannot be opened go. */
export async function addSigningKey(db: Database, seal: Seal, owner: Owner, key: KeptSigningKey, graceUntil: number) {
  const { id } = owner
  await db.query(sql`
    update signing_key set expires_at = ${graceUntil} where integration_id = ${id} and expires_at is null`)
  const kept = await db.query<Pick<KeyRow, "number" | "sealed">>(
    sql`select number, sealed from signing_key where integration_id = ${id}`,
  )
  for (const { number, sealed } of kept) {
    if (openOrNull(seal, [keyPlace(owner, number), keyPlaceOfV1(id, number)], sealed) !== null) continue
    await db.query(sql`delete from signing_key where integration_id = ${id} and number = ${number}`)
  }
  await db.query(sql`
    insert into signing_key (integration_id, number, scheme, sealed, created_at, expires_at)
    values (${id}, ${key.number}, ${key.scheme}, ${seal.seal(keyPlace(owner, key.number), key.secret)}, ${key.createdAt},
      ${key.expiresAt})`)
}

/** Keeps where an endpoint stands. */
export async function saveVerification(db: Database, id: IntegrationId, environment: Environment, v: Verification) {
  await db.query(sql`
    insert into integration_verification (integration_id, environment, state, rule, endpoint, checked_at, message, answer)
    values (${id}, ${environment}, ${v.state}, ${v.rule}, ${v.endpoint}, ${v.checkedAt}, ${v.message}, ${v.answer})
    on conflict (integration_id, environment) do update set
      state = excluded.state, rule = excluded.rule, endpoint = excluded.endpoint, checked_at = excluded.checked_at,
      message = excluded.message, answer = excluded.answer`)
}

/**
 * Keeps what a verification found; false where the endpoint or the rule has changed since it was asked: what it answered
 * says nothing about the one that stands there now.
 */
export async function saveVerdict(
  db: Database,
  id: IntegrationId,
  environment: Environment,
  v: Verification,
): Promise<boolean> {
  const rows = await db.query(sql`
    update integration_verification set
      state = ${v.state}, checked_at = ${v.checkedAt}, message = ${v.message}, answer = ${v.answer}
    where integration_id = ${id} and environment = ${environment} and endpoint = ${v.endpoint} and rule = ${v.rule}
    returning integration_id`)
  return rows.length > 0
}

/** How many revisions are read together: each holds a whole configuration, which may be half a megabyte. */
const REVISIONS_TOGETHER = 10

/**
 * Revisions of an integration older than `before`, newest first, read as far as somebody asks for more. `bytes` is about what
 * one takes in memory.
 */
export async function* revisionsBack(
  db: Reader,
  id: IntegrationId,
  before = Number.MAX_SAFE_INTEGER,
): AsyncGenerator<Revision & { readonly bytes: number }> {
  for (let from = before; ; ) {
    const rows = await db.query<RevisionRow>(sql`
      select revision, at, by_kind, by_id, snapshot, secrets_changed from integration_revision
      where integration_id = ${id} and revision < ${from} order by revision desc limit ${REVISIONS_TOGETHER}`)
    for (const row of rows) {
      yield {
        revision: row.revision,
        at: row.at,
        by: { kind: row.by_kind, id: row.by_id },
        snapshot: JSON.parse(row.snapshot) as Snapshot,
        secretsChanged: JSON.parse(row.secrets_changed) as string[],
        bytes: row.snapshot.length,
      }
      from = row.revision
    }
    if (rows.length < REVISIONS_TOGETHER) return
  }
}

/** The configuration as it was at a revision; undefined where there is no such revision. */
export async function snapshotAt(db: Reader, id: IntegrationId, revision: number): Promise<Snapshot | undefined> {
  const [row] = await db.query<{ snapshot: string }>(sql`
    select snapshot from integration_revision where integration_id = ${id} and revision = ${revision}`)
  return row === undefined ? undefined : (JSON.parse(row.snapshot) as Snapshot)
}

/** The configuration that events were routed by in a stretch of time, in ms since 1970: later than `after`, up to `until`. */
export interface SnapshotInForce {
  readonly snapshot: Snapshot
  readonly after: number
  readonly until: number
}

/**
 * The configuration that events were routed by at a time, in ms since 1970: that of the last save before it. Primary key,
 * from the newest. A save takes effect some milliseconds after its time, so that what comes in between may be told by it.
 */
export async function snapshotInForce(db: Reader, id: IntegrationId, at: number): Promise<SnapshotInForce | undefined> {
  const [row] = await db.query<{ snapshot: string; revision: number; at: number; until: number | null }>(sql`
    select r.snapshot, r.revision, r.at, (
      select min(n.at) from integration_revision n where n.integration_id = r.integration_id and n.revision > r.revision
    ) as until
    from integration_revision r
    where r.integration_id = ${id} and (r.at < ${at} or r.revision = 1) order by r.revision desc limit 1`)
  if (row === undefined) return undefined
  return {
    snapshot: JSON.parse(row.snapshot) as Snapshot,
    after: row.revision === 1 ? Number.NEGATIVE_INFINITY : row.at,
    until: row.until ?? Number.POSITIVE_INFINITY,
  }
}

interface SecretRow {
  readonly integration_id: number
  readonly pointer: string
  readonly sealed: string
}
interface KeyRow {
  readonly integration_id: number
  readonly number: number
  readonly scheme: SigningKey["scheme"]
  readonly sealed: string
  readonly created_at: number
  readonly expires_at: number | null
}
interface VerificationRow {
  readonly integration_id: number
  readonly environment: Environment
  readonly state: VerificationState
  readonly rule: string
  readonly endpoint: string
  readonly checked_at: number | null
  readonly message: string | null
  readonly answer: string | null
}
interface RevisionRow {
  readonly revision: number
  readonly at: number
  readonly by_kind: Actor["kind"]
  readonly by_id: string | null
  readonly snapshot: string
  readonly secrets_changed: string
}

/** Whose a secret is. */
type Owner = Pick<IntegrationRecord, "id" | "project">

/** The place that a secret of the settings is sealed for. */
export function secretPlace({ id, project }: Owner, pointer: string): string {
  return `integration_secret/${project}/${id}${pointer}`
}

/** The place that a signing key is sealed for. */
export function keyPlace({ id, project }: Owner, number: number): string {
  return `signing_key/${project}/${id}/${number}`
}

/** The same in the form `v1`. */
export function secretPlaceOfV1(id: IntegrationId, pointer: string): string {
  return `integration_secret/${id}${pointer}`
}

/** The same in the form `v1`. */
export function keyPlaceOfV1(id: IntegrationId, number: number): string {
  return `signing_key/${id}/${number}`
}

function groupBy<Row extends { readonly integration_id: number }>(rows: readonly Row[]): Map<number, Row[]> {
  const groups = new Map<number, Row[]>()
  for (const row of rows) {
    const group = groups.get(row.integration_id)
    if (group === undefined) groups.set(row.integration_id, [row])
    else group.push(row)
  }
  return groups
}
