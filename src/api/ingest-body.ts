/** Bodies of ingest as bytes: how long they may be, how many may be in memory at once, and unpacked where they are gzipped. */
import { promisify } from "node:util"
import { gunzip } from "node:zlib"
import type { FastifyReply, FastifyRequest } from "fastify"
import { isUtf8Type, parseMediaType } from "../domain/media-type.ts"
import { Problem } from "./problem.ts"

/** The most bytes of one event, and of a batch (product.md, "Bad input"; CE-20 asks for at least 64 KiB). */
export const MAX_EVENT_BYTES = 262_144
export const MAX_BATCH_BYTES = 5_242_880

/** Bodies that may be in memory at a time: past it requests are turned away before they are read. */
const MAX_BODIES_BYTES = 67_108_864

/** The shortest head of a gzip and its end (RFC 1952, 2.3). */
const GZIP_ENDS_BYTES = 18

const unzip = promisify(gunzip)

/** Media types whose body may be as long as a batch. */
export const cloudBatchTypes = /^application\/cloudevents-batch/i

/**
 * Bounds the bodies that are in memory at once. A request is charged before it is read with what it announces, or with the
 * most that its address takes; once unpacked, with what it turned out to be. What it was charged comes back when it ends.
 */
export class BodyBudget {
  readonly #charges = new WeakMap<FastifyRequest, number>()
  #taken = 0

  /** Charges a request that is about to be read; the problem where there is no room for it. */
  admit(request: FastifyRequest, reply: FastifyReply, most: number): Problem | undefined {
    const announced = Number(request.headers["content-length"])
    const refusal = this.#charge(request, Number.isFinite(announced) ? Math.min(announced, most) : most)
    if (refusal !== undefined) return refusal
    reply.raw.once("close", () => {
      this.#taken -= this.#charges.get(request) ?? 0
      this.#charges.delete(request)
    })
    return undefined
  }

  /** Charges a request with the length of its body, which may be more than it announced; throws where there is no room. */
  unpacked(request: FastifyRequest, bytes: number): void {
    const refusal = this.#charge(request, bytes)
    if (refusal !== undefined) throw refusal
  }

  #charge(request: FastifyRequest, bytes: number): Problem | undefined {
    const charged = this.#charges.get(request) ?? 0
    if (this.#taken - charged + bytes > MAX_BODIES_BYTES) {
      const detail = "Too many events arrive at once. Nothing of this request was stored; send it again."
      return new Problem("overloaded", detail, { retryAfterSeconds: 1 })
    }
    this.#taken += bytes - charged
    this.#charges.set(request, bytes)
    return undefined
  }
}

/** The body of a request, unpacked if it is gzipped, at most `most` bytes long (API-18). Throws a problem. */
export async function readBody(
  request: FastifyRequest,
  reply: FastifyReply,
  budget: BodyBudget,
  most: number,
): Promise<Uint8Array> {
  const body = bytesOf(request.body)
  const encoding = (request.headers["content-encoding"] ?? "identity").trim().toLowerCase()
  if (encoding === "identity") return body
  if (encoding !== "gzip" && encoding !== "x-gzip") {
    // What would be taken instead (RFC 9110, 15.5.16).
    reply.header("accept-encoding", "gzip")
    const found = JSON.stringify(encoding.slice(0, 80))
    throw new Problem("unsupported_media_type", `Content-Encoding ${found} is not taken: send gzip once, or none.`)
  }
  // Room is taken before it is unpacked, and for both: else a hundred requests of some KB would take a hundred times 5 MiB.
  const stated = statedLength(body)
  if (stated < most) {
    budget.unpacked(request, body.length + stated)
    const unpacked = await unpack(body, stated)
    if (unpacked !== null) return unpacked
  }
  // Larger than it says it is: several members one after the other (RFC 1952, 2.2), or no gzip at all.
  budget.unpacked(request, body.length + most)
  const unpacked = await unpack(body, most)
  if (unpacked === null) throw tooLarge(most)
  budget.unpacked(request, body.length + unpacked.length)
  return unpacked
}

/** How long the last member of a gzip says that it is unpacked, in bytes (RFC 1952, 2.3.1: ISIZE). */
function statedLength(body: Uint8Array): number {
  const end = new DataView(body.buffer, body.byteOffset, body.byteLength)
  return body.length < GZIP_ENDS_BYTES ? 0 : end.getUint32(body.length - 4, true)
}

function tooLarge(most: number): Problem {
  return new Problem("too_large", `The body is larger than ${most} bytes, unpacked. Send less at a time.`)
}

/** Throws a problem unless a media type says JSON in UTF-8. `instead` says what else may be sent. */
export function assertJson(contentType: string, instead: string): void {
  const media = parseMediaType(contentType.trim())
  if (media?.essence === "application/json" && isUtf8Type(media)) return
  const found = contentType === "" ? "is missing" : `${JSON.stringify(contentType.slice(0, 80))} is not taken here`
  throw new Problem("unsupported_media_type", `Content-Type ${found}: send application/json in UTF-8${instead}.`)
}

/** As much of a body as has been read. */
export function bytesOf(body: unknown): Uint8Array {
  return body instanceof Uint8Array ? body : new Uint8Array(0)
}

/** A gzip unpacked; null where that is longer than `most` bytes. */
async function unpack(body: Uint8Array, most: number): Promise<Uint8Array | null> {
  try {
    // It is told the length of an empty one too.
    return await unzip(body, { maxOutputLength: Math.max(1, most) })
  } catch (error) {
    const code = error instanceof Error && "code" in error ? error.code : ""
    if (code === "ERR_BUFFER_TOO_LARGE") return null
    throw new Problem("malformed", "Content-Encoding says gzip, but the body is not valid gzip.")
  }
}
