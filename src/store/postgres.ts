/**
 * The engine for many machines: PostgreSQL 15 or later. Everything goes out unnamed and nothing is kept in a session, so
 * that a pooler in transaction mode may stand in between (ND-46, ND-47).
 */
import pg from "pg"
import { type Database, type Sql, type SqlValue, StoreUnavailable, sql } from "./database.ts"
import { Timeline } from "./postgres-timeline.ts"
import type { Step } from "./step.ts"

/**
 * How long a connection may take to come, a statement to answer, a lock to be given; and a transaction to stay idle: what a
 * process holds locked that stands still is others' again before its lease is over.
 */
const CONNECT_MS = 5_000
const STATEMENT_MS = 15_000
const LOCK_MS = 5_000
const IDLE_IN_TRANSACTION_MS = 3_000
/** The client gives up a little later than the server, which knows why. */
const QUERY_MS = STATEMENT_MS + 5_000

/** Anything that carries statements out: a pool, or a connection with a transaction open on it. */
type Runner = Pick<pg.Pool | pg.ClientBase, "query">

/** How a pool is made. */
export interface PoolOptions {
  /** `postgres://user@host/database` */
  readonly url: string
  /** What it is for, as the server shows it. */
  readonly name: string
  readonly connections: number
  /** Shared by all pools of a process: what one has met, the others know. */
  readonly timeline?: Timeline
}

/** OIDs of types whose values become numbers: all that Waybill stores are exact (53 bits). */
const NUMBERS = [pg.types.builtins.INT8, pg.types.builtins.NUMERIC]

const INT8_ARRAY = 1_016

/** How values come back. */
export const types: pg.CustomTypesConfig = {
  getTypeParser: (oid: number, format?: string) => {
    if (NUMBERS.includes(oid)) return Number
    if (oid === INT8_ARRAY) return (value: string) => value.slice(1, -1).split(",").filter(Boolean).map(Number)
    // As the embedded engine says it.
    if (oid === pg.types.builtins.BOOL) return (value: string) => (value === "t" ? 1 : 0)
    return pg.types.getTypeParser(oid, format as "text")
  },
}

/** A pool of connections. An error on one that lies idle ends nothing: it is thrown away, and the next query gets another. */
export class PostgresDatabase implements Database {
  readonly skipLocked: Sql = sql` for update skip locked`
  readonly #pool: pg.Pool
  /** Hears of everything that failed because the database cannot be written. */
  onUnavailable: (error: StoreUnavailable) => void = () => undefined

  constructor({ url, name, connections, timeline = new Timeline() }: PoolOptions) {
    this.#pool = new pg.Pool({
      connectionString: url,
      max: connections,
      application_name: name,
      connectionTimeoutMillis: CONNECT_MS,
      idleTimeoutMillis: 60_000,
      query_timeout: QUERY_MS,
      keepAlive: true,
      types,
      onConnect: async client => {
        await client.query(SESSION)
        await timeline.check(client)
      },
    } as pg.PoolConfig)
    // Without a listener an error on an idle connection would end the process (ND-48).
    this.#pool.on("error", () => undefined)
    this.#pool.on("connect", client => client.on("error", () => undefined))
  }

  async query<Row extends object>(statement: Sql): Promise<Row[]> {
    try {
      return (await run<Row>(this.#pool, statement)).rows
    } catch (error) {
      throw this.#caught(error)
    }
  }

  async transaction<T>(work: (tx: PostgresTransaction) => Promise<T>): Promise<T> {
    let client: pg.PoolClient | undefined
    let broken: Error | undefined
    try {
      client = await this.#pool.connect()
      await client.query(BEGIN)
      const result = await work(new PostgresTransaction(client))
      await client.query("commit")
      return result
    } catch (error) {
      broken = await rollback(client)
      throw this.#caught(error)
    } finally {
      // One that could not roll back is of no use to anybody.
      client?.release(broken)
    }
  }

  async close(): Promise<void> {
    await this.#pool.end()
  }

  #caught(error: unknown): unknown {
    const known = asUnavailable(error)
    if (known instanceof StoreUnavailable) this.onUnavailable(known)
    return known
  }
}

/**
 * The planner is told to go along the indexes, one row after the other: every question is about few rows of large tables. It
 * reckons a join into partitions as if each row came to all of them, when it comes to one, and would rather read all days
 * from end to end; and what seems as dear as that it would compile first.
 */
const ALONG_INDEXES = ["enable_seqscan", "enable_hashjoin", "enable_mergejoin", "jit"]

/** In each transaction, because nothing may be left to the session: a commit is on the disk before it is answered. */
const BEGIN = `begin; ${settings("set local")}`
/** For what needs no transaction of its own. Behind a pooler it may reach another session: see postgres-check.ts. */
const SESSION = settings("set")

function settings(set: "set" | "set local"): string {
  return `${set} synchronous_commit = on; ${set} statement_timeout = ${STATEMENT_MS}; ${set} lock_timeout = ${LOCK_MS};
  ${set} idle_in_transaction_session_timeout = ${IDLE_IN_TRANSACTION_MS}; ${ALONG_INDEXES.map(name => `${set} ${name} = off`).join("; ")}`
}

/** A transaction that is open. */
export class PostgresTransaction implements Database {
  readonly skipLocked: Sql = sql` for update skip locked`
  readonly #client: Runner

  constructor(client: Runner) {
    this.#client = client
  }

  async query<Row extends object>(statement: Sql): Promise<Row[]> {
    return (await run<Row>(this.#client, statement)).rows
  }

  transaction<T>(work: (tx: PostgresTransaction) => Promise<T>): Promise<T> {
    return work(this)
  }

  /** Carries a step out, one statement after the other. */
  async run<T>(step: Step<T>): Promise<T> {
    let turn = step.next()
    while (turn.done !== true) {
      const { statement, wants } = turn.value
      const result = await run<object>(this.#client, statement)
      turn = step.next(wants === "rows" ? result.rows : (result.rowCount ?? 0))
    }
    return turn.value
  }

  async close(): Promise<void> {}
}

async function rollback(client: pg.PoolClient | undefined): Promise<Error | undefined> {
  try {
    await client?.query("rollback")
    return undefined
  } catch (error) {
    return error instanceof Error ? error : new Error(String(error))
  }
}

/** What one engine has to be told and the other does not know: see `along` in walk.ts. */
const INDEXED_BY = / indexed by \w+/g

const texts = new WeakMap<readonly string[], string>()

/** The text of a statement, with its places numbered. */
function textOf({ parts }: Sql): string {
  let text = texts.get(parts)
  if (text === undefined) {
    text = parts.reduce((before, part, i) => `${before}$${i}${part}`).replaceAll(INDEXED_BY, "")
    texts.set(parts, text)
  }
  return text
}

async function run<Row extends object>(
  runner: Runner,
  statement: Sql,
): Promise<pg.QueryResult<Row & pg.QueryResultRow>> {
  return await runner.query<Row & pg.QueryResultRow>(textOf(statement), statement.values.map(parameterOf))
}

/** A value as the server takes it: numbers beyond all others as the greatest there are, text without the one character it lacks. */
function parameterOf(value: SqlValue): unknown {
  if (typeof value === "string") return withoutNul(value)
  if (typeof value === "number" && !Number.isFinite(value)) {
    return value > 0 ? Number.MAX_SAFE_INTEGER : Number.MIN_SAFE_INTEGER
  }
  return value instanceof Uint8Array && !Buffer.isBuffer(value)
    ? Buffer.from(value.buffer, value.byteOffset, value.byteLength)
    : value
}

/** What a sender or a receiver says may have any character in it, and none of them may hold a commit up. */
export function withoutNul(text: string): string {
  return text.includes("\0") ? text.replaceAll("\0", "\u{FFFD}") : text
}

type NotNow = readonly [code: string, reason: StoreUnavailable["reason"]]

const OUT_OF_ROOM: NotNow = ["53100", "full"]

/** SQLSTATEs, or their classes, that say "not now" rather than "wrong" (PostgreSQL, appendix A). */
const NOT_NOW: readonly NotNow[] = [
  OUT_OF_ROOM,
  ["25006", "read_only"],
  ["08", "unavailable"],
  ["53", "unavailable"],
  ["57", "unavailable"],
  ["55P03", "unavailable"],
  ["25P03", "unavailable"],
  ["28", "unavailable"],
  ["3D000", "unavailable"],
  ["XX000", "unavailable"],
  ["58", "unavailable"],
]

/** What node-postgres and the system say of connections that are not, or no longer, there. */
const NO_CONNECTION =
  /connection terminated|connection timeout|timeout exceeded when trying to connect|query read timeout|client has encountered a connection error|not queryable|ECONNREFUSED|ECONNRESET|EPIPE|ETIMEDOUT|ENOTFOUND|EAI_AGAIN|EHOSTUNREACH|ENETUNREACH/i

/**
 * Those of them that come while a statement is under way: whether it was committed is not known. 08006 and 08007 are a lost
 * connection and an unknown resolution, 57P01 and 57P02 a server that is ended.
 */
const BROKEN_OFF =
  /^(08006|08007|57P01|57P02)|connection terminated|query read timeout|connection error|not queryable|ECONNRESET|EPIPE|ETIMEDOUT/i

/** Turns "not now" errors into StoreUnavailable; anything else is a bug and stays as it is. */
export function asUnavailable(error: unknown): unknown {
  if (!(error instanceof Error) || error instanceof StoreUnavailable) return error
  const code = codeOf(error)
  const known = isOutOfRoom(error) ? OUT_OF_ROOM : NOT_NOW.find(([prefix]) => code?.startsWith(prefix) === true)
  const said = `${code ?? ""} ${error.message}`
  if (known !== undefined) return new StoreUnavailable(known[1], error, BROKEN_OFF.test(said))
  if (NO_CONNECTION.test(said)) return new StoreUnavailable("unavailable", error, BROKEN_OFF.test(said))
  return error
}

/** A table cannot grow: the server has a code for a full disk, but none for a quota, or the end of what a file may hold. */
function isOutOfRoom(error: Error): boolean {
  return "routine" in error && typeof error.routine === "string" && /^md.*extend/.test(error.routine)
}

/** The SQLSTATE of an error, or the system's code. */
export function codeOf(error: unknown): string | undefined {
  return error instanceof Error && "code" in error && typeof error.code === "string" ? error.code : undefined
}

/** Whether trying the same once more may well succeed: serialisation, deadlock, and what the verbs raise themselves. */
export function isWorthRepeating(error: unknown): boolean {
  return ["40001", "40P01", "WB001", "WB002"].includes(codeOf(error) ?? "")
}
