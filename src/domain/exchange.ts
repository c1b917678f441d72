/** One request to the other side and what came of it: what connectors ask for, what transport reports. */
import type { IntegrationId } from "./id.ts"

/** A header as it will be sent. `secret` values are masked wherever an attempt is shown or logged. */
export interface Header {
  readonly name: string
  readonly value: string
  readonly secret?: boolean
}

/** A key that signs: `v1` for HMAC-SHA256 with a `whsec_` secret, `v1a` for Ed25519 with a `whsk_` key. */
export interface SigningKey {
  readonly scheme: "v1" | "v1a"
  readonly secret: string
  /** Its place among the keys of its integration, which names a symmetric one to receivers. */
  readonly number?: number
}

/** How a request is signed: by the headers of Standard Webhooks, or as an HTTP message by RFC 9421. */
export interface RequestSignature {
  readonly id: string
  readonly keys: readonly SigningKey[]
  readonly form?: "rfc9421"
}

/** What an endpoint asks for beyond headers. */
export interface Credentials {
  /** Whose they are, as `<integration>/<environment>`: tokens and connections made with them serve nobody else. */
  readonly holder: string
  readonly tls: TlsIdentity | null
  readonly grant: TokenGrant | null
}

/** Who Waybill is to an endpoint over TLS, and whom else it believes there. PEM. */
export interface TlsIdentity {
  /** A hash over the rest: connections under another one are other connections. */
  readonly digest: string
  readonly client: { readonly certificate: string; readonly key: string } | null
  /** Trusted beside the authorities that everybody trusts. */
  readonly authorities: string | null
}

/** How a token is got for the `Authorization` of requests: OAuth 2.0 client credentials (RFC 6749, 4.4). */
export interface TokenGrant {
  readonly tokenUrl: string
  readonly clientId: string
  readonly clientSecret: string
  readonly scope: string | null
  readonly audience: string | null
  /** Where client and secret stand: in the `Authorization` of the request for a token, or in its form. */
  readonly clientAuth: "basic" | "post"
}

/** Why there was no token, so that the request itself was never sent. */
export interface TokenFault {
  /** Host of the token endpoint. */
  readonly host: string
  /**
   * `refused`: it does not give this client a token. `unavailable`: it answered that it cannot just now. `unusable`: what
   * it gave is no token. `unreachable`: no answer came.
   */
  readonly cause: "refused" | "unavailable" | "unusable" | "unreachable"
  readonly status: number | null
  /** How long it asked to be left alone, in ms. */
  readonly retryAfterMs: number | null
}

/**
 * A request as a connector builds it: complete but for what needs the clock. Where `signature` is set, transport adds
 * the headers of the signature at the moment of sending (SW-2, SW-3); where `credentials` ask for a token, that too.
 */
export interface OutboundRequest {
  readonly kind: "http"
  readonly method: "POST" | "PUT" | "PATCH" | "DELETE" | "GET" | "OPTIONS"
  /** A normalised http(s) URL, as `new URL(…).href` gives it. */
  readonly url: string
  readonly headers: readonly Header[]
  readonly body: string | Uint8Array
  readonly signature: RequestSignature | null
  readonly credentials?: Credentials
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
  | "TLS_CLIENT_REFUSED"
  | "TOKEN_FAILED"
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
  /**
   * The request went out twice: the kept-alive connection that it was first written to had just been closed (ND-8), or
   * the endpoint no longer took its token, and got it again with a new one.
   */
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
      /** Set where it was the token endpoint that the request for a token came to nothing at. */
      readonly token?: TokenFault
    }
)
