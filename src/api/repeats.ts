/**
 * Repeats of configuration calls: one that comes again with the same `Idempotency-Key` is not carried out again but told
 * what the first one was told, secrets included, which may just have been lost on their way (API-51). So answers are kept
 * sealed, for 24 hours. A call that was refused has changed nothing: it is not kept, and may be sent again.
 */
import type { FastifyReply, FastifyRequest } from "fastify"
import { Type } from "typebox"
import type { Database } from "../store/database.ts"
import {
  type CallName,
  finishAnswer,
  KEPT_ANSWER_MS,
  type KeptAnswer,
  keepAnswer,
  placeOf,
  readKeptAnswer,
} from "../store/kept-answers.ts"
import type { Store } from "../store/store.ts"
import { actorOf, callerOf } from "./access.ts"
import { readIdempotencyKey } from "./idempotency.ts"
import { Problem } from "./problem.ts"
import { sendJson } from "./raw-json.ts"
import { timeText } from "./schemas.ts"

/** The header of calls that may be repeated, for their schema. */
export const RepeatableHeaders = Type.Object({
  "idempotency-key": Type.Optional(
    Type.String({
      description:
        "1 to 255 characters of your own choice. The same call with the same key within 24 hours is answered as the first time, with `Idempotency-Replayed: true`, and changes nothing more.",
    }),
  ),
})

/** What a call is answered with: JSON text. */
export interface Told {
  readonly status: number
  readonly text: string
}

/**
 * Keeps the answer in the transaction of the change that it tells of. `isWhole` is false for one that tells of the beginning
 * only, of a call that has still to wait for others.
 */
export type Keep = (tx: Database, told: Told, isWhole?: boolean) => Promise<void>

/** Longer than a call waits for the endpoints that it verifies. */
const RUNNING_MS = 180_000

export class Repeats {
  readonly #store: Store
  /** Calls that this process is carrying out. */
  readonly #running = new Set<string>()

  constructor(store: Store) {
    this.#store = store
  }

  /** Carries a call out, or answers as it was answered before. */
  async carryOut(
    request: FastifyRequest,
    reply: FastifyReply,
    call: (keep: Keep) => Promise<Told>,
  ): Promise<FastifyReply> {
    const key = readIdempotencyKey(request.headers["idempotency-key"])
    if (key === null) return answer(reply, await call(async () => undefined))
    const { method, routeOptions } = request
    const name: CallName = { project: callerOf(request).project, route: `${method} ${routeOptions.url ?? ""}`, key }
    const place = placeOf(name)
    if (this.#running.has(place)) throw stillRunning()
    this.#running.add(place)
    try {
      // Of who asks as well: what was shown to one is shown to nobody else who hits upon the same key.
      const { kind, id } = actorOf(request)
      const fingerprint = this.#store.seal.keyedHash(JSON.stringify([request.url, request.bodyText, kind, id]))
      const kept = await readKeptAnswer(this.#store.reads, name, this.#store.now() - KEPT_ANSWER_MS)
      if (kept !== undefined) return this.#again(reply, name, kept, fingerprint)
      return answer(reply, await this.#first(name, fingerprint, call))
    } finally {
      this.#running.delete(place)
    }
  }

  async #first(name: CallName, fingerprint: string, call: (keep: Keep) => Promise<Told>): Promise<Told> {
    const { seal, ledger, now } = this.#store
    const sealed = (text: string) => seal.seal(placeOf(name), text)
    let isUnfinished = false
    const told = await call(async (tx, { status, text }, isWhole = true) => {
      isUnfinished = !isWhole
      const createdAt = now()
      const runningUntil = isWhole ? null : createdAt + RUNNING_MS
      const isKept = await keepAnswer(tx, name, { fingerprint, status, sealed: sealed(text), runningUntil, createdAt })
      // Another process is carrying it out: this transaction is undone.
      if (!isKept) throw stillRunning()
    })
    if (isUnfinished) {
      const { status, text } = told
      await ledger.transaction(tx => finishAnswer(tx, name, { status, sealed: sealed(text) }))
    }
    return told
  }

  #again(reply: FastifyReply, name: CallName, kept: KeptAnswer, fingerprint: string): FastifyReply {
    if (kept.fingerprint !== fingerprint) {
      const at = timeText(kept.createdAt)
      throw new Problem(
        "idempotency_mismatch",
        `This Idempotency-Key came with another request at ${at}, or from somebody else. Send a new request with a new key, or that one as it was.`,
      )
    }
    // With the embedded database there is no other process: who carried it out has ended before it could finish it.
    const { engine, now, seal } = this.#store
    if (engine === "postgres" && kept.runningUntil !== null && kept.runningUntil > now()) throw stillRunning()
    let text: string
    try {
      text = seal.open(placeOf(name), kept.sealed)
    } catch {
      throw new Problem(
        "conflict",
        `This was carried out at ${timeText(kept.createdAt)}, but its answer cannot be opened any more: the sealing key is another one now. Look for what it made in the list.`,
      )
    }
    reply.header("idempotency-replayed", "true")
    return answer(reply, { status: kept.status, text })
  }
}

function answer(reply: FastifyReply, { status, text }: Told): FastifyReply {
  return sendJson(reply, status, text)
}

function stillRunning(): Problem {
  const detail = "The first request with this Idempotency-Key is still being carried out. Send it again in a moment."
  return new Problem("still_running", detail, { retryAfterSeconds: 1 })
}
