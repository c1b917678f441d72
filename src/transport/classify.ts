/**
 * What went wrong, by one table: from where the exchange stood and the raw code to the class that engineers search for
 * and a sentence for a person. Decided by how far things had come, not by which timer or event won the race.
 */
import type { ErrorClass, Phase } from "../domain/exchange.ts"

/** Codes of our own, beside those of the system, of OpenSSL (`CERT_…`), of c-ares and of undici (`UND_ERR_…`). */
export const ownCodes = {
  /** The time limit of the whole exchange was reached. */
  deadline: "DEADLINE",
  /** The address or the name may not be reached. */
  blocked: "EGRESS_BLOCKED",
  /** The transport was closed before or while this was sent. */
  closed: "TRANSPORT_CLOSED",
  /** Before it was written, somebody else had taken over what it belongs to. */
  overtaken: "OVERTAKEN",
} as const

/** How an exchange came to its end without an answer. */
export interface Fault {
  readonly phase: Phase
  readonly code: string
  /** The raw message. */
  readonly text: string
  /** Bytes of an answer had come. */
  readonly began: boolean
}

/** A row matches when all that it names fits; the first that matches decides. */
export interface FaultRow {
  readonly situation: string
  readonly phases?: readonly Phase[]
  readonly codes?: readonly string[]
  readonly text?: RegExp
  readonly began?: boolean
  /** Only where this machine has no network at all. */
  readonly offline?: true
  readonly class: ErrorClass
  /** `{host}` is the URL's host, `{detail}` the raw message. */
  readonly says: string
}

const timeouts = [ownCodes.deadline, "ETIMEDOUT"]

/** The table of standards 6.3, in the order in which its rows are asked. */
export const faultTable: readonly FaultRow[] = [
  {
    situation: "the target is not public",
    codes: [ownCodes.blocked],
    class: "EGRESS_BLOCKED",
    says: "{host} does not lead to a public address, and Waybill was not told to allow it.",
  },
  {
    situation: "Waybill's own machine has run out of something, or is stopping",
    codes: [
      ...["EMFILE", "ENFILE", "EADDRNOTAVAIL", "ENOBUFS", "ENOMEM", "UND_ERR_MAX_ORIGINS_REACHED"],
      ...["UND_ERR_DESTROYED", "UND_ERR_CLOSED", ownCodes.closed, ownCodes.overtaken],
    ],
    class: "SENDER_FAULT",
    says: "Waybill itself could not send: {detail}.",
  },
  {
    situation: "no valid request can be formed",
    codes: ["UND_ERR_INVALID_ARG", "UND_ERR_NOT_SUPPORTED", "UND_ERR_REQ_CONTENT_LENGTH_MISMATCH"],
    class: "CONFIG_INVALID",
    says: "No valid request can be formed: {detail}.",
  },
  {
    situation: "no name server is there to ask",
    phases: ["dns"],
    codes: ["ECONNREFUSED"],
    class: "SENDER_FAULT",
    says: "No name server answers on Waybill's machine, so that {host} could not be looked up.",
  },
  {
    situation: "this machine has no network",
    phases: ["dns", "connect"],
    codes: ["ENETUNREACH", "EHOSTUNREACH", "ENETDOWN", "ETIMEOUT", "EAI_AGAIN", ...timeouts],
    offline: true,
    class: "SENDER_FAULT",
    says: "Waybill's machine has no network.",
  },
  {
    situation: "the name does not exist or has no address",
    phases: ["dns"],
    codes: ["ENOTFOUND", "ENODATA", "EBADNAME"],
    class: "DNS_NOT_FOUND",
    says: "The name of {host} does not exist in the DNS, or has no address.",
  },
  {
    situation: "the DNS gave no answer, or an error",
    phases: ["dns"],
    class: "DNS_TEMPORARY",
    says: "The DNS gave no answer for {host}.",
  },
  {
    situation: "nobody takes up the connection, or the TLS handshake stalls",
    phases: ["connect", "tls"],
    codes: timeouts,
    class: "ETIMEDOUT",
    says: "{host} did not complete the connection in time.",
  },
  {
    situation: "the request is out and not one byte has come back",
    phases: ["send", "headers"],
    codes: [...timeouts, "UND_ERR_HEADERS_TIMEOUT"],
    began: false,
    class: "ESOCKETTIMEDOUT",
    says: "{host} took the connection and answered nothing in time.",
  },
  {
    situation: "an answer began and its head was not complete in time",
    phases: ["send", "headers", "body"],
    codes: [...timeouts, "UND_ERR_HEADERS_TIMEOUT", "UND_ERR_BODY_TIMEOUT"],
    class: "ETIMEDOUT",
    says: "{host} began to answer and did not finish the head of its answer in time.",
  },
  {
    situation: "nothing listens there",
    codes: ["ECONNREFUSED"],
    class: "ECONNREFUSED",
    says: "{host} refused the connection.",
  },
  {
    situation: "no way leads there",
    codes: ["EHOSTUNREACH", "ENETUNREACH", "EHOSTDOWN", "ENETDOWN"],
    class: "UNREACHABLE",
    says: "No route leads to {host}.",
  },
  {
    situation: "the other side does not speak TLS, or hangs up during the handshake",
    phases: ["tls"],
    text: /before secure TLS connection/,
    class: "TLS_ERROR",
    says: "{host} closed the connection during the TLS handshake; perhaps it speaks plain HTTP.",
  },
  {
    situation: "the certificate's issuer is not trusted",
    phases: ["tls"],
    codes: [
      ...["DEPTH_ZERO_SELF_SIGNED_CERT", "SELF_SIGNED_CERT_IN_CHAIN", "UNABLE_TO_VERIFY_LEAF_SIGNATURE"],
      ...["UNABLE_TO_GET_ISSUER_CERT", "UNABLE_TO_GET_ISSUER_CERT_LOCALLY", "CERT_SIGNATURE_FAILURE"],
      ...["CERT_UNTRUSTED", "CERT_REJECTED", "CERT_REVOKED", "INVALID_CA", "INVALID_PURPOSE"],
      ...["CERT_CHAIN_TOO_LONG", "PATH_LENGTH_EXCEEDED"],
    ],
    class: "TLS_UNTRUSTED",
    says: "The certificate of {host} is not trusted: {detail}.",
  },
  {
    situation: "the certificate is out of its dates",
    phases: ["tls"],
    codes: ["CERT_HAS_EXPIRED", "CERT_NOT_YET_VALID"],
    class: "TLS_EXPIRED",
    says: "The certificate of {host} is not valid today: {detail}.",
  },
  {
    situation: "the certificate is for another name",
    phases: ["tls"],
    codes: ["ERR_TLS_CERT_ALTNAME_INVALID", "HOSTNAME_MISMATCH"],
    class: "TLS_NAME_MISMATCH",
    says: "The certificate of {host} is for another name: {detail}.",
  },
  {
    // With TLS 1.3 the client's part of the handshake is over before its certificate is judged, so that it is told later.
    situation: "the other side does not take the client certificate, or misses one",
    phases: ["tls", "send", "headers"],
    text: /alert (?:bad certificate|unsupported certificate|certificate (?:revoked|expired|unknown|required)|unknown ca|access denied)/i,
    class: "TLS_CLIENT_REFUSED",
    says: "{host} refused the TLS connection for its client certificate, or for want of one: {detail}.",
  },
  {
    situation: "the other side ends TLS with an alert after the handshake",
    phases: ["send", "headers"],
    text: /:SSL routines:/,
    class: "TLS_ERROR",
    says: "{host} ended the TLS connection: {detail}.",
  },
  {
    situation: "the connection is cut off",
    codes: ["ECONNRESET", "EPIPE", "ECONNABORTED"],
    class: "ECONNRESET",
    says: "{host} cut the connection off.",
  },
  {
    situation: "an answer that nobody asked for: 100 Continue, or an upgrade",
    codes: ["UND_ERR_SOCKET"],
    text: /bad response|bad upgrade/,
    class: "PROTOCOL_ERROR",
    says: "{host} answered with 100 or 101, which nothing asked for.",
  },
  {
    situation: "the connection is closed before an answer",
    codes: ["UND_ERR_SOCKET"],
    class: "ECONNRESET",
    says: "{host} closed the connection without a complete answer.",
  },
  {
    situation: "anything else during the handshake: no common version or cipher, not TLS at all",
    phases: ["tls"],
    class: "TLS_ERROR",
    says: "The TLS handshake with {host} failed: {detail}.",
  },
  {
    situation: "anything else while connecting",
    phases: ["connect"],
    class: "UNREACHABLE",
    says: "No connection to {host} could be made: {detail}.",
  },
  {
    situation: "a status below 100, over which undici's own checks stumble",
    codes: ["ERR_ASSERTION"],
    class: "PROTOCOL_ERROR",
    says: "The answer of {host} is not valid HTTP/1.1.",
  },
  {
    situation: "what came back is not HTTP/1.1, or its head is too large",
    class: "PROTOCOL_ERROR",
    says: "The answer of {host} is not valid HTTP/1.1: {detail}.",
  },
]

/**
 * The class of a fault and one line for a person. `isOffline` is asked only where a row needs it.
 */
export function classify(fault: Fault, host: string, isOffline: () => boolean): { class: ErrorClass; message: string } {
  const row = faultTable.find(candidate => fits(candidate, fault) && (candidate.offline === undefined || isOffline()))
  // The last row fits everything; the alternative exists for the type alone.
  if (row === undefined) return { class: "PROTOCOL_ERROR", message: readable(fault.text) }
  const detail = (readable(fault.text) || fault.code).replace(/\.$/, "")
  const message = row.says.replace("{host}", () => host).replace("{detail}", () => detail)
  return { class: row.class, message }
}

function fits(row: FaultRow, fault: Fault): boolean {
  if (row.phases !== undefined && !row.phases.includes(fault.phase)) return false
  if (row.codes !== undefined && !row.codes.includes(fault.code)) return false
  if (row.began !== undefined && row.began !== fault.began) return false
  return row.text === undefined || row.text.test(fault.text)
}

/** One line without control characters: part of it can come from the other side. Of OpenSSL's errors, the reason alone. */
function readable(text: string): string {
  const [, reason = text] = /:SSL routines:[^:]*:([^:]+)/.exec(text) ?? []
  return reason
    .replace(/[\u0000-\u001f\u007f-\u009f\s]+/g, " ")
    .trim()
    .slice(0, 300)
}

/** What the family of addresses fails with that this machine does not have: the rule in containers, and no news. */
const familyMissing: ReadonlySet<string> = new Set(["ENETUNREACH", "EADDRNOTAVAIL", "EAFNOSUPPORT"])

/** The raw code and message of whatever was thrown. An attempt on several addresses fails with all their errors. */
export function rawFault(error: unknown): { code: string; text: string } {
  if (error instanceof AggregateError) {
    return rawFault(error.errors.findLast(each => !familyMissing.has(rawFault(each).code)) ?? error.errors[0])
  }
  if (!(error instanceof Error)) return { code: "", text: String(error) }
  const code = "code" in error && typeof error.code === "string" ? error.code : ""
  return { code, text: error.message }
}
