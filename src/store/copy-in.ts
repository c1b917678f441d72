/** `copy … from stdin` over the driver's connection: rows go to the server as they come, without an answer for each. */
import { once } from "node:events"
import type pg from "pg"

/** What the driver's connection has beside what its types say. */
interface CopyConnection extends pg.Connection {
  sendCopyFromChunk(chunk: Uint8Array): void
  endCopyFrom(): void
  sendCopyFail(message: string): void
}

/** Sends rows in COPY's text format; gives how many the server took. Waits where the server is slower than they come. */
export async function copyIn(client: pg.Client, statement: string, rows: AsyncIterable<Uint8Array>): Promise<number> {
  const copy = client.query(new CopyIn(statement))
  const connection = await copy.begun
  try {
    for await (const chunk of rows) {
      connection.sendCopyFromChunk(chunk)
      if (copy.hasFailed) break
      if (connection.stream.writableNeedDrain) await Promise.race([once(connection.stream, "drain"), copy.done])
    }
    connection.endCopyFrom()
  } catch (error) {
    connection.sendCopyFail("the rows ended")
    // It says no more than that.
    await copy.done.catch(() => undefined)
    throw error
  }
  return copy.done
}

/** Speaks to the driver as its queries do. */
class CopyIn {
  readonly #statement: string
  readonly #begun = Promise.withResolvers<CopyConnection>()
  readonly #done = Promise.withResolvers<number>()
  #count = 0
  hasFailed = false

  constructor(statement: string) {
    this.#statement = statement
    // Both are told of a failure, and perhaps only one of them is waited for.
    this.#begun.promise.catch(() => undefined)
    this.#done.promise.catch(() => undefined)
  }

  get begun(): Promise<CopyConnection> {
    return this.#begun.promise
  }

  get done(): Promise<number> {
    return this.#done.promise
  }

  submit(connection: pg.Connection): void {
    connection.query(this.#statement)
  }

  handleCopyInResponse(connection: pg.Connection): void {
    this.#begun.resolve(connection as CopyConnection)
  }

  handleCommandComplete({ text }: { readonly text: string }): void {
    this.#count = Number(text.split(" ").at(-1))
  }

  handleReadyForQuery(): void {
    this.#done.resolve(this.#count)
  }

  handleError(error: Error): void {
    this.hasFailed = true
    this.#begun.reject(error)
    this.#done.reject(error)
  }
}
