/**
 * A producer in a process of its own: it sends events with ids and contents that no two share, keeps a ledger of what it
 * asked and what it was told, and sends what it does not know the fate of again, under the same id.
 */
import { createHash } from "node:crypto"
import { join } from "node:path"
import type { TestContext } from "node:test"
import { HelperProcess } from "./helper-process.ts"
import { readLedger } from "./ledger-file.ts"
import { call, type Reachable } from "./waybill.ts"

/**
 * What the producer was told about one request. `ok`: 202; `fail`: refused, or the connection was; `unknown`: it broke
 * or no answer came, so that the event may have been stored or not.
 */
export type Outcome = "ok" | "fail" | "unknown"

/** A line of its ledger: a request that leaves, or what became of it. */
export type ProducerEntry =
  | {
      readonly kind: "invoke"
      readonly at: number
      readonly id: string
      /** 1 for the first request with this id. */
      readonly try: number
      /** SHA-256 of `data`. */
      readonly data: string
    }
  | {
      readonly kind: Outcome
      readonly at: number
      readonly id: string
      readonly try: number
      /** Null where none came. */
      readonly status: number | null
      /** `evt_…`, from a 202. */
      readonly event?: string
      readonly duplicate?: boolean
      /** Why there was no answer. */
      readonly error?: string
    }

export interface ProducerOptions {
  readonly folder: string
  readonly name: string
  /** Of the server, and a key for it. */
  readonly url: string
  readonly key: string
  readonly seed: number
  /** Types of events, taken in turn. */
  readonly types: readonly string[]
  /** Requests under way at a time. */
  readonly concurrency: number
  /** New events a second; as fast as answers come where it is left out. */
  readonly perSecond?: number
  /** The share of events of unknown fate that are never sent again. 0 where it is left out. */
  readonly givesUp?: number
  /** The length of the text in `data`. */
  readonly padBytes?: number
  /** Events have one of so many ordering keys, in turn: `key-0`, `key-1`, … None where it is left out. */
  readonly keys?: number
}

/** How far a producer is. */
export interface Progress {
  /** Requests that have left and have no answer. */
  readonly inFlight: number
  /** Events that were answered with 202. */
  readonly acknowledged: number
  /** Requests so far whose outcome is not known. */
  readonly unknown: number
  /** Requests so far that were refused. */
  readonly failed: number
}

export interface Producer {
  progress(): Promise<Progress>
  /** Resolves when so many events in all have been answered with 202. */
  acknowledged(count: number): Promise<void>
  /** Sends no new events, brings to an end what is under way or to be sent again, and ends. Its ledger can be read then. */
  stop(): Promise<void>
  entries(): ProducerEntry[]
}

export type ProducerQuestion =
  | { readonly kind: "start" }
  | { readonly kind: "progress" }
  | { readonly kind: "acknowledged"; readonly count: number }
  | { readonly kind: "stop" }

export interface ProducerSetup extends ProducerOptions {
  readonly ledger: string
}

/** Starts a producer, which begins to send at once. */
export async function startProducer(t: TestContext, options: ProducerOptions): Promise<Producer> {
  const ledger = join(options.folder, `producer-${options.name}.jsonl`)
  const setup: ProducerSetup = { ...options, ledger }
  const child = new HelperProcess(t, "producer-process.ts", setup)
  const ask = (question: ProducerQuestion) => child.ask(question)
  await ask({ kind: "start" })
  return {
    progress: async () => (await ask({ kind: "progress" })) as Progress,
    acknowledged: async count => void (await ask({ kind: "acknowledged", count })),
    stop: async () => {
      await ask({ kind: "stop" })
      await child.end()
    },
    entries: () => readLedger<ProducerEntry>(ledger),
  }
}

/** Sends one event from this process and notes it as the producer does; resolves when it was answered with 202. */
export async function sendNoted(at: Reachable, entries: ProducerEntry[], id: string): Promise<void> {
  const { body, invocation } = compose(entries, id)
  entries.push(invocation)
  const answer = (await call(at, "POST", "/v1/events", body)) as { id: string; duplicate: boolean }
  const { id: event, duplicate } = answer
  entries.push({ kind: "ok", at: Date.now(), id, try: invocation.try, status: 202, event, duplicate })
}

/** Notes an event of unknown fate and gives the body with which to send it. */
export function noteUnknown(entries: ProducerEntry[], id: string): string {
  const { body, invocation } = compose(entries, id)
  entries.push(invocation, { kind: "unknown", at: Date.now(), id, try: invocation.try, status: null })
  return body
}

function compose(entries: readonly ProducerEntry[], id: string) {
  const data = JSON.stringify({ id })
  const tries = entries.filter(entry => entry.kind === "invoke" && entry.id === id).length
  const hash = createHash("sha256").update(data).digest("base64url")
  const invocation = { kind: "invoke", at: Date.now(), id, try: tries + 1, data: hash } as const
  return { body: `{"type":"order.paid","id":"${id}","data":${data}}`, invocation }
}
