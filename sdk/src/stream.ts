/** The stream of `GET /v1/stream`: server-sent events, taken up again where they broke off. */
import { createParser } from "eventsource-parser"
import { credentialsWith, currentKey, type Key } from "./credential.ts"
import { problemOf, WaybillProblem } from "./problem.ts"

/** A message of the stream. What `data` holds depends on `event`: see "The stream" in docs/reference/api.md. */
export interface StreamMessage {
  /** The position: `last_event_id` to go on after it. Empty for messages that have none. */
  readonly id: string
  /** Such as `event`, `attempt`, `change`. */
  readonly event: string
  readonly data: unknown
}

/** What is followed. */
export interface Followed {
  /** Such as `https://hub.example`; without it the page's own origin. */
  readonly url?: string
  readonly key?: Key
  /** Query parameters of `GET /v1/stream`. */
  readonly query?: Readonly<Record<string, string>>
  /** Goes on after this position. */
  readonly after?: string
  readonly signal: AbortSignal
  /** A connection that brings nothing for so long is dead, and opened again. The server says something every 15 s. */
  readonly silenceMs?: number
  /** Hears whether there is a connection. A problem where there is none for now; it is tried again. */
  readonly onState?: (state: "open" | WaybillProblem) => void
}

const SILENCE_MS = 45_000
const FIRST_WAIT_MS = 500
const LONGEST_WAIT_MS = 15_000

/**
 * The messages, without end: where the connection breaks it is opened again and goes on after the last one. Ends when the
 * signal says so; throws a `WaybillProblem` that waiting will not mend (4xx but 429).
 */
export async function* follow(followed: Followed): AsyncGenerator<StreamMessage> {
  const { signal, onState } = followed
  let after = followed.after
  let waitMs = FIRST_WAIT_MS
  while (!signal.aborted) {
    try {
      for await (const piece of connection(followed, after)) {
        if (piece.kind === "position") {
          after = piece.position
          continue
        }
        waitMs = FIRST_WAIT_MS
        yield piece.message
      }
    } catch (error) {
      if (signal.aborted) return
      const problem = error instanceof WaybillProblem ? error : unreachable()
      if (problem.status >= 400 && problem.status < 500 && problem.status !== 429) throw problem
      onState?.(problem)
      waitMs = Math.max(waitMs, (problem.retryAfterSeconds ?? 0) * 1_000)
    }
    await pause(waitMs, signal)
    waitMs = Math.min(waitMs * 2, LONGEST_WAIT_MS)
  }
}

/**
 * What a connection brings. A position comes before the message that it is of, and on its own where nothing happened that
 * is followed: at the beginning, and with what the server says to keep the connection alive.
 */
type Piece =
  | { readonly kind: "position"; readonly position: string }
  | { readonly kind: "message"; readonly message: StreamMessage }

/** What one connection brings, until it ends; throws where it cannot be opened, breaks off or falls silent. */
async function* connection(followed: Followed, after: string | undefined): AsyncGenerator<Piece> {
  const { signal, silenceMs = SILENCE_MS, onState } = followed
  const ending = new AbortController()
  const end = () => ending.abort()
  // Only while the other side is waited for: whoever takes long over a message has no silent connection.
  const unlessSilent = async <T>(waited: Promise<T>): Promise<T> => {
    const timer = setTimeout(end, silenceMs)
    return await waited.finally(() => clearTimeout(timer))
  }
  const pieces: Piece[] = []
  const parser = createParser({
    onId: position => pieces.push({ kind: "position", position }),
    onEvent: ({ id = "", event = "message", data }) =>
      pieces.push({ kind: "message", message: { id, event, data: JSON.parse(data) as unknown } }),
  })
  signal.addEventListener("abort", end)
  try {
    const response = await unlessSilent(open(followed, after, ending.signal))
    onState?.("open")
    const reader = response.body?.pipeThrough(new TextDecoderStream()).getReader()
    while (reader !== undefined) {
      const { done, value } = await unlessSilent(reader.read())
      if (done) return
      parser.feed(value)
      yield* pieces.splice(0)
    }
  } finally {
    signal.removeEventListener("abort", end)
    // Whoever has had enough of the messages leaves no connection open.
    end()
  }
}

async function open({ url = "", key, query }: Followed, after: string | undefined, signal: AbortSignal) {
  const search = new URLSearchParams({ ...query })
  const given = currentKey(key)
  const response = await fetch(`${url}/v1/stream${search.size > 0 ? `?${search}` : ""}`, {
    signal,
    credentials: credentialsWith(key),
    headers: {
      accept: "text/event-stream",
      ...(given !== undefined && { authorization: `Bearer ${given}` }),
      ...(after !== undefined && { "last-event-id": after }),
    },
  })
  if (!response.ok) throw await problemOf(response)
  return response
}

function unreachable(): WaybillProblem {
  return new WaybillProblem({
    status: 0,
    code: "no_connection",
    title: "No connection",
    detail: "The stream broke off; it is opened again.",
  })
}

function pause(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise(resolve => {
    const end = () => {
      clearTimeout(timer)
      signal.removeEventListener("abort", end)
      resolve()
    }
    const timer = setTimeout(end, signal.aborted ? 0 : ms)
    signal.addEventListener("abort", end)
  })
}
