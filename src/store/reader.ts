/** Reads that do not stand in the way of writes: a connection in a thread of its own, which sees every commit so far. */
import { Worker } from "node:worker_threads"
import type { Database, Sql, SqlValue } from "./database.ts"

/** Anything that answers queries. */
export type Reader = Pick<Database, "query">

/** What goes to the thread and what comes back. */
export interface ReadRequest {
  readonly id: number
  readonly text: string
  readonly values: readonly SqlValue[]
}
export type ReadAnswer =
  | { readonly id: number; readonly rows: readonly object[] }
  | { readonly id: number; readonly error: string }

export class ReaderThread implements Reader {
  readonly #worker: Worker
  readonly #waiting = new Map<number, { resolve(rows: readonly object[]): void; reject(error: Error): void }>()
  #lastId = 0

  /** Opens the file read-only in a thread. */
  constructor(path: string) {
    // The sources run as they are; what is published is JavaScript.
    const file = import.meta.url.endsWith(".ts") ? "./reader-thread.ts" : "./reader-thread.js"
    this.#worker = new Worker(new URL(file, import.meta.url), {
      workerData: { path },
      resourceLimits: { maxOldGenerationSizeMb: 128 },
    })
    this.#worker.on("message", (answer: ReadAnswer) => {
      const waiting = this.#waiting.get(answer.id)
      this.#waiting.delete(answer.id)
      if (waiting === undefined) return
      if (this.#waiting.size === 0) this.#worker.unref()
      if ("rows" in answer) waiting.resolve(answer.rows)
      else waiting.reject(new Error(answer.error))
    })
    this.#worker.on("error", error => this.#failAll(error))
    this.#worker.unref()
  }

  query<Row extends object>(statement: Sql): Promise<Row[]> {
    return new Promise((resolve, reject) => {
      const id = ++this.#lastId
      // Unreferenced while a query waits, it would let the process end before the answer, in the midst of an orderly stop.
      if (this.#waiting.size === 0) this.#worker.ref()
      this.#waiting.set(id, { resolve: rows => resolve(rows as Row[]), reject })
      const request: ReadRequest = { id, text: statement.parts.join("?"), values: statement.values }
      this.#worker.postMessage(request)
    })
  }

  async close(): Promise<void> {
    // Unreferenced, it would not keep the process alive until it has ended.
    this.#worker.ref()
    await this.#worker.terminate()
    this.#failAll(new Error("The reader was closed."))
  }

  #failAll(error: unknown): void {
    for (const waiting of this.#waiting.values())
      waiting.reject(error instanceof Error ? error : new Error(String(error)))
    this.#waiting.clear()
  }
}
