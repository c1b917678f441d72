/** What searches ask for in the query string, read in one way for all of them. */
import { Type } from "typebox"
import { type AppId, type IntegrationId, type ProjectId, parseId } from "../domain/id.ts"
import { parseTime } from "../domain/rfc3339.ts"
import type { Directory } from "../engine/directory.ts"
import { Problem } from "./problem.ts"

/**
 * A search ends soon after so long, with what it has and how far back it came: its page is to stand within 300 ms, of which
 * a browser takes 100 to 150.
 */
export const SEARCH_BUDGET_MS = 120

const timeHint = "RFC 3339, such as 2026-11-21T10:00:00Z."

/** The stretch of `received_at` that is searched. */
export const timeRange = {
  from: Type.Optional(Type.String({ maxLength: 64, description: `Received at this time or later. ${timeHint}` })),
  to: Type.Optional(Type.String({ maxLength: 64, description: `Received before this time. ${timeHint}` })),
}

/** Properties of events that lists and the stream filter by. */
export const eventFields = {
  type: Type.Optional(
    Type.String({
      pattern: "^[!-~]{1,128}$",
      "x-hint": "must be 1 to 128 printable ASCII characters without space",
      description: "An event type, or a prefix that ends in `*`.",
      examples: ["subscription_*"],
    }),
  ),
  app: Type.Optional(Type.String({ maxLength: 64, description: "Name of an app." })),
  environment: Type.Optional(Type.Enum(["production", "sandbox"])),
  profile_id: Type.Optional(Type.String({ minLength: 1, maxLength: 256 })),
  device_id: Type.Optional(Type.String({ minLength: 1, maxLength: 256 })),
  integration: Type.Optional(
    Type.String({ maxLength: 64, description: "An integration that it went to, or was withheld from." }),
  ),
}

/** A time range in ms since 1970; throws a problem that names the end that is wrong. */
export function readRange(query: { readonly from?: string; readonly to?: string }): {
  readonly from: number | undefined
  readonly to: number | undefined
} {
  const [from, to] = [readTime("from", query.from), readTime("to", query.to)]
  if (from !== undefined && to !== undefined && from >= to) throw wrong("from", "must be before `to`")
  return { from, to }
}

function readTime(name: string, text: string | undefined): number | undefined {
  if (text === undefined) return undefined
  const time = parseTime(text)
  if (time === undefined) throw wrong(name, `must be a time with its zone, ${timeHint.slice(0, -1)}`)
  return time
}

/** The id in a query; throws a problem where the text is none. */
export function readIntegrationId(text: string | undefined): IntegrationId | undefined {
  if (text === undefined) return undefined
  const id = parseId("int", text)
  if (id === undefined) throw wrong("integration", "must be the id of an integration, such as int_01j9zq4kx2m")
  return id
}

/** The id of an app by its name. No event has the id 0 that stands for a name nobody has used. */
export function readApp(directory: Directory, project: ProjectId, name: string | undefined): AppId | undefined {
  return name === undefined ? undefined : (directory.appId(project, name) ?? 0)
}

/** A query that is well-formed but wrong. */
export function wrong(name: string, complaint: string): Problem {
  const message = `\`${name}\` ${complaint}.`
  return new Problem("invalid", message, { errors: [{ pointer: `query/${name}`, message }] })
}
