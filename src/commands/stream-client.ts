/** Follows `GET /v1/stream` for as long as it is wanted: comes back after every break, where it had stopped. */
import { setTimeout as wait } from "node:timers/promises"
import { createParser, type EventSourceMessage } from "eventsource-parser"
import { type Client, type Query, Refusal, Unreachable } from "./client.ts"
import { CommandFault } from "./fault.ts"

/** The server says something every 15 s; a connection that is silent for so long is dead. */
const SILENCE_MS = 45_000
const USUAL_PAUSE_MS = 2_000

/** A message of the stream; `position` is where to go on after it. */
export interface StreamMessage {
  readonly name: string
  /** JSON text on one line. */
  readonly data: string
  readonly position: string | undefined
}

export interface Follow {
  readonly query: Query
  /** Where to go on; undefined: from now. */
  readonly after: string | undefined
  readonly hear: (message: StreamMessage) => void
  /** Told once of every break, in a sentence. */
  readonly note: (sentence: string) => void
  readonly signal: AbortSignal
}

/** Follows the stream until the signal; throws where it cannot be opened at all, or may not be read any longer. */
export async function follow(client: Client, { query, after, hear, note, signal }: Follow): Promise<void> {
  let position = after
  let pauseMs = USUAL_PAUSE_MS
  let isOpened = false
  let isBroken = false
  const parser = createParser({
    onId: id => {
      position = id
    },
    onRetry: retryMs => {
      pauseMs = retryMs
    },
    onEvent: message => hear(read(message, position)),
  })
  while (!signal.aborted) {
    try {
      for await (const text of connection(client, query, position, signal)) {
        isOpened = true
        isBroken = false
        parser.feed(text)
      }
    } catch (error) {
      if (signal.aborted) return
      // What refuses a key or a filter will refuse it again; what is busy or gone may be there in a moment.
      const mayPass = error instanceof Unreachable || (error instanceof Refusal && [429, 503].includes(error.status))
      if (!isOpened || !mayPass) throw error
      if (error instanceof Refusal) pauseMs = Math.max(pauseMs, error.retryAfterMs ?? 0)
    }
    if (signal.aborted) return
    if (!isBroken) note(`The connection to ${client.url} is lost. It is tried again until it is back.`)
    isBroken = true
    parser.reset()
    await wait(pauseMs, undefined, { signal }).catch(() => undefined)
  }
}

/** What one connection brings, until it ends; throws where it cannot be opened, breaks off or falls silent. */
async function* connection(
  client: Client,
  query: Query,
  position: string | undefined,
  signal: AbortSignal,
): AsyncGenerator<string> {
  const silence = new AbortController()
  let timer = setTimeout(() => silence.abort(), SILENCE_MS)
  const headers = { accept: "text/event-stream", ...(position === undefined ? {} : { "last-event-id": position }) }
  try {
    const either = AbortSignal.any([signal, silence.signal])
    const { body } = await client.open("GET", "/v1/stream", { query, headers }, either)
    if (body === null) return
    for await (const text of body.pipeThrough(new TextDecoderStream())) {
      clearTimeout(timer)
      timer = setTimeout(() => silence.abort(), SILENCE_MS)
      yield text
    }
  } catch (error) {
    if (error instanceof CommandFault) throw error
    throw new Unreachable(`The connection to ${client.url} is lost.`, "ECONNRESET")
  } finally {
    clearTimeout(timer)
  }
}

function read({ event, data }: EventSourceMessage, position: string | undefined): StreamMessage {
  // Line breaks in JSON text are white space between its parts, never part of a value.
  return { name: event ?? "message", data: data.replaceAll("\n", " "), position }
}
