/**
 * Cuts what a socket brings into HTTP/1.1 messages, knowing no more of HTTP than where a message ends. Load generator and
 * receiver use it in place of a parser, so that they stay lighter than what they measure.
 */

const HEAD_END = Buffer.from("\r\n\r\n")
const NOTHING = Buffer.alloc(0)

export class Framing {
  #pending: Buffer = NOTHING

  /** Takes a chunk and calls back with each message that is complete. Throws on a body without `Content-Length`. */
  push(chunk: Buffer, onMessage: (message: Buffer) => void): void {
    let rest = this.#pending.length === 0 ? chunk : Buffer.concat([this.#pending, chunk])
    while (rest.length > 0) {
      const length = messageLength(rest)
      if (length > rest.length) break
      onMessage(rest.subarray(0, length))
      rest = rest.subarray(length)
    }
    this.#pending = rest
  }
}

/** Head and body together in bytes; infinite where the head is not complete yet. */
function messageLength(bytes: Buffer): number {
  const headEnd = bytes.indexOf(HEAD_END)
  if (headEnd < 0) return Number.POSITIVE_INFINITY
  const head = bytes.toString("latin1", 0, headEnd)
  const length = /\r\ncontent-length: *(\d+)/i.exec(head)?.[1]
  if (length === undefined && /\r\ntransfer-encoding:/i.test(head)) {
    throw new Error(`The bench reads bodies with Content-Length only, and this one has none:\n${head}`)
  }
  return headEnd + HEAD_END.length + Number(length ?? 0)
}
