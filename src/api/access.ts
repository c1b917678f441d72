/**
 * Who calls and what they may: a credential becomes a `Caller`, and a route is reached by callers who have the scope that
 * it names in its `config`. A route without one is not registered, so that none is open by oversight.
 */
import type { FastifyInstance, FastifyReply, FastifyRequest, RouteOptions } from "fastify"
import { formatId, type ProjectId, parseId } from "../domain/id.ts"
import { isLimited, type Limits, unlimited } from "../domain/limits.ts"
import { allows, isWhole, type NeededScope, type Role, roles, scopes } from "../domain/scope.ts"
import type { Actor, Origin } from "../store/changes.ts"
import type { ApiKey } from "../store/keys.ts"
import type { LiveSession } from "../store/sessions.ts"
import type { Context } from "./context.ts"
import { integrationsOfApp, isSeen, type Sight } from "./portal-sight.ts"
import { notFound, Problem } from "./problem.ts"
import { problemResponse } from "./schemas.ts"
import { assertFromOwnPage, readCookie } from "./session-cookie.ts"

/** Who a request comes from. The project is the credential's, never the request's (API-10). */
export interface Caller {
  readonly project: ProjectId
  readonly actor: Actor
  /** `domain/scope.ts`; those of a key, or of a person's role in the project. */
  readonly scopes: readonly string[]
  /** Nothing outside these is seen or sent; null where it is not limited. */
  readonly limits: Limits
  /** The integrations that it sees; null: all of the project. Those of its app where it is a token of the portal. */
  readonly sight: Sight
  /** The API key that it came with; null for people. */
  readonly key: ApiKey | null
  /** The person who is signed in; null for keys. */
  readonly person: SignedIn | null
}

export type { Limits }

/** A person with a session, in the project that they work in. */
export interface SignedIn {
  /** `per_…` as a number. */
  readonly id: number
  readonly session: LiveSession
  /** What stands in the session's cookie. */
  readonly token: string
  readonly role: Role
}

declare module "fastify" {
  interface FastifyContextConfig {
    /** Needs no credential. */
    public?: boolean
    /** What the credential has to allow. */
    scope?: NeededScope
    /** Why a route with another method than GET writes nothing into the audit log; all others write exactly one row. */
    unaudited?: string
    /** What a route tells, or does, cannot be limited to some events: why, for who is limited and is refused. */
    whole?: string
    /** A token of the portal reaches it (domain/portal.ts). It reaches nothing that does not say so. */
    portal?: true
    /** Is for people who are signed in; API keys are refused. */
    people?: boolean
    /** Does not wait for what other processes have changed of the configuration: it sees to that itself, or needs none. */
    mayBeBehind?: boolean
  }
  interface FastifyRequest {
    /** Set on every route that asks for a credential. */
    caller: Caller | null
  }
}

/** The caller of a request. Routes that ask for no credential must not call it. */
export function callerOf(request: FastifyRequest): Caller {
  if (request.caller === null) throw new Problem("unauthorized", HOW)
  return request.caller
}

/** Who acts, for revisions and changes. */
export function actorOf(request: FastifyRequest): Actor {
  return callerOf(request).actor
}

/** Whether the caller has a scope that not every caller of the route has. */
export function may(request: FastifyRequest, scope: NeededScope): boolean {
  return allows(callerOf(request).scopes, scope)
}

/** The problem of a credential that lacks a scope. */
export function forbidden(scope: NeededScope): Problem {
  const does = scope === "any" ? "" : ` ${scopes[scope]}`
  return new Problem("forbidden", `This needs the scope \`${scope}\`, which this credential does not have.${does}`, {
    extra: { scope },
  })
}

const NOT_IN_PORTAL =
  "This credential is a token of a portal: it reads the events and the integrations of its app, and nothing else. GET /v1/portal says what it may."

/** Why a limited caller does not reach a route that is about the project as a whole. */
function refusalOfLimited(caller: Caller, scope: NeededScope, whole: string | undefined): Problem | undefined {
  if (whole === undefined && !isWhole(scope)) return undefined
  const { environment, source } = caller.limits
  // All that went to an integration of one app is of that app.
  if (caller.sight !== null && environment === null && source === null) return undefined
  const why = whole ?? `the scope \`${scope}\` is about all of the project`
  const detail = `This credential is limited to some events, and ${why}. Use one without limits.`
  return new Problem("forbidden", detail, { extra: { scope } })
}

/** The caller that a key is, and where it calls from. */
export function callerWithKey(key: ApiKey, from?: Origin): Caller {
  const { project, scopes: held } = key
  const actor: Actor = { kind: "api_key", id: formatId("key", key.id), ...(from && { from }) }
  return { project, actor, scopes: held, limits: key, sight: null, key, person: null }
}

/** Where a request comes from. */
export function originOf(request: FastifyRequest): Origin {
  return { address: request.ip, agent: request.headers["user-agent"]?.slice(0, 200) ?? null, request: request.id }
}

/** The caller that a person's session is, and where it calls from. */
export function callerWithSession(session: LiveSession, token: string, from: Origin): Caller {
  const { project, person: id, role } = session
  const actor: Actor = { kind: "person", id: formatId("per", id), from }
  const person = { id, session, token, role }
  return { project, actor, scopes: roles[role].scopes, limits: unlimited, sight: null, key: null, person }
}

/** What knows credentials. */
interface Admitting {
  readonly keyring: Pick<Context["keyring"], "find">
  readonly people: Pick<Context["people"], "holds">
}

/** Whether the credential that a request came with still allows as much: for what goes on for longer than a request. */
export function stillAdmitted({ keyring, people }: Admitting, request: FastifyRequest): () => Promise<boolean> {
  const { project, key, person } = callerOf(request)
  const { scope = "admin" } = request.routeOptions.config
  if (key === null && person !== null) {
    return async () => {
      const session = await people.holds(person.token)
      return session?.project === project && allows(roles[session.role].scopes, scope)
    }
  }
  const token = request.headers.authorization?.split(" ")[1] ?? ""
  return async () => (await keyring.find(token)) !== undefined
}

const HOW = "Send an API key: Authorization: Bearer wb_…. People sign in with POST /v1/session."
const OVER =
  "This token of a portal has expired, was revoked, or is none. The site that shows the portal gets a new one with POST /v1/portal-tokens."
const FOR_PEOPLE = "This is for people who are signed in (POST /v1/session), not for API keys."

/** Sees to it that every route says who may reach it, and that the document says so too. */
export function guardRoutes(server: FastifyInstance): void {
  server.decorateRequest("caller", null)
  server.addHook("onRoute", (route: RouteOptions) => {
    const { scope, public: isPublic, people, unaudited, whole, portal } = route.config ?? {}
    if (unaudited !== undefined) route.schema = { ...route.schema, ...{ "x-unaudited": unaudited } }
    if (whole !== undefined) route.schema = { ...route.schema, ...{ "x-whole": whole } }
    if (portal === true) route.schema = { ...route.schema, ...{ "x-portal": true } }
    if (isPublic === true) {
      route.schema = { ...route.schema, security: [] }
      return
    }
    if (scope === undefined) throw new Error(`${String(route.method)} ${route.url} names no scope in its config.`)
    const schema = route.schema ?? {}
    route.schema = schema
    schema.security = people === true ? [{ session: [scope] }] : [{ key: [scope] }, { session: [scope] }]
    // What a route has of its own stands before it.
    schema.response = { 429: problemResponse, ...(schema.response as object | undefined) }
    if (scope === "any" && people !== true && portal === true) return
    schema.response = { ...(schema.response as object | undefined), 403: problemResponse }
  })
}

/** Takes a request in, or says why not. Every route but those that say `public` asks for a credential. */
export function authenticate(
  context: Context,
  request: FastifyRequest,
  reply: FastifyReply,
  done: (error?: Error) => void,
): void {
  const { config } = request.routeOptions
  if (config.public === true || request.is404) {
    done()
    return
  }
  // Who brings a key is not looked at for a cookie: keys need none of what protects cookies, and get none of it (API-9).
  const cookie = request.headers.authorization === undefined ? readCookie(context, request) : null
  if (cookie !== null) {
    admitPerson(context, request, reply, cookie).then(
      caller => enter(context, request, reply, caller, done),
      (error: Error) => done(error),
    )
    return
  }
  const [scheme, token, ...rest] = (request.headers.authorization ?? "").split(" ")
  if (scheme?.toLowerCase() !== "bearer" || token === undefined || token === "" || rest.length > 0) {
    done(new Problem("unauthorized", HOW))
    return
  }
  const found = context.keyring.find(token)
  const admit = (key: Awaited<typeof found>) => {
    if (key === undefined) {
      done(
        new Problem(
          "unauthorized",
          token.startsWith("wb_pt_") ? OVER : "The API key is not known, was revoked or has expired.",
        ),
      )
      return
    }
    context.keyring.used(key, false)
    enter(context, request, reply, callerWithKey(key, originOf(request)), done)
  }
  if (found instanceof Promise) found.then(admit, done)
  else admit(found)
}

/** The person whose session a cookie is; throws where it holds no more, or the request is not one of our own pages'. */
async function admitPerson(
  context: Context,
  request: FastifyRequest,
  reply: FastifyReply,
  token: string,
): Promise<Caller> {
  const session = await context.people.session(token)
  if (session === undefined) {
    throw new Problem("unauthorized", "The session has ended, or is not known. Sign in again with POST /v1/session.")
  }
  assertFromOwnPage(context, request, token)
  // What one person was shown must not be taken for what another may see.
  reply.header("vary", "Cookie")
  return callerWithSession(session, token, originOf(request))
}

/** Lets a caller in who is known, as far as the route's scope goes. */
function enter(
  context: Context,
  request: FastifyRequest,
  reply: FastifyReply,
  caller: Caller,
  done: (error?: Error) => void,
): void {
  const { scope = "admin", people, whole, portal, mayBeBehind } = request.routeOptions.config
  const isOfPortal = caller.key?.kind === "portal"
  const refusal =
    context.rates.admit(caller, context.directory.project(caller.project), reply) ??
    (isOfPortal && portal !== true ? new Problem("forbidden", NOT_IN_PORTAL) : undefined) ??
    (people === true && caller.person === null ? new Problem("forbidden", FOR_PEOPLE) : undefined) ??
    (allows(caller.scopes, scope) ? undefined : forbidden(scope)) ??
    (isLimited(caller.limits) && !isOfPortal ? refusalOfLimited(caller, scope, whole) : undefined)
  if (refusal !== undefined) {
    done(refusal)
    return
  }
  request.caller = caller
  if (isOfPortal) {
    enterPortal(context, request, caller).then(() => done(), done)
    return
  }
  if (mayBeBehind === true) done()
  // What another process has answered before this request came is seen by it.
  else context.directory.catchUp().then(() => done(), done)
}

/** Lets a token of the portal in, with what it sees; an integration that it does not see is none to it, wherever it is named. */
async function enterPortal(context: Context, request: FastifyRequest, caller: Caller): Promise<void> {
  await context.directory.catchUp()
  const { app } = caller.limits
  // None is made without an app.
  if (app === null) throw new Problem("forbidden", NOT_IN_PORTAL)
  const seen = { ...caller, sight: await integrationsOfApp(context, caller, app) }
  const { scope = "admin", whole } = request.routeOptions.config
  const refusal = refusalOfLimited(seen, scope, whole)
  if (refusal !== undefined) throw refusal
  request.caller = seen
  const { id } = request.params as { readonly id?: string }
  const { integration } = request.query as { readonly integration?: unknown }
  const isHidden = (text: unknown) => {
    const number = typeof text === "string" ? parseId("int", text) : undefined
    return number !== undefined && !isSeen(seen.sight, number)
  }
  const isOfIntegration = request.routeOptions.url?.startsWith("/v1/integrations/:id") === true
  if (isOfIntegration && isHidden(id)) throw notFound("integration", String(id))
  if (isHidden(integration)) {
    throw new Problem(
      "forbidden",
      `This token of a portal sees no integration ${integration}: GET /v1/integrations lists those that it sees.`,
    )
  }
}
