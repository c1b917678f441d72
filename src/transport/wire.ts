/** A request as it goes out: the connector's headers, the signature of this moment, and what HTTP itself adds. */
import type { Header, OutboundRequest } from "../domain/exchange.ts"
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

const keepAlive: Header = { name: "connection", value: "keep-alive" }

/**
 * @param host The `host` header, shared by all requests to an origin.
 * @param userAgent Sent where the request names none; null for none at all.
 * @param nowMs The wall clock: the signature's timestamp is that of this attempt (SW-3).
 */
export function toWire(request: OutboundRequest, host: Header, userAgent: Header | null, nowMs: number): WireRequest {
  const body = typeof request.body === "string" ? Buffer.from(request.body) : request.body
  const sentHeaders: Header[] = [host, keepAlive]
  const headers: string[] = []
  let namesAgent = userAgent === null
  for (const header of request.headers) {
    const name = header.name.toLowerCase()
    if (framing.has(name) || (request.signature !== null && signing.has(name))) {
      return { kind: "invalid", message: `Waybill sets the header "${header.name}" itself` }
    }
    if (name === "user-agent") namesAgent = true
    add(header)
  }
  if (userAgent !== null && !namesAgent) add(userAgent)
  if (request.signature !== null) {
    const { id, keys } = request.signature
    const timestampSeconds = Math.floor(nowMs / 1000)
    add({ name: "webhook-id", value: id })
    add({ name: "webhook-timestamp", value: String(timestampSeconds) })
    add({ name: "webhook-signature", value: sign({ id, timestampSeconds, body, keys }) })
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
