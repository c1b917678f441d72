/** A row that is written to know that writing works (OB-21). */
import { type Database, sql } from "./database.ts"

/** Writes the probe's row; rejects where the database cannot be written. */
export async function writeProbe(db: Database, at: number): Promise<void> {
  await db.query(sql`insert into probe (id, at) values (1, ${at}) on conflict (id) do update set at = excluded.at`)
}
