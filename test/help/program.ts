/**
 * Waybill whole in this process: its real store, its real sockets, and a clock that the test turns. Every answer is held
 * against the server's own OpenAPI document, and everything that happens can be waited for.
 */
import type { TimeLimits } from "../../src/api/server.ts"
import { readConfig, type SettingName } from "../../src/config.ts"
import { parseId } from "../../src/domain/id.ts"
import { type Running, start } from "../../src/main.ts"
import type { AttemptRow as StoredAttempt } from "../../src/store/attempt-reads.ts"
import type { SqlValue } from "../../src/store/database.ts"
import type { Resolver } from "../../src/transport/resolve.ts"
import { watchContract } from "./document.ts"
import { clearPlace, engine, MORNING, newPlace, type Place, queryPlace, settingsOf } from "./engines.ts"
import { until } from "./system-ledger.ts"
import { isTalliedText } from "./tallies.ts"
import { testKey } from "./waybill.ts"

/** JSON that a test looks into: `answer.body.results?.[0]?.id`. */
export interface Json {
  readonly [name: string]: Json | undefined
}

/** An answer of the API. */
export interface Answer {
  readonly status: number
  readonly headers: Headers
  /** An empty object where the answer has no body, or none that is JSON. */
  readonly body: Json
  readonly text: string
}

export interface ProgramOptions {
  /** Where the clock stands at first, in ms. It stands still until it is turned. */
  readonly at?: number
  /** A clock that goes by itself, in place of the one that is turned. */
  readonly now?: () => number
  /** `WAYBILL_EGRESS_ALLOW`. */
  readonly egressAllow?: string
  /** The address to listen on; loopback where it is left out. */
  readonly host?: string
  readonly resolver?: Resolver
  /** `WAYBILL_PUBLIC_URL`. */
  readonly publicUrl?: string
  /** How long clients may take; as it is in earnest where it is left out. */
  readonly timeLimits?: TimeLimits
  /** Further settings, by their names in the table of settings. */
  readonly settings?: Readonly<Partial<Record<SettingName, string>>>
}

/** One row of the table of deliveries, with what the event says of itself. */
export interface DeliveryRow {
  readonly integration_id: number
  readonly event_id: number
  readonly status: string
  readonly reason: string | null
  readonly facts: string | null
  readonly next_at: number | null
  readonly attempts: number
  readonly charged: number
  readonly revision: number | null
  readonly record_id: string | null
}

/** One row of the table of attempts. */
export type AttemptRow = Omit<StoredAttempt, "retention_days">

export interface ExchangeRow {
  /** `[[name, value or null where it is secret], …]` as JSON. */
  readonly request_headers: string
  readonly request_body: string | Uint8Array | null
  /** `[[name, value], …]` as JSON. */
  readonly response_headers: string | null
  readonly response_body: Uint8Array | null
}

export { MORNING }

/** How long a test waits for what is bound to happen: on PostgreSQL each of a thousand moves is some round trips. */
const LIMIT_MS = engine === "sqlite" ? 15_000 : 45_000

export class Program implements AsyncDisposable {
  readonly key = testKey
  readonly place: Place
  readonly #options: ProgramOptions
  #at: number
  #running: Running | undefined
  #recorded = 0
  readonly #waiting = new Set<() => void>()

  private constructor(place: Place, options: ProgramOptions) {
    this.place = place
    this.#options = options
    this.#at = options.at ?? MORNING
  }

  /** Starts Waybill on a folder of its own, which is gone when the block that opened it ends. */
  static async open(options: ProgramOptions = {}): Promise<Program> {
    const program = new Program(await newPlace(undefined, options.at ?? options.now?.()), options)
    await program.#start()
    return program
  }

  get dataDir(): string {
    return this.place.dataDir
  }

  get url(): string {
    return this.#live.url
  }

  /** What the clock shows. */
  get now(): number {
    return this.#options.now?.() ?? this.#at
  }

  /** Turns the clock on, or back, and lets the engine look for what is due by then. */
  turn(ms: number): void {
    this.#at += ms
    this.#live.wake()
  }

  /** Turns the clock to a time. */
  turnTo(at: number): void {
    this.turn(at - this.#at)
  }

  /** Stops Waybill in order. */
  async stop(): Promise<void> {
    await this.#running?.stop()
    this.#running = undefined
  }

  /** Stops it and starts it again on the same folder. */
  async restart(): Promise<void> {
    await this.stop()
    await this.#start()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop()
    await clearPlace(this.place)
  }

  /** Asks the API. A body that is no text and no bytes goes out as JSON. Any status will do. */
  async ask(method: string, path: string, body?: unknown, headers: Record<string, string> = {}): Promise<Answer> {
    const isRaw = typeof body === "string" || body instanceof Uint8Array || body instanceof ReadableStream
    const response = await fetch(this.url + path, {
      method,
      headers: {
        authorization: `Bearer ${this.key}`,
        ...(body === undefined ? {} : { "content-type": "application/json" }),
        ...headers,
      },
      ...(body === undefined ? {} : { body: isRaw ? (body as string) : JSON.stringify(body) }),
      ...(body instanceof ReadableStream ? { duplex: "half" } : {}),
    })
    const text = await response.text()
    const isJson = /[/+]json/.test(response.headers.get("content-type") ?? "")
    return {
      status: response.status,
      headers: response.headers,
      body: isJson && text !== "" ? (JSON.parse(text) as Json) : {},
      text,
    }
  }

  /** The same, where only a 2xx is expected. */
  async call(method: string, path: string, body?: unknown): Promise<Json> {
    const answer = await this.ask(method, path, body)
    if (answer.status >= 300) throw new Error(`${method} ${path} was answered with ${answer.status}: ${answer.text}`)
    return answer.body
  }

  /** Sends an event, as JSON text where its bytes matter; gives the number of its id. */
  async send(event: object | string): Promise<number> {
    const answer = await this.ask("POST", "/v1/events", event)
    if (answer.status !== 202) throw new Error(`The event was answered with ${answer.status}: ${answer.text}`)
    return numberOf("evt", answer.body.id)
  }

  /** Makes an integration; `verification` is `none` unless its config says otherwise. Gives its id, `int_…`. */
  async integrate(url: string, more: Readonly<Record<string, unknown>> = {}): Promise<string> {
    const { config, ...rest } = more
    const made = await this.call("POST", "/v1/integrations", {
      name: "an integration",
      config: { production: { url }, verification: "none", ...(config as object | undefined) },
      ...rest,
    })
    return String(made.id)
  }

  /** Resolves when so many attempts have been recorded, with what followed from them, since Waybill was started. */
  async recorded(count: number): Promise<void> {
    const limit = AbortSignal.timeout(LIMIT_MS)
    while (this.#recorded < count) {
      limit.onabort = () => this.#tell()
      await new Promise<void>(resolve => this.#waiting.add(resolve))
      if (limit.aborted) throw new Error(`${this.#recorded} attempts were recorded in ${LIMIT_MS} ms, not ${count}.`)
    }
  }

  /** Resolves when something is so on disk. Only for what no attempt causes; else wait for what is `recorded`. */
  until(what: string, isSo: () => boolean | Promise<boolean>): Promise<void> {
    return until(what, LIMIT_MS, isSo)
  }

  /** Rows of a query on the database, past the program, whether it runs or not. The caller names the type that it gives. */
  rows<Row extends object>(text: string, ...values: readonly SqlValue[]): Promise<Row[]> {
    return queryPlace<Row>(this.place, text, ...values)
  }

  /** Resolves when all that came in has been tallied. */
  tallied(): Promise<void> {
    return this.until("all is tallied", async () => {
      const [found] = await this.rows<{ tallied: number }>(isTalliedText)
      return Boolean(found?.tallied)
    })
  }

  /** Changes the database behind the program's back: what a process that was killed may have left. */
  async leave(text: string, ...values: readonly SqlValue[]): Promise<void> {
    await queryPlace(this.place, text, ...values)
  }

  /** All deliveries, or those of one integration, in the order of their events. */
  deliveries(integration?: string): Promise<DeliveryRow[]> {
    const order = "order by event_id, integration_id"
    if (integration === undefined) return this.rows(`select * from delivery ${order}`)
    return this.rows(`select * from delivery where integration_id = ? ${order}`, numberOf("int", integration))
  }

  /** The delivery of an event to an integration; throws where there is none. */
  async delivery(integration: string, event: number): Promise<DeliveryRow> {
    const found = (await this.deliveries(integration)).find(row => row.event_id === event)
    if (found === undefined) throw new Error(`There is no delivery of ${event} to ${integration}.`)
    return found
  }

  /** Attempts at an integration, in the order in which they were recorded. */
  attempts(integration: string): Promise<AttemptRow[]> {
    return this.rows("select * from attempt where integration_id = ? order by id", numberOf("int", integration))
  }

  /** The exchange of an attempt, as it is kept; throws where none is. */
  async exchange({ id, exchange_part: part }: AttemptRow): Promise<ExchangeRow> {
    const [row] = await this.rows<ExchangeRow>(`select * from exchange_${part ?? 0} where attempt_id = ?`, id)
    if (row === undefined) throw new Error(`Nothing is kept of the exchange of attempt ${id}.`)
    return row
  }

  get #live(): Running {
    if (this.#running === undefined) throw new Error("Waybill is not running.")
    return this.#running
  }

  async #start(): Promise<void> {
    const { host = "127.0.0.1", egressAllow = "", publicUrl = "", resolver, timeLimits, settings } = this.#options
    const flags = {
      dataDir: this.dataDir,
      host,
      port: "0",
      apiKey: testKey,
      logLevel: "silent",
      egressAllow,
      publicUrl,
      ...settingsOf(this.place),
      ...settings,
    }
    const reading = readConfig(flags, {})
    if ("faults" in reading) throw new Error(reading.faults.join("\n"))
    const running = await start(reading.config, () => this.now, resolver, timeLimits)
    this.#running = running
    this.#recorded = 0
    running.feed.listen(item => {
      if (item.kind !== "attempt") return
      this.#recorded++
      this.#tell()
    })
    watchContract(running.url)
  }

  #tell(): void {
    for (const resolve of this.#waiting) resolve()
    this.#waiting.clear()
  }
}

/** The number in an id such as `evt_…`. */
export function numberOf(prefix: "evt" | "int", id: unknown): number {
  const number = parseId(prefix, String(id))
  if (number === undefined) throw new Error(`${id} is no id of the kind ${prefix}_.`)
  return number
}
