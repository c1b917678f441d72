/** The one client of this page, and what it knows of who is signed in. */
import { MutationCache, QueryCache, QueryClient } from "@tanstack/react-query"
import { createWaybill, given, type paths, WaybillProblem } from "waybill-sdk"
import { portal } from "./portal.ts"

let csrfToken: string | undefined

/** What requests bring: the token of a portal, or the cookie of whoever is signed in. */
export const credential = portal === null ? {} : { key: portal.token }

export const waybill = createWaybill({ csrfToken: () => csrfToken, ...credential })

/** What an operation answers with when all is well. */
export type Answer<
  Path extends keyof paths,
  Method extends "get" | "post" | "put" | "patch" | "delete" = "get",
> = paths[Path] extends { [M in Method]: { responses: infer Responses } }
  ? Responses extends { 200: { content: { "application/json": infer Body } } }
    ? Body
    : Responses extends { 201: { content: { "application/json": infer Body } } }
      ? Body
      : never
  : never

export type Session = Answer<"/v1/session">

/** Whose portal this is, for which app, and until when; what was read last stands also once its time is over. */
export const shownPortalQuery = {
  queryKey: ["portal"],
  queryFn: () => given(waybill.GET("/v1/portal")),
} as const

/** A token of a portal, in the form of a session: one of nobody, who may what the token may. */
async function portalSession(): Promise<Session> {
  const { project, name, may, expires_at } = await queries.fetchQuery({ ...shownPortalQuery, staleTime: 0 })
  const scopes = may.map(right => (right === "replay" ? right : `${right}:read`))
  const own = { ...project, name, role: "viewer" as const }
  const times = { created_at: expires_at, idle_expires_at: expires_at, expires_at }
  return {
    id: "",
    person: { id: "", email: "", name },
    project: own,
    projects: [own],
    scopes,
    csrf_token: "",
    ...times,
  }
}

/** Who is signed in; null where nobody is. */
export const sessionQuery = {
  queryKey: ["session"],
  queryFn: async (): Promise<Session | null> => {
    try {
      if (portal !== null) return await portalSession()
      const session = await given(waybill.GET("/v1/session"))
      csrfToken = session.csrf_token
      return session
    } catch (error) {
      if (error instanceof WaybillProblem && error.status === 401) return null
      throw error
    }
  },
  staleTime: 60_000,
} as const

/** Whether trying again may help: no answer, too many requests, or trouble on the other side. */
function mayPass(error: unknown): boolean {
  return error instanceof WaybillProblem && (error.status === 0 || error.status === 429 || error.status >= 500)
}

/** A session that has ended is known by whatever is asked next, or by the stream: the shell then leads to the sign-in. */
export function noticeEnd(error: unknown): void {
  if (error instanceof WaybillProblem && error.code === "unauthorized" && queries.getQueryData(sessionQuery.queryKey)) {
    queries.setQueryData(sessionQuery.queryKey, null)
  }
}

export const queries: QueryClient = new QueryClient({
  queryCache: new QueryCache({ onError: noticeEnd }),
  mutationCache: new MutationCache({ onError: noticeEnd }),
  defaultOptions: {
    queries: {
      // Without a connection a page says so; by default it would wait for one without a word.
      networkMode: "always",
      retry: (failures, error) => mayPass(error) && failures < 2,
      staleTime: 5_000,
      refetchOnWindowFocus: true,
    },
    mutations: { retry: false, networkMode: "always" },
  },
})

/** After signing in or out, or moving to another project: nothing that was read before holds. */
export async function forgetEverything(): Promise<void> {
  csrfToken = undefined
  queries.removeQueries({ predicate: ({ queryKey: [name] }) => name !== sessionQuery.queryKey[0] })
  // What shows the session stays where it is, and hears of the new one.
  await queries.fetchQuery({ ...sessionQuery, staleTime: 0 })
}
