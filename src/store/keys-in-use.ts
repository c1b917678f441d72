/**
 * Which keys seal something in a database: their ids, newest first. A start has to have all of them. A key is noted before
 * anything is sealed with it, and let go when everything has been sealed anew (reseal.ts). Beside them stands the key of
 * hashes, sealed itself, so that hashes outlive the sealing keys.
 */
import { randomBytes } from "node:crypto"
import { sql } from "./database.ts"
import type { Reader } from "./reader.ts"
import { Ring, Seal, sealingKeyId } from "./seal.ts"
import { change, row, type Step } from "./step.ts"
import { StoreFault } from "./store-fault.ts"

const selectKeys = sql`select value from meta where key = 'seal'`
const HASH_KEY = "hash_key"

/** The ids in the row that keeps them; none where there is no such row. */
export function idsOfRow(value: unknown): readonly string[] {
  return typeof value === "string" && value !== "" ? value.split(" ") : []
}

/** Ids of the keys that seal something, newest first; none where nothing was sealed yet. */
export async function readKeysInUse(db: Reader): Promise<readonly string[]> {
  const [found] = await db.query<{ value: string }>(selectKeys)
  return idsOfRow(found?.value)
}

/** The same as a step. */
export function* keysInUse(): Step<readonly string[]> {
  return idsOfRow((yield* row<{ value: string }>(selectKeys))?.value)
}

/** Notes which keys seal something from now on. */
export function* noteKeysInUse(ids: readonly string[]): Step<void> {
  yield* change(sql`
    insert into meta (key, value) values ('seal', ${ids.join(" ")})
    on conflict (key) do update set value = excluded.value`)
}

/** The same ids with this one first. */
export function withNewest(newest: string, ids: readonly string[]): readonly string[] {
  return [newest, ...ids.filter(id => id !== newest)]
}

/** The place that a secret of Waybill's own is sealed for. */
export function ownSecretPlace(name: string): string {
  return `own_secret/${name}`
}

/**
 * The seal of a ring in a database, whose key of hashes is made where there is none. `before` are the keys that sealed
 * something before this start: a database of before keys of hashes hashed with the one that it had.
 */
export function* openSeal(keys: readonly Uint8Array[], before: readonly string[]): Step<Seal> {
  const ring = new Ring(keys)
  const fresh = keys.find(key => sealingKeyId(key) === before.at(-1)) ?? randomBytes(32)
  const sealed = ring.seal(ownSecretPlace(HASH_KEY), Buffer.from(fresh).toString("base64"))
  yield* change(sql`
    insert into own_secret (name, sealed) values (${HASH_KEY}, ${sealed}) on conflict (name) do nothing`)
  const kept = yield* row<{ sealed: string }>(sql`select sealed from own_secret where name = ${HASH_KEY}`)
  try {
    const text = ring.open(ownSecretPlace(HASH_KEY), kept?.sealed ?? "")
    return new Seal(keys, Buffer.from(text, "base64"))
  } catch (cause) {
    throw new StoreFault(
      "The key of hashes in the table own_secret does not open: it was changed on disk. Put back a backup.",
      { cause },
    )
  }
}
