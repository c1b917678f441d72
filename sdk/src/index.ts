/**
 * A client of Waybill's HTTP API: its types come from the OpenAPI document (api.d.ts, `npm run sdk`), its requests go out by
 * `fetch`, every problem document is thrown as a `WaybillProblem`.
 *
 *     const waybill = createWaybill({ url: "http://127.0.0.1:8080", key: "wb_…" })
 *     const { data } = await given(waybill.GET("/v1/events", { params: { query: { limit: 10 } } }))
 */
import createClient, { type Client, type Middleware } from "openapi-fetch"
import type { paths } from "./api.d.ts"

export type { components, operations, paths } from "./api.d.ts"
export { type Followed, follow, type StreamMessage } from "./stream.ts"

/** A credential, or what gives it anew for each request: one that lasts for a while is another later on. */
export type Key = string | (() => string | undefined)

export function currentKey(key: Key | undefined): string | undefined {
  return typeof key === "function" ? key() : key
}

/** What a client is made with. */
export interface WaybillOptions {
  /** Such as `https://hub.example`; without it the page's own origin. */
  readonly url?: string
  /** An API key, or what gives the one of the moment. A page that is signed in has none: its cookie goes along. */
  readonly key?: Key
  /** Asked for before each request that changes something; goes along as `x-csrf-token`. */
  readonly csrfToken?: () => string | undefined
  readonly fetch?: typeof fetch
}

export type Waybill = Client<paths>

/** An answer that is a problem document (RFC 9457), or none at all (status 0). */
export class WaybillProblem extends Error {
  readonly status: number
  /** Stable; made for programs. */
  readonly code: string
  readonly title: string
  readonly errors: readonly { readonly pointer: string; readonly message: string }[]
  /** The request's id, as in the log. */
  readonly request: string | undefined
  /** From `Retry-After`; undefined where there is none. */
  readonly retryAfterSeconds: number | undefined

  constructor(problem: {
    status: number
    code: string
    title: string
    detail: string
    errors?: readonly { pointer: string; message: string }[]
    request?: string | undefined
    retryAfterSeconds?: number | undefined
  }) {
    super(problem.detail)
    this.name = "WaybillProblem"
    this.status = problem.status
    this.code = problem.code
    this.title = problem.title
    this.errors = problem.errors ?? []
    this.request = problem.request
    this.retryAfterSeconds = problem.retryAfterSeconds
  }
}

/** A client. Its methods (`GET`, `POST`, …) take a path of the API and what goes with it, and throw `WaybillProblem`. */
export function createWaybill({ url = "", key, csrfToken, fetch: send }: WaybillOptions = {}): Waybill {
  const client = createClient<paths>({ baseUrl: url, ...(send && { fetch: send }), credentials: credentialsWith(key) })
  const credentials: Middleware = {
    onRequest({ request }) {
      const given = currentKey(key)
      if (given !== undefined) request.headers.set("authorization", `Bearer ${given}`)
      const token = request.method === "GET" ? undefined : csrfToken?.()
      if (token !== undefined) request.headers.set("x-csrf-token", token)
      return request
    },
    async onResponse({ response }) {
      if (!response.ok && response.status !== 304) throw await problemOf(response)
      return undefined
    },
    onError({ error }) {
      if (error instanceof WaybillProblem || (error instanceof Error && error.name === "AbortError")) return error
      return new WaybillProblem({
        status: 0,
        code: "no_connection",
        title: "No connection",
        detail: "Waybill did not answer. See that it runs and that the network is there.",
      })
    },
  }
  client.use(credentials)
  return client
}

/** Whoever has a key needs no cookie, and sends none. */
export function credentialsWith(key: Key | undefined): RequestCredentials {
  return key === undefined ? "same-origin" : "omit"
}

/** The problem that an answer is; also where something in between answered in a form of its own. */
export async function problemOf(response: Response): Promise<WaybillProblem> {
  const text = await response.text()
  const body = parsed(text)
  const after = Number(response.headers.get("retry-after") ?? Number.NaN)
  const { title = response.statusText, code = `http_${response.status}`, detail = text.slice(0, 300) } = body
  return new WaybillProblem({
    status: response.status,
    code,
    title,
    detail: detail === "" ? `The server answered ${response.status}.` : detail,
    errors: body.errors ?? [],
    request: body.instance ?? response.headers.get("x-request-id") ?? undefined,
    retryAfterSeconds: Number.isFinite(after) ? after : undefined,
  })
}

interface ProblemBody {
  readonly title?: string
  readonly code?: string
  readonly detail?: string
  readonly instance?: string
  readonly errors?: readonly { readonly pointer: string; readonly message: string }[]
}

function parsed(text: string): ProblemBody {
  try {
    const value: unknown = JSON.parse(text)
    return typeof value === "object" && value !== null ? value : {}
  } catch {
    return {}
  }
}

/** What a request gives, where it gives something. */
export async function given<T>(request: Promise<{ data?: T }>): Promise<NonNullable<T>> {
  const { data } = await request
  if (data === undefined || data === null) throw new Error("The answer has no body.")
  return data
}
