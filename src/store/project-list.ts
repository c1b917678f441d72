/** All projects of a database, for whoever runs Waybill: those that are there, those that are going, and those that went. */
import type { DatabaseSync } from "node:sqlite"
import type { ProjectId } from "../domain/id.ts"
import { type Database, sql } from "./database.ts"
import { openUntouched } from "./look.ts"
import { listProjectRemovals, type RemovalJob } from "./removal-jobs.ts"
import { SqliteDatabase } from "./sqlite.ts"

export interface ListedProject {
  readonly id: ProjectId
  readonly name: string
  readonly created_at: number
  /** When its removal was asked for; null where it was not. */
  readonly removed_at: number | null
}

/** What an operator sees. */
export interface ProjectList {
  /** Oldest first. */
  readonly projects: readonly ListedProject[]
  /** Newest first. */
  readonly removals: readonly RemovalJob[]
}

/** Reads them from a database that may be in use. */
export async function listAllProjects(db: Pick<Database, "query">): Promise<ProjectList> {
  const projects = await db.query<ListedProject>(sql`select id, name, created_at, removed_at from project order by id`)
  return { projects, removals: await listProjectRemovals(db) }
}

/** The same from a database's file, which nothing is written to. */
export async function listProjectsIn(path: string): Promise<ProjectList> {
  const connection: DatabaseSync = openUntouched(path)
  try {
    return await listAllProjects(new SqliteDatabase(connection))
  } finally {
    connection.close()
  }
}
