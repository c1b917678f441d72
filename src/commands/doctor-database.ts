/** What `waybill doctor` looks at where the database is PostgreSQL. */
import { statSync } from "node:fs"
import { type Config, isLoopbackHost } from "../config.ts"
import { formatDuration } from "../domain/sentence.ts"
import type { ServerFacts, ServerFault } from "../store/postgres-check.ts"
import type { DatabaseFacts } from "../store/postgres-look.ts"
import { type DatabaseTools, onDatabase } from "./database.ts"
import {
  checkClock,
  checkEgress,
  checkFolder,
  checkKey,
  checkNode,
  doubtful,
  type Finding,
  good,
  measureOf,
  SLOW_COMMIT_MS,
  wrong,
} from "./doctor-checks.ts"
import { CommandFault } from "./fault.ts"
import { onFolder } from "./folder.ts"

/** Longer transactions keep what has been deleted from being cleaned up (ND-41). */
const LONG_TRANSACTION_MS = 60_000
/** The database's clock is the one that counts; others that are far off confuse people. */
const CLOCK_OFF_MS = 5_000

/** Everything that Waybill stands on: the database first, then what belongs to this machine. */
export async function examineDatabase(config: Config, url: string, now: () => number): Promise<readonly Finding[]> {
  const found = await lookAt(config, url, now)
  const facts = found.facts
  const folder = statSync(config.dataDir, { throwIfNoEntry: false })
  return onFolder(config.dataDir, async tools => [
    checkNode(),
    ...found.findings,
    // Where the key comes from elsewhere nothing has to be in it.
    ...(folder === undefined && config.secretKey !== null ? [] : [checkFolder(config.dataDir, tools)]),
    checkKey(config, facts, tools),
    await checkClock(facts, now),
    ...(await checkEgress(config, isLoopbackHost(config.host), facts?.hosts ?? [])),
  ])
}

interface Found {
  readonly findings: readonly Finding[]
  /** Null where the database cannot be reached, or will not do. */
  readonly facts: DatabaseFacts | null
}

async function lookAt(config: Config, url: string, now: () => number): Promise<Found> {
  try {
    return await onDatabase(tools =>
      tools.session.withSession(url, async session => {
        const server = await tools.check.lookAtServer(session)
        const faults = tools.check.serverFaults(server, config.allowUnsafeDatabase)
        // One that will not do is not looked into any further.
        if (faults.length > 0)
          return { findings: faults.map(({ what, message }) => wrong(subjects[what], message)), facts: null }
        const facts = await tools.look.lookAtDatabase(session)
        const offMs = facts.now - now()
        const times = await tools.look.tryDatabaseCommits(session)
        const findings = [
          good(
            "database",
            `${server.place} is on PostgreSQL ${server.version}, for ${server.role}.`.replace(/^t/, "T"),
          ),
          checkSchema(facts, server, tools),
          checkDurability(server, times),
          checkConnections(facts),
          checkTransactions(facts),
          checkClocks(offMs),
          checkNodes(facts),
        ]
        return { findings, facts }
      }),
    )
  } catch (error) {
    if (!(error instanceof CommandFault)) throw error
    return { findings: [wrong("database", error.message)], facts: null }
  }
}

const subjects: Readonly<Record<ServerFault["what"], string>> = {
  version: "database",
  encoding: "database",
  standby: "database",
  durability: "durability",
  rights: "rights",
}

function checkSchema({ schema }: DatabaseFacts, { place }: ServerFacts, { migrate }: DatabaseTools): Finding {
  try {
    const known = migrate.assertKnown(schema, place)
    if (schema.version === 0) return doubtful("schema", "There is none yet: the first start makes it.")
    return schema.version < known
      ? doubtful(
          "schema",
          `It is ${schema.version}, this program's is ${known}: a start or \`waybill migrate\` brings it there.`,
        )
      : good("schema", `It is ${schema.version}, and this program knows ${known}.`)
  } catch (error) {
    return wrong("schema", error instanceof Error ? error.message : String(error))
  }
}

function checkDurability(
  { fsync, full_page_writes, synchronous_commit }: ServerFacts,
  times: readonly number[],
): Finding {
  const { median, text } = measureOf(times)
  if (fsync !== "on" || full_page_writes !== "on") {
    return doubtful(
      "durability",
      `fsync=${fsync}, full_page_writes=${full_page_writes}, which is allowed here: a crash may lose events.`,
    )
  }
  return median > SLOW_COMMIT_MS
    ? doubtful("durability", `The database or the way to it is slow (${text}).`)
    : good("durability", `synchronous_commit=${synchronous_commit}, fsync=on; ${text}.`)
}

function checkConnections({ connections: { most, used, perProcess } }: DatabaseFacts): Finding {
  const text = `${used} of ${most} connections are in use; a process takes up to ${perProcess}`
  return most - used < perProcess
    ? doubtful("connections", `${text}. Raise max_connections, or put PgBouncer before it.`)
    : good("connections", `${text}.`)
}

function checkTransactions({ oldestTransactionMs }: DatabaseFacts): Finding {
  return oldestTransactionMs > LONG_TRANSACTION_MS
    ? doubtful(
        "transactions",
        `One has been open for ${formatDuration(oldestTransactionMs)}, and keeps old rows from being cleaned up: see pg_stat_activity.`,
      )
    : good("transactions", "None is open for long.")
}

function checkClocks(offMs: number): Finding {
  return Math.abs(offMs) > CLOCK_OFF_MS
    ? doubtful(
        "clocks",
        `The database's clock and this machine's are ${formatDuration(Math.abs(offMs))} apart. The database's decides when something is due; events bear this machine's time: set both right.`,
      )
    : good("clocks", "The database's clock and this machine's agree.")
}

function checkNodes({ nodes }: DatabaseFacts): Finding {
  return good(
    "processes",
    nodes.length === 0 ? "None works on it just now." : `${nodes.length} work on it: ${nodes.join(", ")}.`,
  )
}
