/**
 * The embedded engine: one SQLite file, one connection that writes, reader connections in threads of their own.
 * Commits are durable (`synchronous=FULL`) or the file is not opened at all (ND-30).
 */
import { DatabaseSync, type StatementSync } from "node:sqlite"
import { type Database, type Sql, type SqlValue, StoreUnavailable, sql } from "./database.ts"
import type { Step } from "./step.ts"

/** SQLite's result codes that say "not now" rather than "wrong". */
const SQLITE_FULL = 13
const SQLITE_READONLY = 8
const SQLITE_IOERR = 10
const SQLITE_BUSY = 5
const SQLITE_CANTOPEN = 14

/** Extended codes: no room for the log's index, which is a full disk too; and what fsync itself has to say. */
const SQLITE_IOERR_SHMSIZE = 4_874
const SQLITE_IOERR_FSYNC = 1_034
const SQLITE_IOERR_DIR_FSYNC = 1_290

/** Opens a file for reading and writing, durable; throws where the file system does not let commits be durable. */
export function openConnection(path: string): DatabaseSync {
  // Nobody else writes here; whoever does holds everything up for no longer than this.
  const connection = new DatabaseSync(path, { timeout: 250 })
  // Before anything is in the file: what retention frees can then be given back to the disk (ND-33), for 1.5 us an event.
  const isNew = connection.prepare("pragma page_count").get()?.page_count === 0
  if (isNew) connection.exec("pragma auto_vacuum = incremental")
  connection.exec("pragma journal_mode = wal")
  connection.exec("pragma synchronous = full")
  connection.exec("pragma cache_size = -32768")
  connection.exec("pragma temp_store = memory")
  connection.exec("pragma journal_size_limit = 67108864")
  // 16 MiB of log between checkpoints: with the default of 4 MiB a full load checkpoints five times a second.
  setLogBytes(connection, 16_777_216)
  assertDurable(connection)
  return connection
}

/** How long the log becomes before it is written back into the database. */
export function setLogBytes(connection: DatabaseSync, bytes: number): void {
  connection.exec(`pragma wal_autocheckpoint = ${Math.floor(bytes / 4_096)}`)
}

/** Throws unless commits on this connection reach the disk before they return. */
export function assertDurable(connection: DatabaseSync): void {
  const mode = connection.prepare("pragma journal_mode").get()?.journal_mode
  const synchronous = connection.prepare("pragma synchronous").get()?.synchronous
  if (mode !== "wal" || synchronous !== 2) {
    throw new Error(
      `SQLite is not durable here: journal_mode=${mode}, synchronous=${synchronous}, not wal and 2 (FULL).`,
    )
  }
}

/** A transaction has the whole database to itself: there are no rows to lock. */
const FOR_UPDATE = / for update( of \w+)?( skip locked)?$/g

/** Prepared statements of one connection, by their text. */
export class Statements {
  readonly #connection: DatabaseSync
  readonly #byText = new Map<string, StatementSync>()
  readonly #byParts = new WeakMap<readonly string[], StatementSync>()

  constructor(connection: DatabaseSync) {
    this.#connection = connection
  }

  of(statement: Sql): StatementSync {
    let prepared = this.#byParts.get(statement.parts)
    if (prepared === undefined) {
      prepared = this.text(statement.parts.join("?").replaceAll(FOR_UPDATE, ""))
      this.#byParts.set(statement.parts, prepared)
    }
    return prepared
  }

  text(text: string): StatementSync {
    let prepared = this.#byText.get(text)
    if (prepared === undefined) {
      // Statements with lists of values are many; the oldest go first.
      if (this.#byText.size >= 500) this.#byText.delete(this.#byText.keys().next().value ?? "")
      prepared = this.#connection.prepare(text)
      this.#byText.set(text, prepared)
    }
    return prepared
  }
}

/** The writing connection. Transactions take turns, so that no statement joins somebody else's. */
export class SqliteDatabase implements Database {
  readonly connection: DatabaseSync
  readonly statements: Statements
  readonly skipLocked: Sql = sql``
  /** Hears of every statement or commit that failed because the database cannot be written. */
  onUnavailable: (error: StoreUnavailable) => void = () => undefined
  #turn: Promise<unknown> = Promise.resolve()
  #busy = false

  constructor(connection: DatabaseSync) {
    this.connection = connection
    this.statements = new Statements(connection)
  }

  query<Row extends object>(statement: Sql): Promise<Row[]> {
    return this.#inTurn(async () => {
      try {
        return this.#run<Row>(statement)
      } catch (error) {
        throw this.#caught(error)
      }
    })
  }

  transaction<T>(work: (tx: Database) => Promise<T>): Promise<T> {
    return this.#inTurn(async () => {
      try {
        this.connection.exec("begin immediate")
        const tx: Database = {
          query: async statement => this.#run(statement),
          transaction: inner => inner(tx),
          skipLocked: this.skipLocked,
          close: async () => undefined,
        }
        const result = await work(tx)
        this.connection.exec("commit")
        return result
      } catch (error) {
        this.rollback()
        throw this.#caught(error)
      }
    })
  }

  /** True while an asynchronous transaction is open: a synchronous one has to wait for `idle`. */
  get busy(): boolean {
    return this.#busy
  }

  /** Resolves when all transactions that have begun or wait for their turn are over. */
  async idle(): Promise<void> {
    while (this.#busy) await this.#turn
  }

  /** Runs `work` in a transaction that cannot be interrupted; call it only when not `busy`. */
  immediate<T>(work: () => T): T {
    try {
      this.connection.exec("begin immediate")
      const result = work()
      this.connection.exec("commit")
      return result
    } catch (error) {
      this.rollback()
      throw this.#caught(error)
    }
  }

  rollback(): void {
    // SQLite has rolled back by itself after some errors, a full disk among them.
    if (this.connection.isTransaction) this.connection.exec("rollback")
  }

  async close(): Promise<void> {
    await this.idle()
    this.connection.close()
  }

  #caught(error: unknown): unknown {
    const known = asUnavailable(error)
    if (known instanceof StoreUnavailable) this.onUnavailable(known)
    return known
  }

  #run<Row extends object>(statement: Sql): Row[] {
    return this.statements.of(statement).all(...(statement.values as SqlValue[])) as Row[]
  }

  #inTurn<T>(work: () => Promise<T>): Promise<T> {
    this.#busy = true
    const result = this.#turn.then(work)
    const settled = result.then(
      () => undefined,
      () => undefined,
    )
    this.#turn = settled
    void settled.then(() => {
      if (this.#turn === settled) this.#busy = false
    })
    return result
  }
}

/** Turns SQLite's "not now" errors into StoreUnavailable; anything else is a bug and stays as it is. */
export function asUnavailable(error: unknown): unknown {
  const code = codeOf(error)
  if (code === undefined) return error
  if (code === SQLITE_IOERR_SHMSIZE) return new StoreUnavailable("full", error)
  switch (code & 0xff) {
    case SQLITE_FULL:
      return new StoreUnavailable("full", error)
    case SQLITE_READONLY:
      return new StoreUnavailable("read_only", error)
    case SQLITE_IOERR:
    case SQLITE_BUSY:
    case SQLITE_CANTOPEN:
      return new StoreUnavailable("unavailable", error)
    default:
      return error
  }
}

/**
 * Whether an error leaves it unknown what is on disk: after a failed fsync the system may have thrown away what it could
 * not write and says so only once, so that trying again proves nothing. Only a new start, from the disk, knows (F-13).
 */
export function isStateUnknown({ cause }: StoreUnavailable): boolean {
  const code = codeOf(cause)
  return code === SQLITE_IOERR_FSYNC || code === SQLITE_IOERR_DIR_FSYNC
}

/** SQLite's extended result code of an error. */
function codeOf(error: unknown): number | undefined {
  if (!(error instanceof Error) || !("errcode" in error) || typeof error.errcode !== "number") return undefined
  return error.errcode
}

/** Carries a step out at once, on the connection whose transaction is open. */
export function runNow<T>({ statements }: SqliteDatabase, step: Step<T>): T {
  let turn = step.next()
  while (turn.done !== true) {
    const { statement, wants } = turn.value
    const prepared = statements.of(statement)
    const values = statement.values as SqlValue[]
    turn = step.next(wants === "rows" ? (prepared.all(...values) as object[]) : Number(prepared.run(...values).changes))
  }
  return turn.value
}
