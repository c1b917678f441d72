/**
 * Tokens of OAuth 2.0 client credentials (RFC 6749, 4.4): fetched when the first request needs one, kept in memory alone,
 * fetched anew before they expire, by one request at a time. A token is its holder's, and is known nowhere else.
 *
 *     none ─ fetch ─▶ good ─ most of its time is over ─▶ good, and fetching ─▶ good
 *                      └─ expired, or refused by the endpoint ─▶ none
 */

import { headerValues } from "../domain/answer-hints.ts"
import { DAY_MS } from "../domain/duration.ts"
import type { ErrorClass, Exchange, OutboundRequest, Phase, TokenFault, TokenGrant } from "../domain/exchange.ts"
import { secretParts, withoutSecrets } from "../domain/normalise-message.ts"
import { parseRetryAfter } from "../domain/retry-after.ts"
import type { SendLimits } from "./sending.ts"

/** A token as it is sent, with a number that tells it from the one before it. */
export interface Token {
  readonly value: string
  readonly number: number
  /** When it was given, in ms since 1970. */
  readonly at: number
}

/** Why there is none, in the terms of an exchange. */
export interface NoToken {
  readonly class: ErrorClass
  readonly phase: Phase
  readonly code: string
  readonly message: string
  readonly token: TokenFault
}

export type TokenAnswer =
  | { readonly kind: "token"; readonly token: Token }
  | { readonly kind: "none"; readonly why: NoToken }

/** Sends the request for a token, with the same guard, and the same TLS identity, as what it is for. */
export type Ask = (request: OutboundRequest, limits: SendLimits) => Promise<Exchange>

/** An authorization server that takes longer is not waited for, whatever the policy allows the endpoint. */
const LONGEST_MS = 10_000
const KEEP_BYTES = 65_536
/** Longer ones fit into no header that servers take. */
const MAX_TOKEN_CHARACTERS = 8_192
/** How long a token is used that came without `expires_in`, which is allowed. */
const UNSAID_MS = 300_000
const LONGEST_LIFE_MS = DAY_MS
/** Fetched anew when so little of its time is left, at the most this share of it. */
const EARLY_MS = 60_000
const EARLY_SHARE = 0.2
/** What came to nothing is not asked for again at once by each of the deliveries that wait. */
const FAILED_MS = 1_000
/** A token that was given just now is not refused for being old. */
const FRESH_MS = 10_000
const MAX_HOLDERS = 10_000

interface Holder {
  grant: TokenGrant
  token: Token | null
  expiresAt: number
  renewAt: number
  fetching: Promise<TokenAnswer> | null
  failed: { readonly why: NoToken; readonly at: number } | null
}

export class Tokens {
  readonly #now: () => number
  readonly #holders = new Map<string, Holder>()
  #given = 0

  constructor(now: () => number) {
    this.#now = now
  }

  /** The token of a holder; waits where one has to be fetched first. */
  async get(name: string, grant: TokenGrant, ask: Ask, limits: SendLimits): Promise<TokenAnswer> {
    const holder = this.#holder(name, grant)
    const now = this.#now()
    const { token, failed } = holder
    if (token !== null && now < holder.expiresAt) {
      // In time, and without keeping this request waiting. Where it fails, the one that is there goes on.
      if (now >= holder.renewAt && !isRecent(failed, now)) void this.#fetch(holder, ask, limits)
      return { kind: "token", token }
    }
    if (holder.fetching === null && failed !== null && isRecent(failed, now)) return { kind: "none", why: failed.why }
    return this.#fetch(holder, ask, limits)
  }

  /**
   * Told that the endpoint answered 401 to a request with this token: whether another try with another token makes sense.
   * Not where it was given just now: then it is not its age that the endpoint does not like.
   */
  refused(name: string, grant: TokenGrant, token: Token): boolean {
    const holder = this.#holder(name, grant)
    // Another request has learned it before, and there is a new one already or soon.
    if (holder.token?.number !== token.number) return true
    if (Math.abs(this.#now() - token.at) < FRESH_MS) return false
    holder.token = null
    return true
  }

  /** What belongs to other credentials than today's is forgotten. */
  #holder(name: string, grant: TokenGrant): Holder {
    const known = this.#holders.get(name)
    if (known !== undefined && isSame(known.grant, grant)) return known
    const holder: Holder = { grant, token: null, expiresAt: 0, renewAt: 0, fetching: null, failed: null }
    if (this.#holders.size >= MAX_HOLDERS) this.#holders.clear()
    this.#holders.set(name, holder)
    return holder
  }

  #fetch(holder: Holder, ask: Ask, limits: SendLimits): Promise<TokenAnswer> {
    holder.fetching ??= this.#fetchNow(holder, ask, limits).finally(() => {
      holder.fetching = null
    })
    return holder.fetching
  }

  async #fetchNow(holder: Holder, ask: Ask, { deadlineMs }: SendLimits): Promise<TokenAnswer> {
    const { grant } = holder
    const limits = { deadlineMs: Math.min(deadlineMs, LONGEST_MS), keepBytes: KEEP_BYTES, connections: 1 }
    const exchange = await ask(requestOf(grant), limits)
    const now = this.#now()
    const reading = readAnswer(exchange, grant, now)
    if (reading.kind === "none") {
      holder.failed = { why: reading.why, at: now }
      return reading
    }
    const token: Token = { value: reading.value, number: ++this.#given, at: now }
    holder.token = token
    holder.expiresAt = now + reading.lifeMs
    holder.renewAt = holder.expiresAt - Math.min(EARLY_MS, reading.lifeMs * EARLY_SHARE)
    holder.failed = null
    return { kind: "token", token }
  }
}

function isRecent(failed: Holder["failed"], now: number): boolean {
  return failed !== null && Math.abs(now - failed.at) < FAILED_MS
}

function isSame(one: TokenGrant, other: TokenGrant): boolean {
  return (
    one === other ||
    (one.tokenUrl === other.tokenUrl &&
      one.clientId === other.clientId &&
      one.clientSecret === other.clientSecret &&
      one.scope === other.scope &&
      one.audience === other.audience &&
      one.clientAuth === other.clientAuth)
  )
}

/** The request for a token. Client id and secret are encoded as a form's before they go into HTTP Basic (RFC 6749, 2.3.1). */
function requestOf({ tokenUrl, clientId, clientSecret, scope, audience, clientAuth }: TokenGrant): OutboundRequest {
  const form = new URLSearchParams({ grant_type: "client_credentials" })
  if (scope !== null) form.set("scope", scope)
  if (audience !== null) form.set("audience", audience)
  const headers = [
    { name: "content-type", value: "application/x-www-form-urlencoded" },
    { name: "accept", value: "application/json" },
  ]
  if (clientAuth === "post") {
    form.set("client_id", clientId)
    form.set("client_secret", clientSecret)
  } else {
    const value = `Basic ${Buffer.from(`${encoded(clientId)}:${encoded(clientSecret)}`).toString("base64")}`
    headers.push({ name: "authorization", value })
  }
  return { kind: "http", method: "POST", url: tokenUrl, headers, body: form.toString(), signature: null }
}

function encoded(text: string): string {
  return new URLSearchParams([["", text]]).toString().slice(1)
}

type Reading =
  | { readonly kind: "read"; readonly value: string; readonly lifeMs: number }
  | { readonly kind: "none"; readonly why: NoToken }

function readAnswer(exchange: Exchange, grant: TokenGrant, now: number): Reading {
  const { host } = new URL(grant.tokenUrl)
  if (exchange.kind === "broken") return { kind: "none", why: unreached(exchange, host) }
  const { answer } = exchange
  const { status } = answer
  const none = (cause: TokenFault["cause"], code: string, says: string): Reading => {
    const retryAfterMs = cause === "unavailable" ? parseRetryAfter(headerValues(answer, "retry-after"), now) : null
    const message = `The token endpoint ${host} ${says}.`
    const token: TokenFault = { host, cause, status, retryAfterMs }
    return { kind: "none", why: { class: "TOKEN_FAILED", phase: "body", code, message, token } }
  }
  const fields = answer.truncated || answer.incomplete ? null : fieldsOf(answer.body)
  if (status !== 200) {
    const { code, detail } = errorOf(fields, grant)
    const says = `answered ${status}${detail}`
    if (status === 408 || status === 429 || status >= 500) return none("unavailable", code, says)
    return none(status >= 300 && status <= 399 ? "unusable" : "refused", code, says)
  }
  if (answer.truncated) return none("unusable", "", `answered 200 with more than ${KEEP_BYTES / 1_024} KiB`)
  if (answer.incomplete) return none("unusable", "", "answered 200, but its answer was cut off")
  if (fields === null) return none("unusable", "", "answered 200, but with no JSON object")
  const { access_token: value, token_type: type = "Bearer", expires_in: lifetime } = fields
  if (typeof value !== "string" || value === "") {
    const { code, detail } = errorOf(fields, grant)
    // Some say what is wrong with a status of success.
    if (code !== "") return none("refused", code, `answered 200${detail}`)
    return none("unusable", "", "answered 200, but its JSON has no access_token")
  }
  if (value.length > MAX_TOKEN_CHARACTERS) return none("unusable", "", "gave a token longer than 8 KiB")
  if (!/^[!-~]+$/.test(value)) return none("unusable", "", "gave a token that no header can carry")
  if (typeof type !== "string" || type.toLowerCase() !== "bearer") {
    return none(
      "unusable",
      "",
      `gave a token of ${typeof type === "string" ? `the type ${plain(type, 40)}` : "no type"}, not Bearer`,
    )
  }
  return { kind: "read", value, lifeMs: lifeOf(lifetime) }
}

/** Seconds, as a number or, from some, as a text. */
function lifeOf(lifetime: unknown): number {
  const seconds = typeof lifetime === "string" && /^\d{1,12}$/.test(lifetime) ? Number(lifetime) : lifetime
  if (typeof seconds !== "number" || !(seconds >= 0)) return UNSAID_MS
  return Math.min(seconds * 1_000, LONGEST_LIFE_MS)
}

/** A blocked address and our own faults keep their class: neither is about the authorization server. */
function unreached(exchange: Exchange & { readonly kind: "broken" }, host: string): NoToken {
  const { class: errorClass, phase, code, message } = exchange
  const token: TokenFault = { host, cause: "unreachable", status: null, retryAfterMs: null }
  const says = `No token: ${message}`
  const keeps = errorClass === "EGRESS_BLOCKED" || errorClass === "SENDER_FAULT" || errorClass === "CONFIG_INVALID"
  const raw = code === "" ? errorClass : code
  return { class: keeps ? errorClass : "TOKEN_FAILED", phase, code: raw, message: says, token }
}

function fieldsOf(body: Uint8Array): Readonly<Record<string, unknown>> | null {
  try {
    const value: unknown = JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(body))
    return typeof value === "object" && value !== null && !Array.isArray(value) ? { ...value } : null
  } catch {
    return null
  }
}

/** The error of RFC 6749, 5.2, without what some servers repeat of the client. */
function errorOf(
  fields: Readonly<Record<string, unknown>> | null,
  grant: TokenGrant,
): { readonly code: string; readonly detail: string } {
  const { error, error_description: description } = fields ?? {}
  if (typeof error !== "string" || !/^[\w.-]{1,64}$/.test(error)) return { code: "", detail: "" }
  const secrets = [...secretParts(grant.clientSecret), encoded(grant.clientSecret)]
  const code = withoutSecrets(error, secrets)
  const more = typeof description === "string" ? plain(withoutSecrets(description, secrets), 200) : ""
  return { code, detail: more === "" ? ` (${code})` : ` (${code}: ${more})` }
}

/** One line of what the other side says. */
function plain(text: string, length: number): string {
  return text
    .replace(/[\u0000-\u001f\u007f-\u009f\s]+/g, " ")
    .trim()
    .replace(/\.$/, "")
    .slice(0, length)
}
