/** API keys: shown once, kept as a hash; found by that hash, so that a copy of the database opens nothing (API-2). */
import { createHash, randomInt } from "node:crypto"
import { crc32 } from "node:zlib"
import { formatId, type KeyId, type ProjectId } from "../domain/id.ts"
import type { Limits } from "../domain/limits.ts"
import { type Database, type Sql, sql } from "./database.ts"
import type { Reader } from "./reader.ts"

/** Those that are built; `publishable` and `device` keys are not yet. `portal`: a token of the portal (domain/portal.ts). */
export type KeyKind = "secret" | "portal"

export interface ApiKey extends Limits {
  readonly id: KeyId
  readonly project: ProjectId
  readonly kind: KeyKind
  readonly name: string
  readonly prefix: string
  readonly last4: string
  /** `domain/scope.ts` */
  readonly scopes: readonly string[]
  /** How many requests it may make a minute; null: any number. */
  readonly maxRequestsPerMinute: number | null
  /** The text id of the key or the person that made it; null for the first of a project. */
  readonly createdBy: string | null
  readonly createdAt: number
  readonly expiresAt: number | null
  readonly revokedAt: number | null
  readonly lastUsedAt: number | null
  readonly lastEventAt: number | null
}

const LETTERS = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"

/**
 * A new key: what it is for, 30 random letters (178 bits), and a checksum of six, so that a typo is told from a guess
 * (API-1). `wb_live_sk_`: a secret key that may act on production. `wb_test_sk_`: one that is limited to sandbox.
 */
export function generateKey(environment: Limits["environment"] = null): string {
  return generated(environment === "sandbox" ? "wb_test_sk_" : "wb_live_sk_")
}

/** A new token of the portal, made in the same way. */
export function generatePortalToken(): string {
  return generated("wb_pt_")
}

function generated(prefix: string): string {
  const body = `${prefix}${Array.from({ length: 30 }, () => LETTERS[randomInt(62)]).join("")}`
  return body + checksum(body)
}

/** Our own: those of today, and those of before keys had a kind. */
const ownForm = /^(wb_(?:live|test)_sk_|wb_pt_|wb_live_)[0-9A-Za-z]{36}$/

/** False for a text that cannot be one of our own keys because its checksum is wrong. Keys that users bring have none. */
export function isPlausibleKey(key: string): boolean {
  if (!key.startsWith("wb_")) return false
  return !ownForm.test(key) || key.endsWith(checksum(key.slice(0, -6)))
}

/** What is shown of a key: how it begins, which says what it is, and its last four letters. */
export function shownOf(key: string): { readonly prefix: string; readonly last4: string } {
  const [, prefix = key.slice(0, 8)] = ownForm.exec(key) ?? []
  return { prefix, last4: key.slice(-4) }
}

/** What is kept of a key: SHA-256, hex. */
export function hashKey(key: string): string {
  return createHash("sha256").update(key).digest("hex")
}

interface KeyRow {
  readonly id: number
  readonly project_id: number
  readonly kind: KeyKind
  readonly name: string
  readonly prefix: string
  readonly last4: string
  readonly scopes: string
  readonly app_id: number | null
  readonly environment: "production" | "sandbox" | null
  readonly source: string | null
  readonly max_requests_per_minute: number | null
  readonly created_by: string | null
  readonly created_at: number
  readonly expires_at: number | null
  readonly revoked_at: number | null
  readonly last_used_at: number | null
  readonly last_event_at: number | null
}

const columns = sql`
  id, project_id, kind, name, prefix, last4, scopes, app_id, environment, source, max_requests_per_minute, created_by,
  created_at, expires_at, revoked_at, last_used_at, last_event_at`

/** Stores a key under its hash, a secret one unless it says otherwise; gives it as it is kept. */
export async function insertKey(
  db: Database,
  key: {
    kind?: KeyKind
    id: KeyId
    project: ProjectId
    name: string
    secret: string
    scopes: readonly string[]
    limits: Limits
    maxRequestsPerMinute: number | null
    at: number
    expiresAt: number | null
    createdBy: string | null
  },
): Promise<ApiKey> {
  const { limits, secret } = key
  const { prefix, last4 } = shownOf(secret)
  const rows = await db.query<KeyRow>(sql`
    insert into api_key (id, project_id, kind, name, prefix, last4, hash, scopes, app_id, environment, source,
      max_requests_per_minute, created_by, created_at, expires_at)
    values (${key.id}, ${key.project}, ${key.kind ?? "secret"}, ${key.name}, ${prefix}, ${last4}, ${hashKey(secret)},
      ${JSON.stringify(key.scopes)}, ${limits.app}, ${limits.environment}, ${limits.source},
      ${key.maxRequestsPerMinute}, ${key.createdBy}, ${key.at}, ${key.expiresAt})
    returning ${columns}`)
  const [made] = rows.map(keyOfRow)
  if (made === undefined) throw new Error("An insert gave no row back.")
  return made
}

/** The key with this hash, revoked and expired ones too; undefined where there is none. Index: api_key.hash. */
export async function findKeyByHash(db: Reader, hash: string): Promise<ApiKey | undefined> {
  const rows = await db.query<KeyRow>(sql`select ${columns} from api_key where hash = ${hash}`)
  return rows.map(keyOfRow)[0]
}

/** The keys of a project that are of one kind, newest first, older than `before`. Index: api_key_by_kind. */
export async function listKeys(
  db: Reader,
  project: ProjectId,
  kind: KeyKind,
  { before, limit }: { readonly before: number; readonly limit: number },
): Promise<ApiKey[]> {
  const rows = await db.query<KeyRow>(sql`
    select ${columns} from api_key where project_id = ${project} and kind = ${kind} and id < ${before}
    order by id desc limit ${limit}`)
  return rows.map(keyOfRow)
}

/** One key of a project; undefined where it has none of that id. Primary key. */
export async function readKey(db: Reader, project: ProjectId, id: KeyId): Promise<ApiKey | undefined> {
  const rows = await db.query<KeyRow>(sql`
    select ${columns} from api_key where id = ${id} and project_id = ${project}`)
  return rows.map(keyOfRow)[0]
}

/**
 * Changes what may be changed of a key; gives it as it is then. Its rights stay what they are: for others there is another
 * key. Tokens of the portal that it gave end no later than it does. Call it in a transaction.
 */
export async function changeKey(
  db: Database,
  { id, project }: Pick<ApiKey, "id" | "project">,
  to: Pick<ApiKey, "name" | "expiresAt" | "maxRequestsPerMinute">,
): Promise<ApiKey | undefined> {
  const rows = await db.query<KeyRow>(sql`
    update api_key set
      name = ${to.name}, expires_at = ${to.expiresAt}, max_requests_per_minute = ${to.maxRequestsPerMinute}
    where id = ${id} and project_id = ${project} returning ${columns}`)
  if (to.expiresAt !== null) {
    await db.query(sql`
      update api_key set expires_at = ${to.expiresAt} where ${tokensOf(project, id)} and expires_at > ${to.expiresAt}`)
  }
  return rows.map(keyOfRow)[0]
}

/** Revokes a key, and the tokens of the portal that it gave; gives it as it is then, or undefined where the project has no such key. */
export async function revokeKey(db: Database, project: ProjectId, id: KeyId, at: number): Promise<ApiKey | undefined> {
  const rows = await db.query<KeyRow>(sql`
    update api_key set revoked_at = coalesce(revoked_at, ${at})
    where id = ${id} and project_id = ${project} returning ${columns}`)
  await db.query(sql`update api_key set revoked_at = ${at} where ${tokensOf(project, id)} and revoked_at is null`)
  return rows.map(keyOfRow)[0]
}

/** The tokens of the portal that a key gave. Index: api_key_by_kind. */
function tokensOf(project: ProjectId, key: KeyId): Sql {
  return sql`project_id = ${project} and kind = 'portal' and created_by = ${formatId("key", key)}`
}

/**
 * Notes when keys were last used and last sent an event; called every few seconds, not for every request. Other processes
 * do so too: the latest holds, and all go in one order, so that none waits for another that waits for it.
 */
export async function touchKeys(
  db: Database,
  uses: readonly { readonly id: KeyId; readonly usedAt: number; readonly eventAt: number | null }[],
): Promise<void> {
  await db.transaction(async tx => {
    for (const { id, usedAt, eventAt } of uses.toSorted((a, b) => a.id - b.id)) {
      await tx.query(sql`
        update api_key set
          last_used_at = case when last_used_at > ${usedAt} then last_used_at else ${usedAt} end,
          last_event_at = case when ${eventAt ?? 0} > coalesce(last_event_at, 0) then ${eventAt} else last_event_at end
        where id = ${id}`)
    }
  })
}

/** How many keys there are in all: 0 on a new database. */
export async function countKeys(db: Reader): Promise<number> {
  const [row] = await db.query<{ n: number }>(sql`select count(*) as n from api_key`)
  return row?.n ?? 0
}

function keyOfRow(row: KeyRow): ApiKey {
  return {
    id: row.id,
    project: row.project_id,
    kind: row.kind,
    name: row.name,
    prefix: row.prefix,
    last4: row.last4,
    scopes: JSON.parse(row.scopes) as string[],
    app: row.app_id,
    environment: row.environment,
    source: row.source,
    maxRequestsPerMinute: row.max_requests_per_minute,
    createdBy: row.created_by,
    createdAt: row.created_at,
    expiresAt: row.expires_at,
    revokedAt: row.revoked_at,
    lastUsedAt: row.last_used_at,
    lastEventAt: row.last_event_at,
  }
}

function checksum(body: string): string {
  let rest = crc32(body)
  let text = ""
  for (let i = 0; i < 6; i++, rest = Math.floor(rest / 62)) text = LETTERS[rest % 62] + text
  return text
}
