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

/** What the thread may hold of its own and of answers; more ends it, and with it the query that asked for so much. */
const MAX_MEGABYTES = 128

/** A query that has not been answered. */
interface Asked {
  readonly request: ReadRequest
  resolve(rows: readonly object[]): void
  reject(error: Error): void
}

export class ReaderThread implements Reader {
  readonly #path: string
  /** Undefined after it ended by itself, until the next query. */
  #worker: Worker | undefined
  /** In the order in which they were asked, which is that in which the thread takes them. */
  readonly #waiting = new Map<number, Asked>()
  #lastId = 0
  #isClosed = false

  /** Opens the file read-only in a thread. */
  constructor(path: string) {
    this.#path = path
    this.#worker = this.#start()
  }

  query<Row extends object>(statement: Sql): Promise<Row[]> {
    return new Promise((resolve, reject) => {
      if (this.#isClosed) {
        reject(new Error("The reader was closed."))
        return
      }
      const id = ++this.#lastId
      this.#worker ??= this.#start()
      // Unreferenced while a query waits, it would let the process end before the answer, in the midst of an orderly stop.
      if (this.#waiting.size === 0) this.#worker.ref()
      const request: ReadRequest = { id, text: statement.parts.join("?"), values: statement.values }
      this.#waiting.set(id, { request, resolve: rows => resolve(rows as Row[]), reject })
      this.#worker.postMessage(request)
    })
  }

  async close(): Promise<void> {
    this.#isClosed = true
    // Unreferenced, it would not keep the process alive until it has ended.
    this.#worker?.ref()
    await this.#worker?.terminate()
    for (const { reject } of this.#waiting.values()) reject(new Error("The reader was closed."))
    this.#waiting.clear()
  }

  #start(): Worker {
    // The sources run as they are; what is published is JavaScript.
    const file = import.meta.url.endsWith(".ts") ? "./reader-thread.ts" : "./reader-thread.js"
    const worker = new Worker(new URL(file, import.meta.url), {
      workerData: { path: this.#path },
      resourceLimits: { maxOldGenerationSizeMb: MAX_MEGABYTES },
    })
    let fault: unknown
    worker.on("message", (answer: ReadAnswer) => {
      const asked = this.#waiting.get(answer.id)
      this.#waiting.delete(answer.id)
      if (asked === undefined) return
      if (this.#waiting.size === 0) worker.unref()
      if ("rows" in answer) asked.resolve(answer.rows)
      else asked.reject(new Error(answer.error))
    })
    worker.on("error", error => {
      fault = error
    })
    worker.on("exit", () => {
      if (!this.#isClosed) this.#startAnew(fault)
    })
    worker.unref()
    return worker
  }

  /** The thread has ended by itself: the query that it was at has failed, and those behind it go to a new one. */
  #startAnew(fault: unknown): void {
    this.#worker = undefined
    const [first] = this.#waiting.values()
    if (first === undefined) return
    this.#waiting.delete(first.request.id)
    first.reject(new Error("The thread that reads the database ended over a query.", { cause: fault }))
    if (this.#waiting.size === 0) return
    this.#worker = this.#start()
    this.#worker.ref()
    for (const { request } of this.#waiting.values()) this.#worker.postMessage(request)
  }
}
