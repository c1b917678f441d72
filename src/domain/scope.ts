/** Who may do what: the scopes of credentials and the roles of people, each written once with what it is for. */

/** Each with a sentence, for the docs page and for whoever lacks it. */
export const scopes = {
  ingest: "Sends events, and reads nothing.",
  "events:read": "Reads events, deliveries and attempts, searches and follows them, without their payloads.",
  "payloads:read": "Reads what events hold, and the bodies and headers of requests and answers.",
  "integrations:read": "Reads integrations, event types, histories and diagnoses, without secrets.",
  "integrations:write": "Sets up and changes integrations, event types and apps, and tests them.",
  "secrets:read": "Reads signing secrets. Each reading stands in the audit log.",
  replay: "Tries deliveries again, and runs recoveries.",
  portal: "Gives tokens for the portal of an app, which may do no more than the credential itself.",
  "metrics:read": "Reads /metrics.",
  admin: "Everything in its project: keys, people, settings and all that the other scopes allow.",
} as const satisfies Record<string, string>

export type Scope = keyof typeof scopes

/** What a route asks for: a scope, or no more than a credential of the project. */
export type NeededScope = Scope | "any"

export const scopeNames = Object.keys(scopes) as readonly Scope[]

export function isScope(name: string): name is Scope {
  return Object.hasOwn(scopes, name)
}

/** Whether a credential with these scopes may do what asks for one. `admin` stands for all others. */
export function allows(held: readonly string[], needed: NeededScope): boolean {
  return needed === "any" || held.includes(needed) || held.includes("admin")
}

/**
 * Scopes of what a project has as a whole. A credential that is limited to an app, an environment or a source has none of
 * them: whoever may set up an integration could have all events sent to it.
 */
const wholeScopes: readonly NeededScope[] = ["integrations:write", "secrets:read", "metrics:read", "admin"]

/** Whether a scope is about the project as a whole. */
export function isWhole(scope: string): boolean {
  return wholeScopes.some(whole => whole === scope)
}

/** What people are in a project. */
export const roles = {
  owner: { may: "Everything, also remove the project and say who its owners are.", scopes: ["admin"] },
  admin: { may: "Everything but remove the project and say who its owners are.", scopes: ["admin"] },
  developer: {
    may: "Sets up integrations, reads everything with its secrets, sends and replays.",
    // biome-ignore format: one list
    scopes: ["ingest", "events:read", "payloads:read", "integrations:read", "integrations:write", "secrets:read", "replay",
      "portal", "metrics:read"],
  },
  support: {
    may: "Reads events with their payloads and tries them again; sees no secrets and changes no settings.",
    scopes: ["events:read", "payloads:read", "integrations:read", "replay"],
  },
  viewer: {
    may: "Reads what happened, without payloads and secrets.",
    scopes: ["events:read", "integrations:read"],
  },
} as const satisfies Record<string, { readonly may: string; readonly scopes: readonly Scope[] }>

export type Role = keyof typeof roles

export const roleNames = Object.keys(roles) as readonly Role[]
