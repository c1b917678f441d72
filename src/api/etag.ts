/**
 * ETags of what can be changed, so that of two editors the second does not undo, unseen, what the first has done (API-56).
 *
 * A tag is made of what the answer says, so that two that are equal say the same. Where an answer also shows how something
 * stands at the moment (`protection` of an integration), that is the tag's second part, after a dot: caches go by both,
 * and `If-Match` by the first, or a configuration would be stale whenever an event has passed.
 */
import { createHash } from "node:crypto"
import type { FastifyReply, FastifyRequest } from "fastify"
import { Type } from "typebox"
import { Problem } from "./problem.ts"
import { sendJson } from "./raw-json.ts"

/** The headers of reads and of changes, for their schemas. */
export const IfNoneMatchHeaders = Type.Object({
  "if-none-match": Type.Optional(
    Type.String({ description: "ETags that you have: 304, without a body, where one of them is the current one." }),
  ),
})
export const IfMatchHeaders = Type.Object({
  "if-match": Type.Optional(
    Type.String({
      description: "The ETag of what you read: 412 where it has changed since. Left out, nothing is held.",
    }),
  ),
})

/** A response without a body, for schemas. */
export const NotModified = Type.Null({ description: "Nothing has changed since that ETag." })

/** The tag of a configuration, of the text that shows it; and of the moment that is shown beside it. */
export function tagOf(text: string, moment?: string): string {
  return `"${digest(text)}${moment === undefined ? "" : `.${digest(moment)}`}"`
}

/** Answers with what was read, or with 304 where the reader has it already. */
export function sendTagged(request: FastifyRequest, reply: FastifyReply, tag: string, text: string): FastifyReply {
  reply.header("etag", tag)
  const known = readTags(request.headers["if-none-match"], "If-None-Match")
  if (known === "any" || known?.some(({ opaque }) => `"${opaque}"` === tag)) return reply.code(304).send()
  return sendJson(reply, 200, text)
}

/** Throws 412 where `If-Match` names another state than the one with this tag, or where there is none (null). */
export function assertMatch(request: FastifyRequest, tag: string | null): void {
  const wanted = readTags(request.headers["if-match"], "If-Match")
  if (wanted === null) return
  if (tag === null) throw new Problem("stale", "There is nothing here yet, so it cannot match the ETag in If-Match.")
  if (wanted === "any") return
  const current = configurationPart(tag.slice(1, -1))
  const same = wanted.filter(({ opaque }) => configurationPart(opaque) === current)
  if (same.some(({ isWeak }) => !isWeak)) return
  const why =
    same.length > 0
      ? "The ETag in If-Match is a weak one (W/), which is not enough to change something by: a proxy on the way has made it so, mostly by packing the answer. Send it without the W/."
      : "It has changed since it was read with the ETag in If-Match. Read it again, and send your change with the new ETag."
  throw new Problem("stale", why)
}

/** Throws 412 where `If-None-Match: *` asks for something new and there is something already. */
export function assertNew(request: FastifyRequest, isThere: boolean): void {
  if (isThere && readTags(request.headers["if-none-match"], "If-None-Match") === "any") {
    throw new Problem("stale", "There is one of that name already, and If-None-Match: * asks for a new one.")
  }
}

interface EntityTag {
  readonly opaque: string
  readonly isWeak: boolean
}

/** The tags of a header (RFC 9110, 8.8.3), `any` for `*`, null where it is not there. */
function readTags(header: string | undefined, name: string): readonly EntityTag[] | "any" | null {
  if (header === undefined) return null
  const text = header.trim()
  if (text === "*") return "any"
  if (!/^(?:W\/)?"[^"]*"(?:\s*,\s*(?:W\/)?"[^"]*")*$/.test(text)) {
    const message = `${name} must be an ETag as it was given, with its quotation marks, several with commas between, or *.`
    throw new Problem("malformed", message, { errors: [{ pointer: `header/${name.toLowerCase()}`, message }] })
  }
  return [...text.matchAll(/(W\/)?"([^"]*)"/g)].map(([, weak, opaque = ""]) => ({
    opaque,
    isWeak: weak !== undefined,
  }))
}

function configurationPart(opaque: string): string {
  return opaque.split(".")[0] ?? ""
}

function digest(text: string): string {
  return createHash("sha256").update(text).digest("base64url").slice(0, 22)
}
