/** A listener of `GET /v1/stream`: keeps the messages that came, and waits for those that a test needs. */
import assert from "node:assert/strict"
import { createParser } from "eventsource-parser"
import type { Reachable } from "./waybill.ts"

export interface StreamMessage {
  readonly name: string
  readonly id: string | undefined
  /** The text of `data`. */
  readonly text: string
  readonly data: Record<string, unknown>
}

/** Far more than any message takes; a test that waits so long has failed. */
const PATIENCE_MS = 20_000

export class StreamListener implements Disposable {
  readonly messages: StreamMessage[] = []
  /** Comments and everything else, as it came. */
  raw = ""
  /** Resolves when the connection has ended. */
  readonly ended: Promise<void>
  readonly #abort = new AbortController()
  #waiting = new Set<() => void>()

  /** Opens a stream; resolves once its answer has begun. Throws where that is not 200. */
  static async open(
    at: Reachable,
    options: { readonly query?: string; readonly lastEventId?: string; readonly key?: string } = {},
  ): Promise<StreamListener> {
    const listener = new StreamListener()
    await listener.#begin(at, options)
    return listener
  }

  readonly #hasEnded: PromiseWithResolvers<void> = Promise.withResolvers()

  private constructor() {
    this.ended = this.#hasEnded.promise
  }

  close(): void {
    this.#abort.abort()
  }

  [Symbol.dispose](): void {
    this.close()
  }

  /** The first message so far, or the next to come, for which `isIt` holds. */
  async find(isIt: (message: StreamMessage) => boolean): Promise<StreamMessage> {
    await this.until(() => this.messages.some(isIt))
    const message = this.messages.find(isIt)
    assert.ok(message)
    return message
  }

  /** Waits until a condition holds, looking at it again with whatever comes in. */
  async until(holds: () => boolean): Promise<void> {
    const limit = AbortSignal.timeout(PATIENCE_MS)
    while (!holds()) {
      await new Promise<void>((resolve, reject) => {
        this.#waiting.add(resolve)
        limit.addEventListener("abort", () => {
          const names = this.messages.map(message => `${message.name} ${message.id}`)
          reject(new Error(`Nothing of the kind came. What came: ${names.join(", ") || "nothing"}`))
        })
      })
    }
  }

  async #begin(
    at: Reachable,
    { query = "", lastEventId, key = at.key }: { query?: string; lastEventId?: string; key?: string },
  ) {
    const response = await fetch(`${at.url}/v1/stream${query}`, {
      headers: {
        authorization: `Bearer ${key}`,
        ...(lastEventId === undefined ? {} : { "last-event-id": lastEventId }),
      },
      signal: this.#abort.signal,
    })
    if (response.status !== 200) throw new Error(`${response.status}: ${await response.text()}`)
    void this.#read(response)
  }

  async #read(response: Response): Promise<void> {
    const parser = createParser({
      onEvent: ({ event, id, data }) => {
        const parsed = JSON.parse(data) as Record<string, unknown>
        this.messages.push({ name: event ?? "message", id, text: data, data: parsed })
      },
    })
    const decoder = new TextDecoder()
    try {
      for await (const chunk of response.body ?? []) {
        const text = decoder.decode(chunk as Uint8Array, { stream: true })
        this.raw += text
        parser.feed(text)
        this.#wake()
      }
    } catch (error) {
      if (!this.#abort.signal.aborted) this.raw += `\n(broken off: ${error})`
    }
    this.#hasEnded.resolve()
    this.#wake()
  }

  #wake(): void {
    const waiting = [...this.#waiting]
    this.#waiting.clear()
    for (const resolve of waiting) resolve()
  }
}
