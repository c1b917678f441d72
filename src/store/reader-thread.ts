/** The thread behind ReaderThread: runs one query after another on a read-only connection. */
import { DatabaseSync } from "node:sqlite"
import { parentPort, workerData } from "node:worker_threads"
import type { SqlValue } from "./database.ts"
import type { ReadAnswer, ReadRequest } from "./reader.ts"
import { Statements } from "./sqlite.ts"

const { path } = workerData as { path: string }
const connection = new DatabaseSync(path, { readOnly: true, timeout: 5_000 })
connection.exec("pragma cache_size = -8192")
const statements = new Statements(connection)

parentPort?.on("message", (request: ReadRequest) => {
  parentPort?.postMessage(answerTo(request))
})

function answerTo({ id, text, values }: ReadRequest): ReadAnswer {
  try {
    return { id, rows: statements.text(text).all(...(values as SqlValue[])) }
  } catch (error) {
    return { id, error: error instanceof Error ? error.message : String(error) }
  }
}
