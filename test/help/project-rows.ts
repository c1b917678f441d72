/** All rows of a project, table by table, past the program: to see that nothing of it has been touched. */
import { tablesOfProjects } from "../../src/store/project-tables.ts"
import type { Program } from "./program.ts"

/** What is written by itself, and says nothing of what the project holds. */
const restless: Readonly<Record<string, readonly string[]>> = {
  api_key: ["last_used_at", "last_event_at"],
  session: ["seen_at", "idle_expires_at"],
  lane: ["holder", "fence", "expires_at"],
}

/** By table, each row as JSON, in one order. */
export async function rowsOf(program: Program, project: number): Promise<Readonly<Record<string, readonly string[]>>> {
  const found: Record<string, readonly string[]> = {}
  for (const [table, { by }] of Object.entries(tablesOfProjects)) {
    // Parts, whose rows are those of events and attempts; and the index, which is made of them.
    if (table === "payload" || table === "exchange" || table === "search_entry") continue
    const which = {
      itself: "id = ?",
      project: "project_id = ?",
      traffic: "project_id = ?",
      integration: "integration_id in (select id from integration where project_id = ?)",
      recovery: "recovery_id in (select id from recovery where project_id = ?)",
    }[by]
    const rows = await program.rows<Record<string, unknown>>(`select * from ${table} where ${which}`, project)
    found[table] = rows
      .map(row => JSON.stringify(Object.entries(row).filter(([name]) => !restless[table]?.includes(name))))
      .sort()
  }
  return found
}
