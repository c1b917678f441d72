/**
 * JSON with parts that are JSON text already. A payload is kept as it came in and shown as it is kept: a trip through
 * `JSON.parse` and back would change its numbers and drop its duplicate keys (API-14).
 */
import type { FastifyReply } from "fastify"

/** JSON text that is put in as it is. */
export interface RawJson {
  readonly raw: string
}

/** The text of an object with `members` after its own; those that are RawJson stand there byte for byte. */
export function jsonText(
  object: Readonly<Record<string, unknown>>,
  members: Readonly<Record<string, RawJson>>,
): string {
  const own = JSON.stringify(object)
  const texts = Object.entries(members).map(([name, { raw }]) => `${JSON.stringify(name)}:${raw}`)
  if (texts.length === 0) return own
  return `${own.slice(0, -1)}${own === "{}" ? "" : ","}${texts.join(",")}}`
}

/** The text of a list of such texts. */
export function jsonList(texts: readonly string[]): RawJson {
  return { raw: `[${texts.join(",")}]` }
}

/** Answers with JSON text as it is. */
export function sendJson(reply: FastifyReply, status: number, text: string): FastifyReply {
  return reply.code(status).type("application/json; charset=utf-8").send(text)
}
