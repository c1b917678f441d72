/**
 * The portal: pages of one app for a customer's own users, framed by the owner's site. Who comes in brings a token that is
 * good for a while, which the owner's server asked for; what it may and how long it lasts is decided here.
 */
import type { Scope } from "./scope.ts"

/** What a token may be given, each with the scope that it stands for. */
export const portalRights = {
  events: "events:read",
  payloads: "payloads:read",
  integrations: "integrations:read",
  replay: "replay",
} as const satisfies Record<string, Scope>

export type PortalRight = keyof typeof portalRights

export const portalRightNames = Object.keys(portalRights) as readonly PortalRight[]

/** What a token may where nothing else is asked for: see everything, and change nothing. */
export const usualRights: readonly PortalRight[] = ["events", "payloads", "integrations"]

/** The rights that a token's scopes stand for. */
export function rightsOf(scopes: readonly string[]): readonly PortalRight[] {
  return portalRightNames.filter(right => scopes.includes(portalRights[right]))
}

/** How long a token is good, in seconds. */
export const tokenSeconds = { least: 60, most: 86_400, usual: 3_600 } as const

/** How many requests a minute one may make: a page that is used hard makes a tenth, and none holds up its project. */
export const TOKEN_REQUESTS_PER_MINUTE = 600

/** What the portal of a project looks like, and who may frame it. */
export interface Portal {
  /** The owner's name at its top; null: that of the project. */
  readonly name: string | null
  /** `#rrggbb`; null: Waybill's own. */
  readonly color: string | null
  /** Origins of pages that may hold it in a frame; none: nobody may. */
  readonly frameOrigins: readonly string[]
}

export const noPortal: Portal = { name: null, color: null, frameOrigins: [] }

export const COLOR_PATTERN = "^#[0-9a-fA-F]{6}$"

/**
 * An origin as a browser writes it: https, or http on this very machine, for trying it out. It stands in a header, so that
 * nothing else may be in it: no path, no `*`, no space.
 */
export const FRAME_ORIGIN_PATTERN =
  "^(?:https://[a-z0-9](?:[a-z0-9.-]{0,251}[a-z0-9])?|http://(?:localhost|127\\.0\\.0\\.1))(?::[1-9][0-9]{0,4})?$"
