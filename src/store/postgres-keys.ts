/**
 * Sealing keys of several processes over one database. What one seals all have to open: a key seals only once every process
 * that is alive has it, and is let go only when none seals with it any more. Both are looked at under a lock, and a process
 * looks after it has taken its place among the others: of two that do not go together one sees the other.
 */
import { type Database, sql } from "./database.ts"
import { keysInUse, noteKeysInUse, withNewest } from "./keys-in-use.ts"
import { lockMeta } from "./meta.ts"
import type { PostgresTransaction } from "./postgres.ts"
import { sealingKeyId } from "./seal.ts"
import { assertRing, type KeySource } from "./secret-key.ts"
import { StoreFault } from "./store-fault.ts"

interface Transactions {
  transaction<T>(work: (tx: PostgresTransaction) => Promise<T>): Promise<T>
}

/** Notes the key that a process seals with; throws StoreFault where it lacks one that is in use, or where another process lacks its. */
export function enterRing(db: Transactions, keys: readonly Uint8Array[], source: KeySource): Promise<void> {
  return db.transaction(async tx => {
    const inUse = await lockedKeys(tx)
    assertRing(keys, inUse, "the database", source)
    const [newest = ""] = keys.map(sealingKeyId)
    // Those that go on with an older one first do so until it is their turn.
    if (!inUse.includes(newest)) await makeNewest(tx, newest, inUse)
  })
}

/** Makes a key the newest, which the others are sealed anew with; throws StoreFault where a process lacks it. */
export function enterNewest(db: Transactions, newest: string): Promise<void> {
  return db.transaction(async tx => {
    const inUse = await lockedKeys(tx)
    if (inUse[0] !== newest) await makeNewest(tx, newest, inUse)
  })
}

/** Lets go of all keys but the newest, with which all is sealed, unless a process seals with another by now. */
export function retireOlder(db: Transactions, newest: string): Promise<void> {
  return db.transaction(async tx => {
    const inUse = await lockedKeys(tx)
    const others = await sealingWithOthers(tx, newest)
    if (others.length === 0 && inUse[0] === newest) await tx.run(noteKeysInUse([newest]))
  })
}

/** Processes that are alive and seal with another key. */
export async function sealingWithOthers(db: Pick<Database, "query">, newest: string): Promise<readonly string[]> {
  return (await aliveNodes(db)).filter(({ keys }) => keys[0] !== newest).map(({ name }) => name)
}

async function lockedKeys(tx: PostgresTransaction): Promise<readonly string[]> {
  await lockMeta(tx, "sealing_keys")
  return tx.run(keysInUse())
}

async function makeNewest(tx: PostgresTransaction, newest: string, inUse: readonly string[]): Promise<void> {
  const without = inUse.length === 0 ? [] : (await aliveNodes(tx)).filter(({ keys }) => !keys.includes(newest))
  if (without.length > 0) {
    const names = without.map(({ name }) => name).join(", ")
    throw new StoreFault(
      `The first sealing key (${newest}) is new, and what it seals could not be opened by ${names}. Give it to every process first, after the key that they have; when all run with both, make it the first.`,
    )
  }
  await tx.run(noteKeysInUse(withNewest(newest, inUse)))
}

async function aliveNodes(
  db: Pick<Database, "query">,
): Promise<readonly { readonly name: string; readonly keys: readonly string[] }[]> {
  const rows = await db.query<{ name: string; sealing_keys: string | null }>(sql`
    select name, sealing_keys from node where expires_at > clock_timestamp() order by id`)
  return rows.map(({ name, sealing_keys: keys }) => ({
    name,
    keys: keys === null || keys === "" ? [] : keys.split(" "),
  }))
}
