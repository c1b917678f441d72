/** Sends events in batches that may be repeated without harm, waits where Waybill asks for it, and keeps count. */
import { randomUUID } from "node:crypto"
import { setTimeout as wait } from "node:timers/promises"
import type { ProblemDocument } from "../api/problem.ts"
import { type Client, mayPass, Refusal, sentencesOf, Unreachable } from "./client.ts"
import type { EventText } from "./event-texts.ts"
import { CommandFault } from "./fault.ts"
import { oneLine } from "./terminal.ts"

/** Events in a request at most: half of what the server takes, so that one that is sent again costs less. */
const BATCH_EVENTS = 500
/** Bytes of events in a request at most, below the server's 5 MiB with the brackets around them. */
const BATCH_BYTES = 4_500_000
const LIMIT_MS = 60_000
/** The longest that a request to come back later is obeyed. */
const LONGEST_WAIT_MS = 300_000
const FIRST_WAIT_MS = 500
const LONGEST_USUAL_WAIT_MS = 30_000

/** What became of the event that stood at a place. */
export type Sent =
  | { readonly place: string; readonly id: string; readonly external_id: string | null; readonly duplicate: boolean }
  | { readonly place: string; readonly problem: Pick<ProblemDocument, "code" | "detail"> }

/** What the server says of each event of a batch. */
type Result =
  | { readonly id: string; readonly external_id: string | null; readonly duplicate: boolean }
  | { readonly problem: ProblemDocument }

/** Events in their order, in as many batches as they need. */
export function batchesOf(texts: readonly EventText[]): EventText[][] {
  const batches: EventText[][] = []
  let bytes = 0
  for (const text of texts) {
    const size = bytesOf(text)
    const last = batches.at(-1)
    if (last === undefined || last.length === BATCH_EVENTS || bytes + size > BATCH_BYTES) {
      batches.push([text])
      bytes = size
    } else {
      last.push(text)
      bytes += size
    }
  }
  return batches
}

/** How much of a request an event takes. */
export function bytesOf(text: EventText): number {
  return text.kind === "event" ? Buffer.byteLength(text.text) + 1 : 0
}

export class Sender {
  readonly #client: Client
  readonly #retries: number
  readonly #hear: (sent: Sent) => void
  /** Every batch has a key of this run's own, so that one whose answer was lost can be sent again. */
  readonly #run = randomUUID()
  #batches = 0
  #isAnswered = false
  #lastId = ""
  #accepted = 0
  #known = 0
  readonly #complaints: string[] = []

  /** `hear` is told of every event what became of it. */
  constructor(client: Client, retries: number, hear: (sent: Sent) => void) {
    this.#client = client
    this.#retries = retries
    this.#hear = hear
  }

  /** Of each event that was not taken, where it stood and why. */
  get complaints(): readonly string[] {
    return this.#complaints
  }

  /** Sends a batch; throws where it cannot be sent at all. */
  async send(batch: readonly EventText[]): Promise<void> {
    const events = batch.filter(text => text.kind === "event")
    const results = events.length === 0 ? [] : await this.#post(events)
    let next = 0
    for (const text of batch) {
      const { place } = text
      if (text.kind === "unreadable") {
        this.#refuse(place, { code: "unreadable", detail: text.message }, text.message)
        continue
      }
      const result = results[next++]
      if (result === undefined) throw new CommandFault(`Waybill did not say what became of ${place}. Send it again.`)
      if ("problem" in result) this.#refuse(place, result.problem, sentencesOf(result.problem).join(" "))
      else this.#accept(place, result)
    }
  }

  /** How it went, in a sentence. */
  summary(): string {
    const accepted = this.#accepted === 1 ? `1 event accepted (${this.#lastId})` : `${this.#accepted} events accepted`
    const all = this.#accepted === 1 ? "" : `${this.#known} of them `
    const known = this.#known === 0 ? "" : `, ${all}known from before`
    const refused = this.#complaints.length
    return `${accepted}${known}${refused === 0 ? "" : `, ${refused} refused: mend those and send them again`}.`
  }

  #accept(place: string, { id, external_id, duplicate }: Exclude<Result, { problem: unknown }>): void {
    this.#accepted++
    if (duplicate) this.#known++
    this.#lastId = id
    this.#hear({ place, id, external_id, duplicate })
  }

  #refuse(place: string, { code, detail }: Pick<ProblemDocument, "code" | "detail">, sentence: string): void {
    this.#complaints.push(`${place}: ${oneLine(sentence, 500)}`)
    this.#hear({ place, problem: { code, detail } })
  }

  /** Posts a batch, again and again where Waybill is busy or has gone away for a moment. */
  async #post(events: readonly { readonly text: string }[]): Promise<readonly Result[]> {
    const call = {
      body: `{"events":[${events.map(({ text }) => text).join(",")}]}`,
      headers: { "idempotency-key": `${this.#run}-${this.#batches++}` },
      limitMs: LIMIT_MS,
    }
    for (let retry = 0; ; retry++) {
      try {
        const { value } = await this.#client.call<{ results: readonly Result[] }>("POST", "/v1/events/batch", call)
        this.#isAnswered = true
        return value.results
      } catch (error) {
        // An event too large for any request is refused like others that are wrong; the rest still go.
        if (error instanceof Refusal && error.problem?.code === "too_large" && events.length === 1) {
          return [{ problem: error.problem }]
        }
        const waitMs = this.#waitAfter(error, retry)
        if (waitMs === null) throw error
        await wait(waitMs)
      }
    }
  }

  /** How long to wait before the same batch is sent again; null where that would not help. */
  #waitAfter(error: unknown, retry: number): number | null {
    if (retry >= this.#retries) return null
    const usualMs = Math.min(LONGEST_USUAL_WAIT_MS, FIRST_WAIT_MS * 2 ** retry)
    if (error instanceof Refusal && (error.status === 429 || error.status === 503)) {
      return Math.min(LONGEST_WAIT_MS, Math.max(error.retryAfterMs ?? 0, usualMs))
    }
    // A server that has never answered is not there; one that has may be starting again.
    return error instanceof Unreachable && this.#isAnswered && mayPass(error) ? usualMs : null
  }
}
