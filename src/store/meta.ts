/** Single facts about a database, each under a name. */
import { type Database, sql } from "./database.ts"

/** Waits until nobody else is at the thing of this name; to the end of the transaction nobody else gets at it. */
export async function lockMeta(tx: Database, name: string): Promise<void> {
  await tx.query(sql`
    insert into meta (key, value) values (${name}, '') on conflict (key) do update set value = excluded.value`)
}
