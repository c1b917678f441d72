/** The stream of `GET /v1/stream`: server-sent events, taken up again where they broke off. */
import { createParser } from "eventsource-parser"
import { credentialsWith, currentKey, type Key, problemOf, WaybillProblem } from "./index.ts"

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
  /** Hears whether there is a connection. A problem where there is none for now; it is tried again. */
  readonly onState?: (state: "open" | WaybillProblem) => void
}

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
      const response = await open(followed, after)
      onState?.("open")
      for await (const message of messagesOf(response)) {
        waitMs = FIRST_WAIT_MS
        if (message.id !== "") after = message.id
        yield message
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

async function open({ url = "", key, query, signal }: Followed, after: string | undefined): Promise<Response> {
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

async function* messagesOf(response: Response): AsyncGenerator<StreamMessage> {
  const waiting: StreamMessage[] = []
  const parser = createParser({
    onEvent: ({ id = "", event = "message", data }) => waiting.push({ id, event, data: JSON.parse(data) as unknown }),
  })
  const reader = response.body?.pipeThrough(new TextDecoderStream()).getReader()
  for (;;) {
    const piece = await reader?.read()
    if (piece === undefined || piece.done) return
    parser.feed(piece.value)
    yield* waiting.splice(0)
  }
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
    const timer = setTimeout(resolve, ms)
    signal.addEventListener("abort", () => {
      clearTimeout(timer)
      resolve()
    })
  })
}
