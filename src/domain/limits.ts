/** To what a credential is limited: to events of an app, of an environment, of a source. */
import type { Environment } from "./event.ts"
import type { AppId } from "./id.ts"

/** Nothing outside these is seen or sent; null where it is not limited. */
export interface Limits {
  readonly app: AppId | null
  readonly environment: Environment | null
  /** The source that its events are of. */
  readonly source: string | null
}

/** Of who may see and send everything in its project. */
export const unlimited: Limits = { app: null, environment: null, source: null }

export function isLimited({ app, environment, source }: Limits): boolean {
  return app !== null || environment !== null || source !== null
}

/** What limits ask of an event. */
export interface Placed {
  readonly appId: AppId | null
  readonly environment: Environment
  readonly source: string
}

/** Whether an event is one that a credential may see. */
export function isWithin({ app, environment, source }: Limits, event: Placed): boolean {
  return (
    (app === null || event.appId === app) &&
    (environment === null || event.environment === environment) &&
    (source === null || event.source === source)
  )
}

/** Whether whoever is limited to `own` may give a credential that is limited to `given`: one that sees no more. */
export function holdsLimits(own: Limits, given: Limits): boolean {
  return (
    (own.app === null || given.app === own.app) &&
    (own.environment === null || given.environment === own.environment) &&
    (own.source === null || given.source === own.source)
  )
}
