/** Commands that work on the PostgreSQL database that DATABASE_URL names: how they get at it, and what they say where there is none. */
import { CommandFault } from "./fault.ts"

/** What the store offers for a database. */
export interface DatabaseTools {
  readonly session: typeof import("../store/postgres-session.ts")
  readonly check: typeof import("../store/postgres-check.ts")
  readonly migrate: typeof import("../store/postgres-migrate.ts")
  readonly look: typeof import("../store/postgres-look.ts")
  readonly transfer: typeof import("../store/transfer-import.ts")
}

/** Works on a database; what the store says of it in a sentence becomes the command's fault. */
export async function onDatabase<T>(work: (tools: DatabaseTools) => Promise<T>): Promise<T> {
  // Loaded here only: commands that talk to a server start faster without the driver.
  const [session, check, migrate, look, transfer, { StoreFault }] = await Promise.all([
    import("../store/postgres-session.ts"),
    import("../store/postgres-check.ts"),
    import("../store/postgres-migrate.ts"),
    import("../store/postgres-look.ts"),
    import("../store/transfer-import.ts"),
    import("../store/store-fault.ts"),
  ])
  try {
    return await work({ session, check, migrate, look, transfer })
  } catch (error) {
    throw error instanceof StoreFault ? new CommandFault(error.message) : error
  }
}

/** Backups of PostgreSQL are made with its own tools, which know how; says which. */
export function otherTools(what: "backup" | "restore"): CommandFault {
  const how =
    what === "backup"
      ? [
          'One moment of it, while Waybill runs: pg_dump --format=custom --file=waybill.dump "$DATABASE_URL"',
          "Every moment of it: pg_basebackup and an archive of the write-ahead log (pgBackRest, WAL-G, or your provider's).",
        ]
      : [
          'Into an empty database, while no Waybill runs on it: pg_restore --exit-on-error --no-owner --dbname="$DATABASE_URL" waybill.dump',
          "What was delivered after the moment of the backup is delivered again.",
        ]
  return new CommandFault([
    `DATABASE_URL is set, and \`waybill ${what}\` is for the embedded database in a data folder. PostgreSQL has its own tools:`,
    ...how,
    "Keep the key, too, in another place: WAYBILL_SECRET_KEY, or the file secret.key. See docs/postgresql.md.",
  ])
}
