/** The page of who may do what: scopes, roles and routes, from the table of scopes and the routes themselves. */
import {
  allows,
  isScope,
  isWhole,
  type Role,
  roleNames,
  roles,
  type Scope,
  scopeNames,
  scopes,
} from "../../src/domain/scope.ts"
import type { Document } from "./api.ts"
import { code, pageHead, table, text } from "./markdown.ts"

const intro = `What API keys may do is named by their scopes, what people may do by their role in the project. Each call of the API asks for
one scope; who lacks it is answered 403, with the scope's name. [API keys](../api-keys.md) says how keys are made.`

const limited = `A key can be limited to events of an app, of an environment, of a source. It sends only those: what it leaves open is filled
in, anything else is refused with 403. It reads only those: others are not there for it. What an integration is, the catalogue of event
types and how Waybill is doing belong to the project as a whole and are read by all who have the scope. These cannot be told apart by
events, and are refused to a limited key:`

/** What an operation asks for. */
export interface Access {
  readonly method: string
  readonly path: string
  readonly id: string
  /** In a sentence. */
  readonly does: string
  /** Null: nothing. */
  readonly scope: string | null
  /** Only for people who are signed in. */
  readonly isForPeople: boolean
  /** Why it is refused to limited keys; null: it is not. */
  readonly whole: string | null
}

type Security = Readonly<Record<"key" | "session", readonly string[] | undefined>>

/** What each operation of the document asks for. */
export function accessOf(document: Document): Access[] {
  return Object.entries(document.paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, operation]) => {
      const all = (operation.security ?? []) as readonly Security[]
      const [scope = null] = all[0]?.key ?? all[0]?.session ?? []
      const { "x-whole": said } = operation as { readonly "x-whole"?: string }
      const isWholeScope = scope !== null && isScope(scope) && isWhole(scope)
      return {
        ...{ method: method.toUpperCase(), path, id: operation.operationId, does: operation.summary, scope },
        isForPeople: all.length > 0 && all.every(({ key }) => key === undefined),
        whole: said ?? (isWholeScope ? `it asks for \`${scope}\`` : null),
      }
    }),
  )
}

/** Addresses that are no calls of the API. */
const besideTheApi: readonly (readonly [address: string, what: string])[] = [
  ["GET /openapi.json", "This API's document"],
  ["/inbox/…", "Takes requests for an [inbox](../is-it-waybill-or-the-endpoint.md), whose address has 256 random bits"],
  ["GET /assets/…, GET /favicon.svg", "The dashboard's files"],
  ["any other GET by a browser", "The dashboard's page, which shows nothing before somebody signs in"],
]

/** The page as Markdown. */
export function accessPage(document: Document): string {
  const all = accessOf(document).sort((a, b) => (a.path < b.path ? -1 : a.path > b.path ? 1 : 0))
  const may = (role: Role, scope: string | null) => scope === null || allows(roles[role].scopes, scope as Scope)
  const whole = all.filter(({ whole: why }) => why !== null && !why.startsWith("it asks for"))
  const wholeScopes = scopeNames.filter(isWhole).map(code).join(", ")
  return [
    pageHead("Who may do what", "src/domain/scope.ts and the routes in src/api/", intro),
    `## Scopes\n\n${table(
      ["scope", "what it allows"],
      scopeNames.map(name => [code(name), text(scopes[name])]),
    )}`,
    `## Roles\n\n${table(
      ["role", "may", "scopes"],
      roleNames.map(name => [code(name), text(roles[name].may), roles[name].scopes.map(code).join(", ")]),
    )}`,
    `## Limits\n\n${limited}\n\n${table(
      ["call", "because"],
      whole.map(({ method, path, id, whole: why }) => [link(method, path, id), text(why ?? "")]),
    )}\nA limited key cannot have the scopes ${wholeScopes}.\n`,
    `## Without a credential\n\nThese ask for none. Where one changes something, or tells of anything, its request bears a proof of its own: a password,
the token of a link, or what an identity provider says.\n\n${table(
      ["address", "what it does"],
      [
        ...all
          .filter(({ scope }) => scope === null)
          .map(call => [link(call.method, call.path, call.id), text(call.does)]),
        ...besideTheApi.map(([address, what]) => [code(address), what]),
      ],
    )}`,
    `## Calls\n\nA role may do what is marked. \`any\` asks for a credential and no scope.\n\n${table(
      ["call", "scope", ...roleNames],
      all.map(({ method, path, id, scope, isForPeople }) => [
        link(method, path, id),
        scope === null ? "none, no credential" : `${code(scope)}${isForPeople ? ", people only" : ""}`,
        ...roleNames.map(role => (may(role, scope) ? "✓" : "–")),
      ]),
    )}`,
  ].join("\n")
}

function link(method: string, path: string, id: string): string {
  return `[${code(`${method} ${path}`)}](api.md#${id})`
}
