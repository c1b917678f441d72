/**
 * One listener's stream. It reads the store from the position at which the listener stopped; once it has caught up it
 * follows the tail of the project, which is read once for all streams.
 *
 *     opened at a position → behind, reads the store → caught up, follows the tail
 *                                   ↑                        │ more came than could be rendered
 *                                   └────────────────────────┘
 *     in any state: the listener takes nothing, may listen no more, or the server stops → `bye`, the connection ends
 */
import type { ServerResponse } from "node:http"
import type { ProjectId } from "../domain/id.ts"
import type { FeedItem } from "../engine/feed.ts"
import type { Follower, Tail } from "../engine/tail.ts"
import { readPayloads } from "../store/event-reads.ts"
import {
  formatPosition,
  matches,
  type Resumption,
  readStream,
  type StreamFilter,
  type StreamItem,
  timePosition,
} from "../store/stream-reads.ts"
import type { Context } from "./context.ts"
import { isSeen, type Sight, tells } from "./portal-sight.ts"
import { Reasons, type ReasonsContext } from "./reasons.ts"
import { matchesSkip, messageOfSkip } from "./skip-message.ts"
import { message, messageOf } from "./stream-messages.ts"

/** What a stream may take and how long it waits. */
export interface StreamLimits {
  readonly perProject: number
  /** Of pages of the portal: those of one app, and those with one token. */
  readonly perApp: number
  readonly perToken: number
  /** A listener that lets so many messages, or so many bytes, pile up is let go. */
  readonly unsentMessages: number
  readonly unsentBytes: number
  /** A listener that takes nothing for so long is let go. */
  readonly stalledMs: number
  /** How long a connection has to take its `bye`. */
  readonly goodbyeMs: number
  readonly keepAliveMs: number
  /** How soon a revoked key ends its streams (API-5), and so does an integration that is not to be seen any more. */
  readonly checkKeyMs: number
}

/** What streams work with. */
export type StreamContext = ReasonsContext &
  Pick<Context, "feed" | "keyring" | "log"> & {
    readonly people: Pick<Context["people"], "holds">
  }

/** The limits of every stream, but in tests. */
export const streamLimits: StreamLimits = {
  perProject: 100,
  perApp: 10,
  perToken: 5,
  unsentMessages: 1_000,
  unsentBytes: 1_048_576,
  stalledMs: 30_000,
  goodbyeMs: 30_000,
  keepAliveMs: 15_000,
  checkKeyMs: 4_000,
}

/** Messages and bytes of payload that are rendered and written at a time. */
const SLICE_MESSAGES = 100
const SLICE_BYTES = 262_144
/** What a message takes beside its payload, about. */
const MESSAGE_BYTES = 600
/** Rows that are read from the store at a time: few where all of them are shown, more where a filter leaves most out. */
const FEWEST_ROWS = 500
const MOST_ROWS = 5_000
/** How long a connection has to take its `bye` when the server stops. */
const STOP_MS = 1_000

/** What belongs to one stream. */
export interface StreamParts {
  readonly response: ServerResponse
  readonly project: ProjectId
  readonly filter: StreamFilter
  readonly tail: Tail
  /** Payloads are left out. */
  readonly hidesPayloads: boolean
  readonly texts: WeakMap<StreamItem, string>
  /** The integrations that it tells of; null: all. */
  readonly sight: Sight
  /** The same as it is by now: integrations are made, and opened to others, while somebody follows. */
  readonly look: () => Promise<Sight>
  /** Whether its credential still allows it. */
  readonly isAdmitted: () => Promise<boolean>
}

/** One listener's connection. Everything up to `#position` has been sent or stands in the queue. */
export class Stream implements Follower {
  readonly #context: StreamContext
  readonly #limits: StreamLimits
  readonly #parts: StreamParts
  #queue: StreamItem[] = []
  #queuedBytes = 0
  #sight: Sight
  #position = 0
  /** The id that the listener would bring back now. */
  #toldId = 0
  #isLive = false
  /** The connection takes nothing just now. */
  #isBlocked = false
  #isOver = false
  #wake: (() => void) | undefined

  constructor(context: StreamContext, limits: StreamLimits, parts: StreamParts) {
    this.#context = context
    this.#limits = limits
    this.#parts = parts
    this.#sight = parts.sight
    parts.response.once("close", () => this.#end())
    // The listener may have hung up while the stream was being opened.
    if (parts.response.destroyed) this.#end()
  }

  /** Sends until one of both sides ends it. */
  async run(resumption: Resumption | undefined): Promise<void> {
    const keepAlive = setInterval(() => this.#keepAlive(), this.#limits.keepAliveMs).unref()
    const unlisten = this.#context.feed.listen(item => this.#hear(item))
    const check = setInterval(() => void this.#check(), this.#limits.checkKeyMs).unref()
    try {
      this.#begin(resumption)
      let rows = FEWEST_ROWS
      while (!this.#isOver) {
        if (this.#queue.length > 0) await this.#sendSlice()
        else if (this.#isLive) await this.#untilWoken()
        else if (this.#position >= this.#parts.tail.at) this.#goLive()
        else rows = await this.#readOn(rows)
      }
    } catch (error) {
      this.#context.log.error({ err: error }, "a stream broke off")
      this.bye("failed", "Waybill met an error of its own. Connect again with the id of the last message to go on.")
    } finally {
      clearInterval(keepAlive)
      clearInterval(check)
      unlisten()
      this.#parts.tail.detach(this)
    }
  }

  /** A last message, then the end. What was not sent by then is sent after the listener has come back. */
  bye(reason: "slow_reader" | "unauthorized" | "stopping" | "failed", detail: string): void {
    if (this.#isOver) return
    this.#end()
    const { response } = this.#parts
    response.end(message("bye", JSON.stringify({ reason, detail })))
    this.#destroyIn(this.#limits.goodbyeMs)
  }

  /** Ends it with the server, which waits for every connection: one that takes nothing is cut off soon. */
  stop(): void {
    this.bye("stopping", "Waybill is stopping. Connect again with the id of the last message to go on.")
    this.#destroyIn(STOP_MS)
  }

  take(items: readonly StreamItem[], reached: number): void {
    this.#enqueue(items.filter(item => item.id > this.#position && matches(this.#parts.filter, item)))
    this.#position = Math.max(this.#position, reached)
    const { unsentMessages, unsentBytes } = this.#limits
    const bytes = this.#queuedBytes + this.#parts.response.writableLength
    if (this.#queue.length > unsentMessages || bytes > unsentBytes) {
      if (this.#isBlocked) this.#letGo()
      // It does take what it is sent, only more comes than that: what follows is read from the store, when its turn comes.
      else this.#fallBehind()
    }
    this.#wake?.()
  }

  /** Skips are shown as they happen, or not at all: not to one that is behind, nor faster than they are taken. */
  #hear(item: FeedItem): void {
    const { project, filter, response } = this.#parts
    if (item.kind !== "skip" || item.project !== project || !this.#isLive || this.#isBlocked) return
    if (!matchesSkip(filter, item.settlement) || !isSeen(this.#sight, item.settlement.claim.delivery.integration))
      return
    if (response.writableLength > this.#limits.unsentBytes / 2) return
    const text = messageOfSkip(this.#context, item)
    if (text !== null) this.#write(text)
  }

  #begin(resumption: Resumption | undefined): void {
    const { tail } = this.#parts
    this.#position = resumption?.kind === "after" ? resumption.id : tail.at
    this.#toldId = this.#position
    this.#write("retry: 2000\n\n")
    if (resumption?.kind === "after") return
    const position = this.#endPosition()
    if (resumption !== undefined)
      this.#write(
        message("reset", JSON.stringify({ reason: resumption.kind, detail: resets[resumption.kind] }), position),
      )
    else if (position !== undefined) this.#write(`id: ${position}\n\n`)
  }

  /** The end of what happened, as a position. What happened last is not for who sees one app only: that gets a time. */
  #endPosition(): string | undefined {
    const { tail } = this.#parts
    if (this.#sight === null) return formatPosition(tail.last)
    const { text, id } = timePosition(this.#context.now())
    return tail.covers(id) ? text : undefined
  }

  #goLive(): void {
    this.#isLive = true
    this.#parts.tail.attach(this)
  }

  #fallBehind(): void {
    this.#isLive = false
    this.#parts.tail.detach(this)
  }

  /** Reads what comes next, up to the tail; gives how many rows to read the next time. */
  async #readOn(rows: number): Promise<number> {
    const { project, filter, tail } = this.#parts
    const asked = { project, after: this.#position, upTo: tail.at, filter, rows }
    const { items, reached } = await readStream(this.#context.store.reads, asked)
    this.#enqueue(items)
    this.#position = reached
    return items.length > FEWEST_ROWS ? FEWEST_ROWS : Math.min(rows * 2, MOST_ROWS)
  }

  #enqueue(items: readonly StreamItem[]): void {
    this.#queue.push(...items)
    for (const item of items) this.#queuedBytes += weightOf(item)
  }

  /** What of it is told is decided as it is sent: so it is by the integrations that are seen then. */
  async #sendSlice(): Promise<void> {
    const { texts, hidesPayloads } = this.#parts
    const { store, now } = this.#context
    const slice = this.#queue.slice(0, sliceLength(this.#queue))
    const sight = await this.#look()
    if (this.#isOver) return
    const told = slice.filter(item => tells(sight, item))
    const unknown = told.flatMap(item => (item.kind === "event" && !texts.has(item) ? [item.event] : []))
    const payloads = hidesPayloads ? undefined : await readPayloads(store.reads, unknown, now())
    const reasons = new Reasons(this.#context)
    for (const item of told) {
      if (!texts.has(item))
        texts.set(
          item,
          await messageOf(
            this.#context,
            reasons,
            item,
            payloads === undefined ? "hidden" : payloads.get(item.id),
            sight,
          ),
        )
    }
    if (this.#isOver) return
    this.#queue.splice(0, slice.length)
    for (const item of slice) this.#queuedBytes -= weightOf(item)
    const last = told.at(-1)
    if (last === undefined) return
    this.#toldId = last.id
    if (!this.#write(told.map(item => texts.get(item)).join(""))) await this.#untilDrained()
  }

  #keepAlive(): void {
    if (this.#isOver || this.#isBlocked) return
    const { tail } = this.#parts
    const id = this.#sight === null ? tail.last.id : timePosition(this.#context.now()).id
    // What a filter left out moves the position too, or a quiet listener would come back with one that is too old.
    const isNews = this.#isLive && this.#queue.length === 0 && id > this.#toldId
    const position = isNews ? this.#endPosition() : undefined
    if (position !== undefined) this.#toldId = id
    this.#write(position === undefined ? ": keep-alive\n\n" : `: keep-alive\nid: ${position}\n\n`)
  }

  async #check(): Promise<void> {
    try {
      if (await this.#parts.isAdmitted()) await this.#look()
      else this.bye("unauthorized", "The API key of this stream was revoked or has expired.")
    } catch (error) {
      this.#context.log.warn({ err: error }, "what a stream may tell could not be looked up; looking again")
    }
  }

  async #look(): Promise<Sight> {
    const { filter, look } = this.#parts
    const sight = await look()
    this.#sight = sight
    // Which events went there is not for it to see either.
    if (filter.integration !== undefined && !isSeen(sight, filter.integration)) {
      this.bye("unauthorized", "The integration that this stream asks for is none of those that its token sees by now.")
    }
    return sight
  }

  #write(text: string): boolean {
    return this.#isOver || this.#parts.response.write(text)
  }

  async #untilDrained(): Promise<void> {
    const { response } = this.#parts
    this.#isBlocked = true
    const limit = setTimeout(() => this.#letGo(), this.#limits.stalledMs)
    await new Promise<void>(resolve => {
      this.#wake = () => {
        if (this.#isOver) resolve()
      }
      response.once("drain", resolve)
    })
    clearTimeout(limit)
    this.#wake = undefined
    this.#isBlocked = false
  }

  async #untilWoken(): Promise<void> {
    await new Promise<void>(resolve => {
      this.#wake = resolve
    })
    this.#wake = undefined
  }

  #destroyIn(ms: number): void {
    const { response } = this.#parts
    if (response.destroyed) return
    const limit = setTimeout(() => response.destroy(), ms)
    response.once("close", () => clearTimeout(limit))
  }

  #letGo(): void {
    this.bye(
      "slow_reader",
      "Messages come faster than they are read here. Connect again with the id of the last one to go on.",
    )
  }

  #end(): void {
    this.#isOver = true
    this.#queue = []
    this.#wake?.()
  }
}

const resets: Readonly<Record<"too_old" | "unknown", string>> = {
  too_old:
    "The position is older than what is kept. The stream goes on from now; GET /v1/events has what is left of the time before.",
  unknown:
    "The position is not one of this project in this database. The stream goes on from now; GET /v1/events has what came before.",
}

function weightOf(item: StreamItem): number {
  return MESSAGE_BYTES + (item.kind === "event" ? item.event.payloadBytes : 0)
}

/** How many items of a queue go at a time: at least one. */
function sliceLength(queue: readonly StreamItem[]): number {
  let bytes = 0
  const end = queue.findIndex((item, i) => {
    bytes += weightOf(item)
    return i > 0 && (i >= SLICE_MESSAGES || bytes > SLICE_BYTES)
  })
  return end < 0 ? queue.length : end
}
