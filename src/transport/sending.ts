/**
 * One request on its way: undici's handler, written by hand. It notes how far things have come, keeps the answer's
 * first bytes, watches the deadline and says what it all came to, once.
 *
 *     carried ─ head ─▶ answering ─ end, deadline or error ─▶ over
 *        │                  └─ more than is kept ─▶ draining ─▶ over
 *        └─ deadline or error ─▶ over
 *
 * "Over" resolves the promise; draining has resolved it already, and only reads on so that the connection stays usable.
 */
import type { Dispatcher } from "undici"
import type { Answer, Exchange, Phase, Timings } from "../domain/exchange.ts"
import { classify, ownCodes, rawFault } from "./classify.ts"
import { asPhase, ConnectFault, type Connection, type Passenger, rounded } from "./connect.ts"
import type { Pool } from "./pool.ts"
import type { WireRequest } from "./wire.ts"

/** How much a request may take. */
export interface SendLimits {
  /** For everything together: name, connection, TLS, request and answer. */
  readonly deadlineMs: number
  /** How much of the answer's body is kept (0 to 131,072). */
  readonly keepBytes: number
  /** How many idle connections to the origin are kept for later. What goes out at a time is not limited here. */
  readonly connections: number
  /**
   * Asked when a connection is there and the request is about to be written, since opening one may have taken long, or this
   * process have been frozen meanwhile: false where somebody else sends it by now, a promise where that is not known yet.
   */
  readonly mayGo?: () => boolean | Promise<boolean>
}

/** A request and where it goes. */
export interface Parcel {
  readonly method: Dispatcher.HttpMethod
  readonly path: string
  /** The URL's host and port, for messages. */
  readonly host: string
  readonly wire: WireRequest & { readonly kind: "ready" }
  readonly limits: SendLimits
}

/** A body that is a little longer than what is kept is read to its end: a new connection costs more than 64 KiB. */
const DRAIN_BYTES = 65_536
/** A kept-alive connection that had been closed shows it at once; later, the request may have been worked on (ND-8). */
const RESEND_WITHIN_MS = 1_000

const OVERTAKEN = "this process was held up for so long that another one may be sending it"

const NOTHING = new Uint8Array(0)

type State = "carried" | "answering" | "draining" | "over"

/** `report` is called once, when everything that the verdict needs is known. */
export class Sending implements Dispatcher.DispatchHandler, Passenger {
  readonly #parcel: Parcel
  readonly #pool: Pool
  readonly #isOffline: () => boolean
  readonly #report: (exchange: Exchange) => void
  readonly #timer: NodeJS.Timeout
  readonly #startedAt = performance.now()
  #state: State = "carried"
  #connection: Connection | null = null
  #controller: Dispatcher.DispatchController | null = null
  /** What `mayGo` said, while it stands in the way. */
  #held: boolean | Promise<boolean> | null = null
  #reused = false
  #resent = false
  /** Bytes of an answer have come, if only of an informational one. */
  #began = false
  #sentAt = 0
  #headAt = 0
  #status = 0
  #headers: Answer["headers"] = []
  #kept: Uint8Array = NOTHING
  #keptBytes = 0
  #receivedBytes = 0

  constructor(parcel: Parcel, pool: Pool, isOffline: () => boolean, report: (exchange: Exchange) => void) {
    this.#parcel = parcel
    this.#pool = pool
    this.#isOffline = isOffline
    this.#report = report
    // Measured: a timer set and cleared costs 0.3 µs, so that nothing coarser is worth having.
    this.#timer = setTimeout(onDeadline, parcel.limits.deadlineMs, this)
  }

  board(connection: Connection): void {
    this.#connection = connection
    connection.passenger = this
    const { method, path, wire } = this.#parcel
    connection.client.dispatch({ method, path, headers: wire.headers, body: wire.body }, this)
  }

  onRequestStart(controller: Dispatcher.DispatchController): void {
    const mayGo = this.#parcel.limits.mayGo?.() ?? true
    if (mayGo !== true) {
      this.#held = mayGo
      controller.abort(new ConnectFault("send", ownCodes.overtaken, OVERTAKEN))
      return
    }
    this.#controller = controller
    if (this.#connection !== null) this.#reused = this.#connection.requests++ > 0
  }

  onRequestSent(): void {
    this.#sentAt = performance.now()
  }

  onResponseStarted(): void {
    this.#began = true
  }

  onResponseStart(controller: Dispatcher.DispatchController, status: number, headers: ParsedHeaders): void {
    if (status < 200) return
    this.#headAt = performance.now()
    this.#status = status
    this.#headers = listOf(headers, controller.rawHeaders)
    this.#state = "answering"
  }

  onResponseData(_controller: Dispatcher.DispatchController, chunk: Buffer): void {
    this.#receivedBytes += chunk.length
    const { keepBytes } = this.#parcel.limits
    if (this.#keptBytes < keepBytes) this.#keep(chunk.subarray(0, keepBytes - this.#keptBytes))
    if (this.#receivedBytes <= keepBytes) return
    if (this.#state === "answering") {
      this.#state = "draining"
      this.#report(this.#answered(false))
    }
    if (this.#receivedBytes > keepBytes + DRAIN_BYTES) this.#end("drop")
  }

  onResponseEnd(): void {
    const exchange = this.#state === "answering" ? this.#answered(false) : null
    this.#end("release")
    if (exchange !== null) this.#report(exchange)
  }

  onResponseError(_controller: Dispatcher.DispatchController | null, error: Error): void {
    if (this.#state === "over") return
    if (this.#held !== null) void this.#goOn(this.#held, error)
    else if (this.#mayResend(error)) this.#resend()
    else this.#fail(error)
  }

  /** Nothing was written: once it is known that it may go it does, else this was its end. */
  async #goOn(held: boolean | Promise<boolean>, overtaken: Error): Promise<void> {
    const mayGo = await held
    if (this.#state === "over") return
    this.#held = null
    if (mayGo && this.#connection !== null) this.board(this.#connection)
    else this.#fail(overtaken)
  }

  /** The time is up. */
  expire(): void {
    if (this.#state === "over") return
    // Held back by us, it is late through no fault of the endpoint.
    if (this.#held !== null) this.#fail(new ConnectFault("send", ownCodes.overtaken, OVERTAKEN))
    else this.#fail(new ConnectFault(this.#phase(), ownCodes.deadline, "the time limit was reached"))
  }

  abandon(): void {
    this.#fail(new ConnectFault(this.#phase(), ownCodes.closed, "Waybill is stopping"))
  }

  #mayResend(error: Error): boolean {
    // It goes out again on a new connection, so that there is no third time.
    if (!this.#reused || this.#began) return false
    const { code } = rawFault(error)
    if (code !== "UND_ERR_SOCKET" && code !== "ECONNRESET" && code !== "EPIPE") return false
    return performance.now() - this.#sentAt < RESEND_WITHIN_MS
  }

  #resend(): void {
    const dead = this.#connection
    if (dead === null) return
    this.#resent = true
    this.#reused = false
    this.#controller = null
    this.#sentAt = 0
    this.#pool.replace(dead, this)
  }

  /** With the head in, its status is the verdict whatever becomes of the body; without it, nothing was answered. */
  #fail(error: Error): void {
    if (this.#state === "answering") {
      const exchange = this.#answered(true)
      this.#end("drop")
      this.#report(exchange)
      return
    }
    if (this.#state === "draining") {
      this.#end("drop")
      return
    }
    if (error instanceof ConnectFault) {
      this.#break(error.phase, error.raw, error.message)
      return
    }
    const { code, text } = rawFault(error)
    // Before it is written, undici's own errors are about the request.
    const isUnwritten = this.#controller === null || code === "EPIPE"
    this.#break(isUnwritten ? "send" : this.#phase(), code, text)
  }

  #phase(): Phase {
    const connection = this.#connection
    if (connection === null) return "connect"
    if (this.#controller === null) return asPhase(connection.stage)
    if (this.#state !== "carried") return "body"
    return this.#sentAt === 0 || (connection.hasUnsent && !this.#began) ? "send" : "headers"
  }

  #break(phase: Phase, code: string, text: string): void {
    const fault = { phase, code, text, began: this.#began }
    const verdict = classify(fault, this.#parcel.host, this.#isOffline)
    const timings = this.#timings()
    this.#end("drop")
    this.#report({
      kind: "broken",
      sentHeaders: this.#parcel.wire.sentHeaders,
      timings,
      class: verdict.class,
      phase,
      code,
      message: verdict.message,
      resent: this.#resent,
    })
  }

  #answered(incomplete: boolean): Exchange {
    return {
      kind: "answered",
      sentHeaders: this.#parcel.wire.sentHeaders,
      timings: this.#timings(),
      answer: {
        status: this.#status,
        headers: this.#headers,
        body: this.#kept.length === this.#keptBytes ? this.#kept : this.#kept.subarray(0, this.#keptBytes),
        truncated: this.#receivedBytes > this.#parcel.limits.keepBytes,
        incomplete,
      },
      resent: this.#resent,
    }
  }

  #timings(): Timings {
    const now = performance.now()
    const opening = this.#reused || this.#connection === null ? nothingOpened : this.#connection.times()
    const isSent = this.#sentAt > 0
    const hasHead = this.#headAt > 0
    return {
      dnsMs: opening.dnsMs,
      connectMs: opening.connectMs,
      tlsMs: opening.tlsMs,
      waitMs: isSent ? rounded((hasHead ? this.#headAt : now) - this.#sentAt) : null,
      bodyMs: hasHead ? rounded(now - this.#headAt) : null,
      totalMs: rounded(now - this.#startedAt),
    }
  }

  /** Copied, because a chunk is a piece of 64 KiB that would be held with it; grown by doubling, because chunks can be tiny. */
  #keep(chunk: Uint8Array): void {
    const needed = this.#keptBytes + chunk.length
    if (needed > this.#kept.length) {
      const grown = new Uint8Array(this.#keptBytes === 0 ? needed : Math.max(needed, 2 * this.#keptBytes))
      grown.set(this.#kept.subarray(0, this.#keptBytes))
      this.#kept = grown
    }
    this.#kept.set(chunk, this.#keptBytes)
    this.#keptBytes = needed
  }

  #end(how: "release" | "drop"): void {
    this.#state = "over"
    clearTimeout(this.#timer)
    const connection = this.#connection
    if (connection === null) return
    connection.passenger = null
    if (how === "release") this.#pool.release(connection, this.#parcel.limits.connections)
    else this.#pool.drop(connection)
  }
}

type ParsedHeaders = Readonly<Record<string, string | string[] | undefined>>

const nothingOpened = { dnsMs: null, connectMs: null, tlsMs: null }

function onDeadline(sending: Sending): void {
  // After the sockets have been read once more: a loop that was busy must not call a punctual answer late.
  setImmediate(expire, sending)
}

function expire(sending: Sending): void {
  sending.expire()
}

/** The headers in order, from what undici parsed already where no name is repeated, else from the raw ones. */
function listOf(parsed: ParsedHeaders, raw: Dispatcher.DispatchController["rawHeaders"]): Answer["headers"] {
  const list: [string, string][] = []
  for (const name in parsed) {
    const value = parsed[name]
    if (typeof value !== "string") return Array.isArray(raw) ? listOfRaw(raw) : list
    list.push([name, value])
  }
  return list
}

function listOfRaw(raw: readonly (Buffer | string)[]): Answer["headers"] {
  const list: [string, string][] = []
  for (let i = 0; i + 1 < raw.length; i += 2) {
    list.push([raw[i]?.toString("latin1").toLowerCase() ?? "", raw[i + 1]?.toString("latin1") ?? ""])
  }
  return list
}
