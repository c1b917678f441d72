/**
 * A receiver in a process of its own: it keeps a ledger of every request that reaches it, and answers as it is told to.
 * Each path is a destination of its own.
 */
import { join } from "node:path"
import type { TestContext } from "node:test"
import { HelperProcess } from "./helper-process.ts"
import { readLedger } from "./ledger-file.ts"

/** How a path answers. Without any of these: 200 at once. */
export interface Manner {
  /** The status for the first attempt of a delivery, for its second, …; the last one stays. */
  readonly statuses?: readonly number[]
  /** This share of requests gets this status instead. */
  readonly failing?: { readonly share: number; readonly status: number }
  /** Events of these ordering keys get this status, whatever the others get. */
  readonly keys?: Readonly<Record<string, number>>
  /** Waits from so long to so long before it answers, in ms. */
  readonly delayMs?: readonly [least: number, most: number]
  /** Headers of the answer. */
  readonly headers?: Readonly<Record<string, string>>
  /** Closes the connection without an answer. */
  readonly drops?: boolean
  /** Ends this process with SIGKILL the moment that its next 2xx is on its way, and forgets about it. */
  readonly killsAfterReply?: number
}

/** One request, as the receiver saw it. */
export interface Receipt {
  /** When it had arrived whole, in ms since 1970. */
  readonly at: number
  readonly path: string
  readonly webhookId: string
  /** The header `webhook-attempt`. */
  readonly attempt: number
  /** The header `webhook-timestamp`, in s. */
  readonly timestamp: number
  /** The sender's own id, from the body. */
  readonly externalId: string
  /** The event's ordering key, from the body; null where it has none. */
  readonly key: string | null
  /** SHA-256 of the body. */
  readonly body: string
  /** SHA-256 of the body's `data`, as the producer takes it. */
  readonly data: string
  readonly isSigned: boolean
  /** The status that it was answered with; null where the connection was dropped, or gone before the answer. */
  readonly status: number | null
  readonly repliedAt: number
}

export interface ReceiverOptions {
  readonly folder: string
  readonly name: string
  /** `whsec_…`, with which every request has to be signed. */
  readonly secret: string
  readonly seed: number
  /** Manners by path; other paths answer 200. */
  readonly manners: Readonly<Record<string, Manner>>
}

export interface Receiver {
  /** Where a destination of this receiver is: `http://127.0.0.1:41234/healthy`. */
  url(path: string): string
  /** Changes how a path answers from now on. */
  behave(path: string, manner: Manner): Promise<void>
  /** Resolves when so many requests have come to a path since the start, answered or not. */
  received(path: string, count: number): Promise<void>
  /** Ends it, when it has answered what it has. Its ledger can be read afterwards. */
  stop(): Promise<void>
  receipts(): Receipt[]
}

export type ReceiverQuestion =
  | { readonly kind: "address" }
  | { readonly kind: "behave"; readonly path: string; readonly manner: Manner }
  | { readonly kind: "received"; readonly path: string; readonly count: number }
  | { readonly kind: "stop" }

export interface ReceiverSetup extends ReceiverOptions {
  readonly ledger: string
}

/** Starts a receiver; resolves when it listens. */
export async function startReceiver(t: TestContext, options: ReceiverOptions): Promise<Receiver> {
  const ledger = join(options.folder, `receiver-${options.name}.jsonl`)
  const setup: ReceiverSetup = { ...options, ledger }
  const child = new HelperProcess(t, "receiver-process.ts", setup)
  const ask = (question: ReceiverQuestion) => child.ask(question)
  const origin = String(await ask({ kind: "address" }))
  return {
    url: path => origin + path,
    behave: async (path, manner) => void (await ask({ kind: "behave", path, manner })),
    received: async (path, count) => void (await ask({ kind: "received", path, count })),
    stop: async () => {
      await ask({ kind: "stop" })
      await child.end()
    },
    receipts: () => readLedger<Receipt>(ledger),
  }
}
