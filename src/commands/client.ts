/** Talks to a running Waybill over its API, and turns what can go wrong on the way into sentences. */
import type { Command } from "commander"
import type { ProblemDocument } from "../api/problem.ts"
import { type ClientConfig, clientConfig, commandName, version } from "../config.ts"
import { parseRetryAfter } from "../domain/retry-after.ts"
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
  /** Null where it did not come from Waybill. */
  readonly problem: ProblemDocument | null
  /** How long the answer asks to be left alone; null where it does not say. */
  readonly retryAfterMs: number | null

  constructor(
    lines: readonly string[],
    answer: { readonly status: number; readonly problem: ProblemDocument | null; readonly retryAfterMs: number | null },
  ) {
    const { status, problem, retryAfterMs } = answer
    super(lines)
    this.status = status
    this.problem = problem
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
    try {
      // The parts of an answer that commands use are those of the schemas which the server validates with.
      return { text, value: (text === "" ? undefined : JSON.parse(text)) as T }
    } catch {
      throw new CommandFault(strangerSentence(this.url, response))
    }
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

  async #refusal(response: Response): Promise<Refusal> {
    const { status, headers } = response
    const problem = readProblem(await response.text().catch(() => ""))
    const lines = problem === null ? [strangerSentence(this.url, response)] : sentencesOf(problem)
    if (status === 401) lines.push("Give a valid key with --key or WAYBILL_API_KEY.")
    const retryAfterMs = parseRetryAfter([headers.get("retry-after") ?? ""], this.#now())
    return new Refusal(lines, { status, problem, retryAfterMs })
  }
}

/** The client for what was typed; throws where the address or the key is wrong or missing. */
export function clientOf({ url, key }: ServerFlags, { now }: Terminal): Client {
  const reading = clientConfig({ ...(url === undefined ? {} : { url }), ...(key === undefined ? {} : { key }) })
  if ("faults" in reading) throw misuse(reading.faults)
  return new Client(reading.client, now)
}

/** Whether the same request may get through a little later. */
export function mayPass({ code }: Unreachable): boolean {
  return ["ECONNREFUSED", "ECONNRESET", "EPIPE", "ETIMEDOUT", "TimeoutError", "UND_ERR_SOCKET"].includes(code)
}

/** What a problem document says: its detail, then each of its errors that says more. */
export function sentencesOf({ detail, errors }: ProblemDocument): string[] {
  const more = (errors ?? []).filter(({ message }) => message !== detail)
  return [printable(detail), ...more.map(({ pointer, message }) => printable(`${pointer}: ${message}`))]
}

function unreachable(url: string, error: unknown): Unreachable {
  const cause = error instanceof Error && error.cause instanceof Error ? error.cause : error
  const code = codeOf(cause) || (error instanceof Error ? error.name : "")
  const elsewhere = "or name another address with --url or WAYBILL_URL"
  switch (code) {
    case "ECONNREFUSED":
      return new Unreachable(`Nothing listens on ${url}. Start Waybill there (${startWords()}), ${elsewhere}.`, code)
    case "ENOTFOUND":
    case "EAI_AGAIN":
      return new Unreachable(`The host of ${url} is not known. Check its spelling, ${elsewhere}.`, code)
    case "TimeoutError":
    case "ETIMEDOUT":
    case "UND_ERR_CONNECT_TIMEOUT":
      return new Unreachable(`${url} did not answer in time. Check that Waybill runs there, ${elsewhere}.`, code)
    default: {
      const why = cause instanceof Error ? cause.message : String(cause)
      // The Fetch standard lists ports of other services that it does not call.
      if (why === "bad port") return new Unreachable(`The port of ${url} belongs to another service: use another.`, why)
      return new Unreachable(`${url} cannot be reached: ${why}. Try again, ${elsewhere}.`, code)
    }
  }
}

function startWords(): string {
  const name = commandName()
  return name.startsWith("npm run") ? "npm start" : `${name} serve`
}

function readProblem(text: string): ProblemDocument | null {
  try {
    const value: unknown = JSON.parse(text)
    const isProblem = typeof value === "object" && value !== null && "code" in value && "detail" in value
    return isProblem ? (value as ProblemDocument) : null
  } catch {
    // No JSON at all: it came from something else.
    return null
  }
}

/** Not Waybill's own words: a proxy before it, or some other server. */
function strangerSentence(url: string, { status, headers }: Response): string {
  const location = headers.get("location")
  const hint =
    location !== null && status >= 300 && status < 400
      ? `It points to ${printable(location)}: give that address with --url or WAYBILL_URL.`
      : "Check that this is Waybill's address, or give it with --url or WAYBILL_URL."
  return `${url} answered ${status}, not in Waybill's way. ${hint}`
}
