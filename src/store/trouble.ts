/**
 * Why a database cannot be written, and how to mend it, in a sentence for the operator. Anybody may read it at `/readyz`: it
 * holds no names of hosts, roles or databases. What the engine said itself is in the log.
 */
import { StoreUnavailable } from "./database.ts"

/** What the driver or the server said, by its code or the words that it has in place of one; the first that fits. */
const causes: readonly (readonly [said: RegExp, sentence: string])[] = [
  [/^(ECONNREFUSED|ENOENT)\b/, "nothing listens where DATABASE_URL leads. Start PostgreSQL there, or mend the address"],
  [/^(ENOTFOUND|EAI_AGAIN)\b/, "the host in DATABASE_URL is not found. Mend it, or the name server"],
  [/^53300/, "it has no connection left. Raise max_connections, end what holds them, or put PgBouncer before it"],
  [/^57P03/, "PostgreSQL is starting or stopping. Nothing needs to be done, unless it stays so"],
  [/^28/, "it does not let Waybill in. Mend the password in DATABASE_URL, or the role and pg_hba.conf"],
  [/^3D000/, "the database of DATABASE_URL is not there. Make it, or name another"],
  [/^55P03/, "somebody holds its tables locked. See pg_locks, and end what is in the way"],
  [/^57014/, "a statement took too long. See in pg_stat_activity what keeps PostgreSQL busy"],
  [
    /^(57P0|08)|terminated|not queryable|ECONNRESET|EPIPE/,
    "it breaks connections off. See whether PostgreSQL runs, and where DATABASE_URL leads",
  ],
  [/timeout|timed out|ETIMEDOUT|UNREACH/i, "it does not answer. See whether PostgreSQL runs, and the way there"],
]

const reasons: Readonly<Record<StoreUnavailable["reason"], string>> = {
  full: "its disk is full. Make room there",
  standby: "it is a standby, which takes no writes. Promote it, or have DATABASE_URL lead to the primary",
  old_primary:
    "it is an old primary, from before a failover. Have DATABASE_URL lead to the one that took over, and make a standby of this one",
  read_only: "it is read-only. See the rights on its files, and whether its disk is mounted for writing",
  unavailable: "it does not answer as it should. The log says more",
}

/** PostgreSQL does not look at files for that. */
const READ_ONLY_SESSIONS =
  "its sessions are read-only. Set default_transaction_read_only to off, for the server, the database and the role"

/** The sentence about an error that writing ended with. */
export function troubleOf(error: unknown): string {
  return `The database cannot be written: ${troubleIn(error)}. Waybill goes on by itself then.`
}

function troubleIn(error: unknown): string {
  if (!(error instanceof StoreUnavailable)) return reasons.unavailable
  const { reason, cause } = error
  const said = cause instanceof Error ? `${"code" in cause ? cause.code : ""} ${cause.message}`.trim() : ""
  if (reason === "read_only" && said.startsWith("25006")) return READ_ONLY_SESSIONS
  if (reason !== "unavailable") return reasons[reason]
  return causes.find(([known]) => known.test(said))?.[1] ?? reasons.unavailable
}
