/** Cursors of lists: where a page ended, signed, so that only what we gave out comes back (API-55). */
import { createHmac, timingSafeEqual } from "node:crypto"
import type { FastifyRequest } from "fastify"
import { callerOf } from "./access.ts"
import { Problem } from "./problem.ts"

export class Cursors {
  readonly #key: Uint8Array

  /** Takes a secret that stays the same over restarts. */
  constructor(key: Uint8Array) {
    this.#key = key
  }

  /** The cursor of a position in a list; `list` names the list, so that a cursor fits no other, nor another project's. */
  write(request: FastifyRequest, list: string, ...position: readonly number[]): string {
    const text = position.map(part => part.toString(36)).join("-")
    return `${text}.${this.#sign(request, list, text)}`
  }

  /** The position in a cursor, or undefined where there is none; throws a 400 problem where it is not ours for this list. */
  read(request: FastifyRequest, list: string, cursor: string | undefined): readonly number[] | undefined {
    if (cursor === undefined) return undefined
    const [text = "", signature = ""] = cursor.split(".")
    const expected = Buffer.from(this.#sign(request, list, text))
    const given = Buffer.from(signature)
    if (given.length !== expected.length || !timingSafeEqual(given, expected)) {
      throw new Problem("malformed", "The cursor is not one that this list gave out. Begin again without it.", {
        errors: [{ pointer: "query/cursor", message: "`cursor` must be a `next_cursor` of the same list." }],
      })
    }
    return text.split("-").map(part => Number.parseInt(part, 36))
  }

  #sign(request: FastifyRequest, list: string, text: string): string {
    return createHmac("sha256", this.#key)
      .update(`${callerOf(request).project}\n${list}\n${text}`)
      .digest("base64url")
      .slice(0, 16)
  }
}
