/**
 * Inboxes: receivers inside Waybill, each at an address of its own that nobody can guess. They keep what comes, say what
 * it is answered with, and hold answers back for as long as they were told.
 *
 * Which process an inbox's request goes to does not matter: each opens every inbox on its own listener, and all keep what
 * they get in the same store.
 */
import { timingSafeEqual } from "node:crypto"
import { setTimeout } from "node:timers/promises"
import { answerOf, type InboxAnswer, inbox, secretHeadersOf, signatureOf } from "../connectors/inbox.ts"
import { formatId, type IntegrationId, type ProjectId, parseId } from "../domain/id.ts"
import { provesBody } from "../domain/private-exchange.ts"
import { MASK } from "../domain/private-fields.ts"
import type { SignatureVerdict } from "../domain/signature-verdict.ts"
import type { Log } from "../log.ts"
import { utf8Text } from "../sources/source.ts"
import type { Commit } from "../store/commit.ts"
import { emptyInbox, endInboxAnswer, forgetTurns, keepInboxRequest, type NewInboxRequest } from "../store/inbox.ts"
import { lastInboxRequest } from "../store/inbox-reads.ts"
import { type Opened, openSealed, type SealedRow, selectSealed } from "../store/sealed-payloads.ts"
import { row, type Step } from "../store/step.ts"
import type { Store } from "../store/store.ts"
import type { InboxPlace } from "../transport/http.ts"
import { verifyMessage } from "../transport/message-signature.ts"
import { verify } from "../transport/sign.ts"
import { type Directory, type LiveIntegration, signingKeysAt } from "./directory.ts"

/** How much of a body is kept. */
export const INBOX_BODY_BYTES = 1_048_576
/** Requests that are taken away in one commit: each can have a body of 1 MiB. */
const EMPTY_AT_A_TIME = 20

/** A request as it came over the wire. */
export interface Incoming {
  readonly method: string
  /** Name, value, name, value, … */
  readonly rawHeaders: readonly string[]
  readonly headers: Readonly<Record<string, string | readonly string[] | undefined>>
  /** At most as many bytes as are kept. */
  readonly body: Uint8Array
  /** How many there were in all. */
  readonly bodyBytes: number
}

/** What a request is answered with. */
export interface Told extends Omit<InboxAnswer, "script"> {
  /** Of the request. */
  readonly id: number
}

export class Inboxes {
  readonly #store: Store
  readonly #directory: Directory
  readonly #log: Log
  readonly #stopping = new AbortController()
  readonly #underWay = new Set<Promise<void>>()
  #listener: { readonly address: string; readonly port: number } | null = null

  constructor({ store, directory, log }: { store: Store; directory: Directory; log: Log }) {
    this.#store = store
    this.#directory = directory
    this.#log = log
  }

  /** Told where this process listens, as the socket says it: an address that means all of them is no place to go. */
  listensAt(bound: { readonly address: string; readonly port: number }): void {
    const address = bound.address === "0.0.0.0" ? "127.0.0.1" : bound.address === "::" ? "::1" : bound.address
    this.#listener = { address, port: bound.port }
  }

  /** Where the inbox of an integration is on this process; null before it listens. */
  place(id: IntegrationId): InboxPlace | null {
    return this.#listener === null ? null : { ...this.#listener, path: this.path(id) }
  }

  /** The path of an inbox. The token in it is all that its sender has to know: as long as a key, and the same after a restart. */
  path(id: IntegrationId): string {
    return `/inbox/${formatId("int", id).slice(PREFIX)}${this.#mark(id)}`
  }

  /** The inbox that a token opens. As much work for one that opens none, so that nothing is learned by trying (API-10). */
  open(token: string): LiveIntegration | undefined {
    const id = parseId("int", `int_${token.slice(0, ID_LETTERS)}`)
    const expected = Buffer.from(this.#mark(id ?? 0))
    const given = Buffer.from(token.slice(ID_LETTERS))
    const isSame = timingSafeEqual(given.length === expected.length ? given : Buffer.alloc(expected.length), expected)
    if (!isSame || id === undefined) return undefined
    const live = this.#directory.integration(id)
    return live?.connector.name === inbox.name ? live : undefined
  }

  /** Keeps a request; resolves, when it is on disk, with what it is answered with. Undefined where the inbox is gone. */
  async receive({ record, settings }: LiveIntegration, incoming: Incoming): Promise<Told | undefined> {
    const { script, ...answer } = answerOf(settings)
    const at = this.#store.now()
    const secrets = secretHeadersOf(settings)
    const kept = await this.#store.ledger.inNextCommit(commit =>
      this.#keep(commit, record.project, incoming, {
        integration: record.id,
        at,
        method: incoming.method,
        headers: pairsOf(incoming.rawHeaders).map(([name, value]) => [
          name,
          secrets.has(name.toLowerCase()) ? null : value,
        ]),
        body: incoming.body,
        bodyBytes: incoming.bodyBytes,
        signature:
          signatureOf(settings) === "none"
            ? { kind: "not_signed" }
            : verdictOf(
                incoming,
                signatureOf(settings) === "rfc9421" ? this.path(record.id) : null,
                signingKeysAt(record, at),
                at,
              ),
        status: answer.status,
        script,
        delayMs: answer.delayMs,
      }),
    )
    return kept && { ...answer, id: kept.id, status: kept.status }
  }

  /** Keeps a request; of one with private fields what readers may see. */
  *#keep(commit: Commit, project: ProjectId, incoming: Incoming, request: NewInboxRequest): Step<Kept | undefined> {
    const event = parseId("evt", incoming.headers["webhook-id"]?.toString() ?? "")
    const sealed = event === undefined ? undefined : yield* row<SealedRow>(selectSealed([{ project, event }]))
    if (sealed === undefined) return yield* keepInboxRequest(commit, request)
    const opened = openSealed(this.#store.seal, sealed, commit.now)
    const body = Buffer.from(opened.kind === "whole" ? maskBody(request.body, opened) : MASK)
    const headers = request.headers.map(([name, value]) => [name, provesBody(name) ? null : value] as const)
    return yield* keepInboxRequest(commit, { ...request, headers, body, bodyBytes: body.length })
  }

  /** Waits as long as an answer is to be held back; false where its sender has gone, or Waybill stops, before that. */
  async holdBack({ id, delayMs }: Told, gone: AbortSignal): Promise<boolean> {
    if (delayMs === 0) return true
    const signal = AbortSignal.any([gone, this.#stopping.signal])
    const isDue = await setTimeout(delayMs, true, { signal }).catch(() => false)
    this.#inBackground(() => this.#store.ledger.inNextCommit(() => endInboxAnswer(id, isDue ? "sent" : "not_sent")))
    return isDue
  }

  /** Takes away all that an inbox has got so far, in short steps, and lets its script begin anew. */
  async empty(id: IntegrationId): Promise<void> {
    const { ledger, reads } = this.#store
    const upTo = await lastInboxRequest(reads, id)
    await ledger.inNextCommit(() => forgetTurns(id))
    for (let more = true; more; ) {
      more = (await ledger.inNextCommit(() => emptyInbox(id, upTo, EMPTY_AT_A_TIME))) === EMPTY_AT_A_TIME
    }
  }

  /** Takes away what a removed inbox has got. What cannot be taken away now goes with the next retention. */
  async remove(id: IntegrationId): Promise<void> {
    try {
      await this.empty(id)
    } catch (error) {
      this.#log.warn({ err: error }, "what a removed inbox had got is still there; retention takes it away")
    }
  }

  /** Ends all waiting, without an answer. */
  async stop(): Promise<void> {
    this.#stopping.abort()
    // What waits notes how it ended, a turn of the event loop from now.
    await new Promise(resolve => setImmediate(resolve))
    await Promise.all(this.#underWay)
  }

  #mark(id: IntegrationId): string {
    return this.#store.seal.keyedHash(`inbox/${id}`)
  }

  #inBackground(work: () => Promise<void>): void {
    const done = work().catch((error: unknown) => {
      this.#log.warn({ err: error }, "what became of an inbox's answer could not be written down")
    })
    this.#underWay.add(done)
    void done.then(() => this.#underWay.delete(done))
  }
}

interface Kept {
  readonly id: number
  readonly status: number
}

/** A body of ours holds the data as it came in. Any other says nothing of what is private, whatever its sender knows or guesses. */
function maskBody(body: Uint8Array, { payload, privacy }: Opened & { readonly kind: "whole" }): string {
  const text = utf8Text(body)
  if (text === null || payload.kind !== "json" || privacy.masked.kind !== "json") return MASK
  const { text: shown } = privacy.masked
  return text.includes(payload.text) ? text.replaceAll(payload.text, () => shown) : MASK
}

const PREFIX = "int_".length
const ID_LETTERS = 11

function pairsOf(rawHeaders: readonly string[]): [name: string, value: string][] {
  return rawHeaders.flatMap((name, i): [string, string][] => (i % 2 === 0 ? [[name, rawHeaders[i + 1] ?? ""]] : []))
}

/** `path`: the inbox's own where the message is signed by RFC 9421, which covers where it goes; else null. */
function verdictOf(
  { method, headers, body, bodyBytes }: Incoming,
  path: string | null,
  keys: readonly { readonly secret: string }[],
  at: number,
): SignatureVerdict {
  const one = (name: string) => headers[name]?.toString()
  const common = { body, secrets: keys.map(key => key.secret), nowSeconds: Math.floor(at / 1_000) }
  const verification =
    path === null
      ? verify({
          headers: { id: one("webhook-id"), timestamp: one("webhook-timestamp"), signature: one("webhook-signature") },
          ...common,
        })
      : verifyMessage({ method, uri: `http://${one("host")}${path}`, header: one, ...common })
  switch (verification.kind) {
    case "verified":
      return { kind: "valid" }
    case "missing_header":
      return { kind: "header_missing", header: verification.header }
    case "bad_timestamp":
      return { kind: "timestamp_unreadable" }
    case "too_old":
      return { kind: "timestamp_too_old", bySeconds: verification.bySeconds }
    case "too_new":
      return { kind: "timestamp_too_new", bySeconds: verification.bySeconds }
    case "bad_key":
      return { kind: "not_checked", why: "no_key" }
    case "no_match":
      return bodyBytes > body.length ? { kind: "not_checked", why: "truncated" } : { kind: "no_match" }
  }
}
