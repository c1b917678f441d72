/**
 * One connection to PostgreSQL for what may take long and happens outside of the server's daily work: looking at it before a
 * start, migrations, exports and imports. It has no time limits of its own; errors at its beginning are told in sentences.
 */
import pg from "pg"
import { PostgresTransaction, types } from "./postgres.ts"
import { connectionFault } from "./postgres-faults.ts"

const CONNECT_MS = 10_000

/** What is done on such a connection. */
export interface Session {
  /** The name of the database and where it is, without user and password. */
  readonly place: string
  /** Statements one by one, each a transaction of its own. */
  readonly db: PostgresTransaction
  /** Runs work in a transaction; rolled back if it throws. */
  transaction<T>(work: (tx: PostgresTransaction) => Promise<T>): Promise<T>
  /** For what is not a question: see copy-in.ts. */
  readonly client: pg.Client
}

/** Opens a connection for `work`; throws StoreFault where there is none to be had. */
export async function withSession<T>(url: string, work: (session: Session) => Promise<T>): Promise<T> {
  const client = new pg.Client({
    connectionString: url,
    connectionTimeoutMillis: CONNECT_MS,
    application_name: "waybill session",
    keepAlive: true,
    types,
  })
  // Said by the statement that is under way, too; without a listener it would end the process.
  client.on("error", () => undefined)
  try {
    await client.connect()
  } catch (error) {
    client.end().catch(() => undefined)
    throw connectionFault(error, client)
  }
  try {
    const db = new PostgresTransaction(client)
    return await work({
      place: `the database ${client.database} at ${client.host}:${client.port}`,
      db,
      client,
      transaction: async inner => {
        await client.query(BEGIN)
        try {
          const result = await inner(db)
          await client.query("commit")
          return result
        } catch (error) {
          // One that is broken has rolled back by that.
          await client.query("rollback").catch(() => undefined)
          throw error
        }
      },
    })
  } finally {
    await client.end().catch(() => undefined)
  }
}

/** In each transaction, because behind a pooler a session is anybody's. */
const BEGIN = `begin; set local synchronous_commit = on; set local statement_timeout = 0; set local lock_timeout = 0;
  set local idle_in_transaction_session_timeout = 0`
