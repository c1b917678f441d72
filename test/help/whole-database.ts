/** All that a database holds, as somebody sees it who gets hold of its files or reads all of its tables. */
import { existsSync, readFileSync } from "node:fs"
import { DatabaseSync } from "node:sqlite"
import type { Place } from "./engines.ts"

/** Which of these texts stand anywhere in the database of a place, whether a program runs on it or not. */
export async function foundIn(place: Place, texts: readonly string[]): Promise<string[]> {
  const all = place.url === undefined ? filesOf(place.dataDir) : await tablesOf(place.url)
  return texts.filter(text => {
    // PostgreSQL writes bytes as hexadecimal digits.
    const hex = Buffer.from(text).toString("hex")
    return all.some(bytes => bytes.includes(text) || (place.url !== undefined && bytes.includes(hex)))
  })
}

/** The file and its log, before and after what the log holds is in the file. */
function filesOf(dataDir: string): readonly Buffer[] {
  const names = ["waybill.db", "waybill.db-wal"].map(name => `${dataDir}/${name}`)
  const read = () => names.filter(name => existsSync(name)).map(name => readFileSync(name))
  const before = read()
  const connection = new DatabaseSync(names[0] ?? "", { timeout: 5_000 })
  connection.exec("pragma wal_checkpoint(full)")
  connection.close()
  return [...before, ...read()]
}

async function tablesOf(url: string): Promise<readonly Buffer[]> {
  const { withClient } = await import("./postgres.ts")
  return withClient(url, async client => {
    const { rows: tables } = await client.query<{ name: string }>(
      "select oid::regclass::text as name from pg_class where relkind in ('r', 'p', 'm') and relnamespace = 'public'::regnamespace",
    )
    const texts: Buffer[] = []
    for (const { name } of tables) {
      const { rows } = await client.query<{ text: string }>(`select t::text as text from ${name} t`)
      texts.push(Buffer.from(rows.map(({ text }) => text).join("\n")))
    }
    return texts
  })
}
