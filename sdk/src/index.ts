/**
 * A client of Waybill's HTTP API: its types come from the OpenAPI document (api.d.ts, `npm run sdk`), its requests go out by
 * `fetch`, every problem document is thrown as a `WaybillProblem`.
 *
 *     const waybill = createWaybill({ url: "http://127.0.0.1:8080", key: "wb_…" })
 *     const { data } = await given(waybill.GET("/v1/events", { params: { query: { limit: 10 } } }))
 */
import createClient, { type Client, type Middleware } from "openapi-fetch"
import type { paths } from "./api.d.ts"
import { credentialsWith, currentKey, type Key } from "./credential.ts"
import { problemOf, WaybillProblem } from "./problem.ts"

export type { components, operations, paths } from "./api.d.ts"
export { credentialsWith, currentKey, type Key } from "./credential.ts"
export { problemOf, WaybillProblem } from "./problem.ts"
export { type Followed, follow, type StreamMessage } from "./stream.ts"

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

/** What a request gives, where it gives something. */
export async function given<T>(request: Promise<{ data?: T }>): Promise<NonNullable<T>> {
  const { data } = await request
  if (data === undefined || data === null) throw new Error("The answer has no body.")
  return data
}
