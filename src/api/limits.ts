/**
 * To what a caller is limited, an app, an environment, a source: how that narrows what it reads and what it sends. The one
 * place that decides; routes ask here. What cannot be told apart by events, such as an integration's diagnosis, is refused
 * by the route's `config.whole`.
 */
import type { FastifyRequest } from "fastify"
import type { EventDraft } from "../domain/event.ts"
import { isLimited, isWithin, type Limits, type Placed } from "../domain/limits.ts"
import type { Directory } from "../engine/directory.ts"
import { API_SOURCE } from "../sources/waybill.ts"
import type { EventFilter } from "../store/event-filter.ts"
import { callerOf, may } from "./access.ts"
import { Problem } from "./problem.ts"

/** To what a caller is limited. */
export function limitsOf(request: FastifyRequest): Limits {
  return callerOf(request).limits
}

/** Whether a caller may see an event. */
export function sees(request: FastifyRequest, event: Placed): boolean {
  return isWithin(limitsOf(request), event)
}

/** Whether payloads, bodies and headers are left out of what a caller reads. */
export function hidesPayloads(request: FastifyRequest): boolean {
  return !may(request, "payloads:read")
}

/** The part of a filter that limits are about. */
type Narrowed = Pick<EventFilter, "app" | "environment" | "source">

/** What a caller asks for, and no more than it is limited to; a problem where it asks for something else. */
export function narrowed(
  request: FastifyRequest,
  directory: Pick<Directory, "appName">,
  asked: Narrowed = {},
): Narrowed {
  const limits = limitsOf(request)
  if (!isLimited(limits)) return asked
  const { app, environment, source } = limits
  if (app !== null && asked.app !== undefined && asked.app !== app) throw outside(`the app ${directory.appName(app)}`)
  if (environment !== null && asked.environment !== undefined && asked.environment !== environment) {
    throw outside(`the environment ${environment}`)
  }
  return {
    app: app ?? asked.app,
    environment: environment ?? asked.environment,
    source: source ?? asked.source,
  }
}

/** An event as a caller may send it: what it leaves open is filled in with what the caller is limited to. Throws a problem. */
export function draftWithin(limits: Limits, draft: EventDraft, directory: Pick<Directory, "appName">): EventDraft {
  if (!isLimited(limits)) return draft
  const app = limits.app === null ? draft.app : (directory.appName(limits.app) ?? null)
  if (draft.app !== null && draft.app !== app) throw outside(`the app ${app}`, "/app")
  if (limits.environment !== null && draft.environment !== limits.environment) {
    throw outside(`the environment ${limits.environment}`, "/environment")
  }
  // What comes in Waybill's own form names no source.
  const isNamed = draft.cloud !== null || draft.source !== API_SOURCE
  if (limits.source !== null && isNamed && draft.source !== limits.source) {
    throw outside(`the source ${limits.source}`, "/source")
  }
  return { ...draft, app, source: limits.source ?? draft.source }
}

/** Refuses a caller that is limited to what `what` cannot be told apart by. */
export function assertNotLimited(request: FastifyRequest, by: readonly (keyof Limits)[], what: string): void {
  const limits = limitsOf(request)
  const found = by.find(name => limits[name] !== null)
  if (found === undefined) return
  throw new Problem(
    "forbidden",
    `This credential is limited to one ${found}, and ${what}. Use one that is not limited so.`,
  )
}

function outside(to: string, pointer?: string): Problem {
  const message = `This credential is limited to ${to}. Leave that out, or use another credential.`
  return new Problem("forbidden", message, pointer === undefined ? {} : { errors: [{ pointer, message }] })
}
