/** A request as it goes out: the connector's headers, the signature of this moment, and what HTTP itself adds. */
import type { Header, OutboundRequest, RequestSignature } from "../domain/exchange.ts"
import { signMessage } from "./message-signature.ts"
import { sign } from "./sign.ts"

/** A request ready to be written, or the reason why none can be formed. */
export type WireRequest =
  | {
      readonly kind: "ready"
      /** As undici takes them: name, value, name, value, … */
      readonly headers: string[]
      readonly body: Uint8Array
      /** All that goes out, in order, with what undici adds. */
      readonly sentHeaders: readonly Header[]
    }
  | { readonly kind: "invalid"; readonly message: string }

/** Headers that belong to the connection or that frame the message: a second one would let a request be read as two (API-20). */
const framing: ReadonlySet<string> = new Set([
  ...["host", "content-length", "transfer-encoding", "connection", "keep-alive", "te", "trailer", "upgrade", "expect"],
  ...["proxy-authorization", "proxy-authenticate", "proxy-connection"],
])
const signing: ReadonlySet<string> = new Set(["webhook-id", "webhook-timestamp", "webhook-signature"])
const messageSigning: ReadonlySet<string> = new Set([
  ...["webhook-id", "webhook-timestamp", "content-digest", "signature-input", "signature"],
])

const keepAlive: Header = { name: "connection", value: "keep-alive" }

/** Where a request goes: the `host` header, shared by all requests to an origin, and the whole URL. */
export interface WireTarget {
  readonly host: Header
  readonly uri: string
}

/**
 * @param userAgent Sent where the request names none; null for none at all.
 * @param nowMs The wall clock: the signature's timestamp is that of this attempt (SW-3).
 */
export function toWire(
  request: OutboundRequest,
  { host, uri }: WireTarget,
  userAgent: Header | null,
  nowMs: number,
): WireRequest {
  const body = typeof request.body === "string" ? Buffer.from(request.body) : request.body
  const sentHeaders: Header[] = [host, keepAlive]
  const headers: string[] = []
  let namesAgent = userAgent === null
  for (const header of request.headers) {
    const name = header.name.toLowerCase()
    if (framing.has(name) || isSigning(name, request.signature)) {
      return { kind: "invalid", message: `Waybill sets the header "${header.name}" itself` }
    }
    if (name === "user-agent") namesAgent = true
    add(header)
  }
  if (userAgent !== null && !namesAgent) add(userAgent)
  if (request.signature !== null) {
    const { id, keys, form } = request.signature
    const timestampSeconds = Math.floor(nowMs / 1000)
    add({ name: "webhook-id", value: id })
    add({ name: "webhook-timestamp", value: String(timestampSeconds) })
    if (form === "rfc9421") {
      const message = {
        method: request.method,
        uri,
        headers: sentHeaders,
        body,
        createdSeconds: timestampSeconds,
        keys,
      }
      for (const header of signMessage(message)) add(header)
    } else add({ name: "webhook-signature", value: sign({ id, timestampSeconds, body, keys }) })
  }
  if (body.length > 0 || request.method === "POST" || request.method === "PUT" || request.method === "PATCH") {
    sentHeaders.push({ name: "content-length", value: String(body.length) })
  }
  return { kind: "ready", headers, body, sentHeaders }

  function add(header: Header): void {
    sentHeaders.push(header)
    headers.push(header.name, header.value)
  }
}

/** Whether a header is the signature's own to set. */
function isSigning(name: string, signature: RequestSignature | null): boolean {
  if (signature === null) return false
  return (signature.form === "rfc9421" ? messageSigning : signing).has(name)
}
