/** One request to the other side and what came of it: what connectors ask for, what transport reports. */
import type { IntegrationId } from "./id.ts"

/** A header as it will be sent. `secret` values are masked wherever an attempt is shown or logged. */
export interface Header {
  readonly name: string
  readonly value: string
  readonly secret?: boolean
}

/** A key that signs: Standard Webhooks `v1` (HMAC-SHA256 with a `whsec_` secret) or `v1a` (Ed25519 with a `whsk_` key). */
export interface SigningKey {
  readonly scheme: "v1" | "v1a"
  readonly secret: string
}

/**
 * A request as a connector builds it: complete but for what needs the clock. Where `signature` is set, transport adds
 * `webhook-id`, `webhook-timestamp` and `webhook-signature` at the moment of sending (SW-2, SW-3).
 */
export interface OutboundRequest {
  readonly kind: "http"
  readonly method: "POST" | "PUT" | "PATCH" | "DELETE" | "GET" | "OPTIONS"
  /** A normalised http(s) URL, as `new URL(…).href` gives it. */
  readonly url: string
  readonly headers: readonly Header[]
  readonly body: string | Uint8Array
  readonly signature: { readonly id: string; readonly keys: readonly SigningKey[] } | null
  /**
   * Set by the inbox connector alone: the request goes to the inbox of this integration, which this very process holds
   * open, whatever the guard says of its address. Then `url` only names the inbox to people.
   */
  readonly inbox?: IntegrationId
}

/** Where an exchange stood when it ended. */
export type Phase = "dns" | "connect" | "tls" | "send" | "headers" | "body"

/** Classes of standards.md 6.3: the names that engineers search for. */
export type ErrorClass =
  | "ETIMEDOUT"
  | "ESOCKETTIMEDOUT"
  | "ECONNRESET"
  | "ECONNREFUSED"
  | "UNREACHABLE"
  | "DNS_NOT_FOUND"
  | "DNS_TEMPORARY"
  | "TLS_ERROR"
  | "TLS_UNTRUSTED"
  | "TLS_EXPIRED"
  | "TLS_NAME_MISMATCH"
  | "PROTOCOL_ERROR"
  | "CONFIG_INVALID"
  | "EGRESS_BLOCKED"
  | "SENDER_FAULT"

/** How long each part took, in ms; null where it did not happen (a reused connection has no dns, connect and tls). */
export interface Timings {
  readonly dnsMs: number | null
  readonly connectMs: number | null
  readonly tlsMs: number | null
  /** From the request's last byte to the answer's head. */
  readonly waitMs: number | null
  readonly bodyMs: number | null
  readonly totalMs: number
}

/** The answer: its head is complete, so that its status decides, whatever became of its body. */
export interface Answer {
  readonly status: number
  /** As they came, in order, names in lower case; repeated ones repeated. */
  readonly headers: readonly (readonly [name: string, value: string])[]
  /** At most as many bytes as were asked to be kept, never decompressed. */
  readonly body: Uint8Array
  /** The body was longer than what was kept. */
  readonly truncated: boolean
  /** The body was cut off: by the other side, or by the deadline. */
  readonly incomplete: boolean
}

/** What sending came to. */
export type Exchange = {
  /** All headers of the request as they went out, in order, signature included; secrets are still in clear here. */
  readonly sentHeaders: readonly Header[]
  readonly timings: Timings
  /** The request went out twice: the kept-alive connection that it was first written to had just been closed (ND-8). */
  readonly resent?: boolean
} & (
  | { readonly kind: "answered"; readonly answer: Answer }
  | {
      readonly kind: "broken"
      readonly class: ErrorClass
      readonly phase: Phase
      /** The raw code, such as `UND_ERR_SOCKET` or `ENOTFOUND`; empty where the runtime gave none. */
      readonly code: string
      /** One line for a person. Never holds a resolved address of a blocked target (EG-15). */
      readonly message: string
    }
)
