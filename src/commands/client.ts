/** Talks to a running Waybill over its API, and turns what can go wrong on the way into sentences. */
import type { Command } from "commander"
import type { ProblemDocument } from "../api/problem.ts"
import { type ClientConfig, clientConfig, commandName, version } from "../config.ts"
import { CommandFault, codeOf, misuse } from "./fault.ts"
import { printable, type Terminal } from "./terminal.ts"

/** Longer than any answer takes that waits for nobody else. */
const USUAL_LIMIT_MS = 30_000
/** Verifying and testing wait for endpoints, for as long as the longest policy allows, both environments at once. */
export const ENDPOINT_LIMIT_MS = 150_000

/** Options that every command has which talks to a server. */
export interface ServerFlags {
  readonly url?: string
  readonly key?: string
  readonly json?: true
}

/** Gives a command the options of `ServerFlags`. */
export function withServer(command: Command): Command {
  return command
    .option("--url <url>", "where Waybill is [WAYBILL_URL, default http://127.0.0.1:8080]")
    .option("--key <key>", "the API key [WAYBILL_API_KEY]")
    .option("--json", "print JSON for programs")
}

export type Query = Readonly<Record<string, string | number | undefined>>

/** A request as commands make it. */
export interface Call {
  readonly query?: Query
  /** JSON text, sent as it is. */
  readonly body?: string
  readonly headers?: Readonly<Record<string, string>>
  readonly limitMs?: number
}

/** An answer that is no problem: the text as it came, in which numbers are exact, and what it says. */
export interface Answer<T> {
  readonly text: string
  readonly value: T
}

/** The answer was a refusal, of Waybill or of something before it. */
export class Refusal extends CommandFault {
  readonly status: number
  /** How long the answer asks to be left alone; null where it does not say. */
  readonly retryAfterMs: number | null

  constructor(lines: readonly string[], status: number, retryAfterMs: number | null) {
    super(lines)
    this.status = status
    this.retryAfterMs = retryAfterMs
  }
}

/** Nothing came back: no connection, or none that held. */
export class Unreachable extends CommandFault {
  readonly code: string

  constructor(message: string, code: string) {
    super(message)
    this.code = code
  }
}

export class Client {
  readonly url: string
  readonly #apiKey: string
  readonly #now: () => number

  constructor({ url, apiKey }: ClientConfig, now: () => number) {
    if (apiKey === undefined) {
      throw misuse(
        "An API key is needed: set WAYBILL_API_KEY or give --key wb_…. The first one was shown when Waybill was first started.",
      )
    }
    this.url = url
    this.#apiKey = apiKey
    this.#now = now
  }

  get<T>(path: string, query: Query = {}): Promise<Answer<T>> {
    return this.call("GET", path, { query })
  }

  post<T>(path: string, body?: unknown, limitMs = USUAL_LIMIT_MS): Promise<Answer<T>> {
    return this.call("POST", path, { limitMs, ...(body === undefined ? {} : { body: JSON.stringify(body) }) })
  }

  /** Makes a request; throws Refusal where the server says no, Unreachable where it says nothing. */
  async call<T>(method: string, path: string, call: Call = {}): Promise<Answer<T>> {
    const signal = AbortSignal.timeout(call.limitMs ?? USUAL_LIMIT_MS)
    const response = await this.open(method, path, call, signal)
    let text: string
    try {
      text = await response.text()
    } catch (error) {
      throw unreachable(this.url, error)
    }
    // The parts of an answer that commands use are those of the schemas which the server validates with.
    return { text, value: (text === "" ? undefined : JSON.parse(text)) as T }
  }

  /** Begins a request and gives the answer as it comes; throws as `call` does. */
  async open(method: string, path: string, call: Call, signal: AbortSignal): Promise<Response> {
    const url = new URL(this.url + path)
    for (const [name, value] of Object.entries(call.query ?? {})) {
      if (value !== undefined) url.searchParams.set(name, String(value))
    }
    let response: Response
    try {
      response = await fetch(url, {
        method,
        signal,
        redirect: "manual",
        headers: {
          authorization: `Bearer ${this.#apiKey}`,
          "user-agent": `Waybill-CLI/${version}`,
          ...(call.body === undefined ? {} : { "content-type": "application/json" }),
          ...call.headers,
        },
        ...(call.body === undefined ? {} : { body: call.body }),
      })
    } catch (error) {
      throw unreachable(this.url, error)
    }
    if (!response.ok) throw await this.#refusal(response)
    return response
  }
}