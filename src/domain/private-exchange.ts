/**
 * What went over the wire for an event with private fields, as it is written down. The other side has got the values and may
 * send them back: in its answer, in a header, in the text of an error. Wherever one of them stands there word for word it is
 * masked before anything is made of the answer, so that no reason, failure, record, mail or event can hold it.
 */
import type { Payload } from "./event.ts"
import type { Answer, Exchange } from "./exchange.ts"
import { leavesOf, MASK, type PrivateFields, privateSpans } from "./private-fields.ts"

/** Shorter values cannot be told from words. */
export const MIN_PRIVATE_CHARACTERS = 6
/** A piece of a value at the end of a body that was cut: as little as that is taken for one. */
const MIN_PIECE_BYTES = 4

/** Texts that would give a payload's private values away, the longest first, so that no part breaks up the whole. */
export function privateTexts(payload: Payload, fields: PrivateFields): readonly string[] {
  const texts = new Set<string>()
  const add = (text: string) => {
    if (text.length >= MIN_PRIVATE_CHARACTERS) texts.add(text)
  }
  switch (payload.kind) {
    case "json":
      for (const span of privateSpans(payload.text, fields)) {
        add(unquoted(payload.text.slice(span.start, span.end)))
        for (const leaf of leavesOf(payload.text, span)) for (const form of formsOf(leaf)) add(form)
      }
      break
    case "text":
      for (const form of formsOf(payload.text)) add(form)
      break
    case "bytes":
      add(payload.bytes.toBase64())
      break
    case "none":
      break
  }
  return [...texts].sort((a, b) => b.length - a.length)
}

/** The exchange without these texts, and without what would tell a guess at them from the truth. */
export function maskExchange(exchange: Exchange, texts: readonly string[]): Exchange {
  const sentHeaders = exchange.sentHeaders.map(header =>
    provesBody(header.name) ? { ...header, secret: true } : header,
  )
  if (exchange.kind === "broken") return { ...exchange, sentHeaders, message: maskText(exchange.message, texts) }
  return { ...exchange, sentHeaders, answer: texts.length === 0 ? exchange.answer : maskAnswer(exchange.answer, texts) }
}

/**
 * Whether a header proves what a body says: with a digest, or a signature and its public key, whoever sees the rest of the
 * body can try out values until one fits.
 */
export function provesBody(header: string): boolean {
  return provers.includes(header.toLowerCase())
}
const provers = ["webhook-signature", "signature", "content-digest", "repr-digest", "digest"]

/** A text without these texts. */
export function maskText(text: string, texts: readonly string[], mask = MASK): string {
  let masked = text
  for (const one of texts) masked = masked.replaceAll(one, () => mask)
  return masked
}

/** An answer without these texts. */
export function maskAnswer(answer: Answer, texts: readonly string[], mask = MASK): Answer {
  const headers = answer.headers.map(([name, value]) => [name, maskText(value, texts, mask)] as const)
  // Packed, it cannot be looked through.
  const isPacked = answer.headers.some(
    ([name, value]) => name === "content-encoding" && value.trim() !== "" && value.trim().toLowerCase() !== "identity",
  )
  if (isPacked && answer.body.length > 0) return { ...answer, headers, body: Buffer.from(mask) }
  const isCut = answer.truncated || answer.incomplete
  return {
    ...answer,
    headers,
    body: maskBytes(
      answer.body,
      texts.map(text => Buffer.from(text)),
      { isCut, mask: Buffer.from(mask) },
    ),
  }
}

/** `isCut`: the bytes are the beginning of something longer, so that a value at their end may be cut too. */
function maskBytes(
  body: Uint8Array,
  texts: readonly Buffer[],
  { isCut, mask }: { readonly isCut: boolean; readonly mask: Buffer },
): Uint8Array {
  let masked = Buffer.from(body.buffer, body.byteOffset, body.byteLength)
  for (const text of texts) {
    const pieces: Buffer[] = []
    let from = 0
    for (let at = masked.indexOf(text); at >= 0; at = masked.indexOf(text, from)) {
      pieces.push(masked.subarray(from, at), mask)
      from = at + text.length
    }
    if (from > 0) masked = Buffer.concat([...pieces, masked.subarray(from)])
  }
  if (!isCut) return masked
  const piece = Math.max(0, ...texts.map(text => pieceAtEnd(masked, text)))
  return piece === 0 ? masked : Buffer.concat([masked.subarray(0, masked.length - piece), mask])
}

/** How many bytes at the end of a body are the beginning of a text; 0 where they are too few to tell. */
function pieceAtEnd(body: Buffer, text: Buffer): number {
  for (let length = Math.min(text.length - 1, body.length); length >= MIN_PIECE_BYTES; length--) {
    if (body.subarray(body.length - length).equals(text.subarray(0, length))) return length
  }
  return 0
}

/** A value as it may come back: as it is, within JSON (also where that is kept to ASCII), and within a URL. */
export function formsOf(value: string): readonly string[] {
  const json = unquoted(JSON.stringify(value))
  return [
    value,
    json,
    json.replaceAll("/", "\\/"),
    asciiOf(json, hex => hex),
    asciiOf(json, hex => hex.toUpperCase()),
    uriOf(value),
  ]
}

function asciiOf(json: string, written: (hex: string) => string): string {
  return json.replace(/[^ -~]/g, unit => `\\u${written(unit.charCodeAt(0).toString(16).padStart(4, "0"))}`)
}

/** Halves of characters have no form in a URL. */
function uriOf(value: string): string {
  return value.isWellFormed() ? encodeURIComponent(value) : value
}

function unquoted(json: string): string {
  return json.startsWith('"') ? json.slice(1, -1) : json
}
