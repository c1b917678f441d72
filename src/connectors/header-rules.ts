/**
 * Which headers the owner of an integration may add to its requests, and what a value may hold (API-20, API-21). Nothing
 * is trimmed or mended in silence: what cannot go out as it was typed is refused with a sentence. Sentences name no
 * values, since most of them are secrets.
 */

/** A header name by RFC 9110, 5.6.2. */
const token = /^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/
const MAX_NAME_CHARACTERS = 256

const FRAMING = "belongs to the connection; Waybill sets it itself"
const OURS = "is Waybill's own"

/** Names that frame a message or belong to its connection, in lower case. */
const framing = [
  "host",
  "content-length",
  "transfer-encoding",
  "connection",
  "keep-alive",
  "te",
  "trailer",
  "upgrade",
  "expect",
]

/** Names that may not be added, in lower case, and why. */
const reserved: ReadonlyMap<string, string> = new Map([
  ["authorization", "has a field of its own: put the value into authorization, and it is sent exactly as typed"],
  ["content-type", "follows from the format of the body"],
  ["content-encoding", "would not be true: bodies go out uncompressed"],
  ["accept-encoding", "would bring answers that Waybill cannot read: it decompresses nothing"],
  ["user-agent", "names Waybill and its version"],
  ...framing.map((name): [string, string] => [name, FRAMING]),
])

/**
 * Names by which an answer would tell a browser how to treat this server's own pages and cookies, in lower case: what
 * `api/answer-headers.ts` says of every answer, and what a browser keeps for the whole origin, whichever path it came from.
 */
const browserHeaders: ReadonlySet<string> = new Set([
  "x-content-type-options",
  "referrer-policy",
  "content-security-policy",
  "cross-origin-opener-policy",
  "cross-origin-resource-policy",
  "permissions-policy",
  "cache-control",
  // Cookies, and what else lies in the browser under this origin.
  "set-cookie",
  "set-cookie2",
  "clear-site-data",
  "service-worker-allowed",
  // How this origin is connected to, and what else may stand for it.
  "strict-transport-security",
  "public-key-pins",
  "public-key-pins-report-only",
  "expect-ct",
  "alt-svc",
  // Where a browser reports what its user does here, network errors of other pages included.
  "nel",
  "report-to",
  "reporting-endpoints",
  "attribution-reporting-register-source",
  "attribution-reporting-register-trigger",
  "attribution-reporting-register-os-source",
  "attribution-reporting-register-os-trigger",
  "observe-browsing-topics",
  // What a browser sends along with, does before and thinks of all requests here.
  "accept-ch",
  "accept-ch-lifetime",
  "critical-ch",
  "use-as-dictionary",
  "origin-agent-cluster",
  "set-login",
  "sec-session-registration",
  "sec-session-challenge",
  "secure-session-registration",
  "secure-session-challenge",
])

/** Beginnings of names that may not be added, in lower case, and why. */
const reservedPrefixes: readonly (readonly [prefix: string, reason: string])[] = [
  ["proxy-", FRAMING],
  ["webhook-", OURS],
  ["waybill-", OURS],
  ["x-waybill-", OURS],
  ["ce-", "is kept for the attributes of CloudEvents"],
]

/** Names that RFC 9421 and RFC 9530 sign a message with, in lower case. */
const signatureHeaders = ["signature", "signature-input", "content-digest"]

/** Whether a header carries the signature of an HTTP message. */
export function isSignatureHeader(name: string): boolean {
  return signatureHeaders.includes(name.toLowerCase())
}

/** Whether a text can be the name of a header. */
export function isHeaderName(text: string): boolean {
  return token.test(text) && text.length <= MAX_NAME_CHARACTERS
}

/** Why a header of this name may not be added, as a sentence; null where it may. */
export function headerNameFault(name: string): string | null {
  if (!isHeaderName(name)) {
    const shown = JSON.stringify(name.slice(0, 60))
    return `${shown} is no header name: use 1 to ${MAX_NAME_CHARACTERS} letters, digits and hyphens.`
  }
  const lower = name.toLowerCase()
  const reason = reserved.get(lower) ?? reservedPrefixes.find(([prefix]) => lower.startsWith(prefix))?.[1]
  return reason === undefined ? null : `The header ${name} ${reason}.`
}

/** Whether a header of an answer is about this server's pages in a browser, which it alone decides. */
export function isBrowserHeader(name: string): boolean {
  return browserHeaders.has(name.toLowerCase())
}

/** Why a header may not stand in an answer that a person writes, as a sentence; null where it may. */
export function answerHeaderFault(name: string, value: string): string | null {
  if (!isHeaderName(name)) return headerNameFault(name)
  if (framing.includes(name.toLowerCase())) return `The header ${name} ${FRAMING}.`
  if (isBrowserHeader(name)) return `The header ${name} is about this server's own pages, which an inbox has no say in.`
  const fault = headerValueFault(value)
  return fault === null ? null : `The value of ${name} ${fault}`
}

/** Why a value cannot be sent as it is, as the end of a sentence that begins with what it is the value of; null where it can. */
export function headerValueFault(value: string): string | null {
  const at = value.search(/[^ -~]/)
  if (at >= 0) {
    const isControl = /[\u0000-\u001f\u007f]/.test(value.charAt(at))
    const found = isControl ? "a line break, a tab or another control character" : "a character beyond ASCII"
    return `holds ${found} (character ${at + 1}), which a header cannot carry unchanged. Take it out or encode it.`
  }
  if (value.startsWith(" ")) return "begins with a space, which HTTP would drop on the way. Take it away."
  return value.endsWith(" ") ? "ends with a space, which HTTP would drop on the way. Take it away." : null
}
