/**
 * What the other side does wrong, and what Waybill makes of it: each row of the table of standards 6.3 with a real server
 * that misbehaves, through the whole program, down to the row of the attempt.
 */
import assert from "node:assert/strict"
import { after, before, describe, test } from "node:test"
import { getCACertificates, setDefaultCACertificates } from "node:tls"
import type { ReasonCode } from "../../src/domain/reason.ts"
import type { Resolution } from "../../src/transport/resolve.ts"
import { authority, leaf, type Pair } from "../help/certificates.ts"
import {
  answers,
  type Behaviour,
  drips,
  hangsUp,
  hintsForEver,
  infiniteBody,
  ok,
  type Receiver,
  receiver,
  resets,
  silent,
  unanswering,
} from "../help/misbehaving.ts"
import { Program } from "../help/program.ts"
import { assertWithin } from "../help/punctual.ts"

const DAY_MS = 86_400_000
const HEAD = "HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\n"
/** The shortest that a policy takes, so that time-outs come soon. */
const TIMEOUT_MS = 1_000

/** What the attempt and its delivery are to say. */
interface Verdict {
  readonly reason: ReasonCode | null
  readonly outcome?: "error" | "sender_fault" | "success"
  readonly class?: string
  readonly phase?: string
  readonly code?: string | null
  readonly status?: number
  /** What becomes of the delivery, if not that it is tried again. */
  readonly next?: "failed" | "delivered"
  /** Marks of the answer's body: 1 truncated, 2 incomplete. */
  readonly flags?: number
  /** Facts of the reason, beyond the host and those that say the class and phase again. */
  readonly facts?: Readonly<Record<string, unknown>>
}

interface Row extends Verdict {
  readonly what: string
  /** It ends with the limit of the attempt, which is a short one here. */
  readonly waits?: true
  /** Opens the server; its URL is where the event goes. */
  readonly open: () => Promise<Receiver>
}

/** Rows that share part of their verdict. */
function sharing(shared: Partial<Row>, rows: readonly (Pick<Row, "what" | "open"> & Partial<Row>)[]): Row[] {
  return rows.map(row => ({ reason: null, ...shared, ...row }))
}

/** Names that tests use, and what a name server says of them. */
const names: Readonly<Record<string, Resolution>> = {
  "crm.example": { kind: "found", addresses: ["127.0.0.1"], ttlMs: 0 },
  "gone.example": { kind: "failed", code: "ENOTFOUND" },
  "empty.example": { kind: "failed", code: "ENODATA" },
  "servfail.example": { kind: "failed", code: "ESERVFAIL" },
  "slow.example": { kind: "failed", code: "ETIMEOUT" },
  "inside.example": { kind: "found", addresses: ["10.1.2.3"], ttlMs: 0 },
  "mixed.example": { kind: "found", addresses: ["127.0.0.1", "10.1.2.3"], ttlMs: 0 },
  "no-resolver.example": { kind: "failed", code: "ECONNREFUSED" },
}

let trusted: Pair

const http = (behaviour: Behaviour) => () => receiver(behaviour)
const tls = (pair: () => Promise<Pair>) => async () => receiver(ok(), { tls: await pair(), name: "crm.example" })
/** A server of plain text at an https URL. */
const notTls = (behaviour: Behaviour) => async () => {
  const there = await receiver(behaviour)
  return { ...there, url: there.url.replace("http:", "https:") }
}
/** No server at all. */
const at = (url: string) => async (): Promise<Receiver> => ({ ...(await receiver(ok())), url })

const timeouts = sharing({ waits: true, code: "DEADLINE", facts: { limit_ms: TIMEOUT_MS } }, [
  {
    what: "a connection that nobody takes up",
    open: unanswering,
    reason: "timeout_connect",
    class: "ETIMEDOUT",
    phase: "connect",
  },
  {
    what: "a TLS handshake that stalls",
    open: notTls(silent),
    reason: "timeout_connect",
    class: "ETIMEDOUT",
    phase: "tls",
  },
  {
    what: "a request that is never answered",
    open: http(silent),
    reason: "timeout_response",
    class: "ESOCKETTIMEDOUT",
    phase: "headers",
  },
  {
    what: "a head that drips",
    open: http(drips("HTTP/1.1 2", "00 OK\r\nx: y")),
    reason: "timeout_body",
    class: "ETIMEDOUT",
    phase: "headers",
  },
  {
    what: "early hints for ever",
    open: http(hintsForEver),
    reason: "timeout_body",
    class: "ETIMEDOUT",
    phase: "headers",
  },
])

const cut = sharing({ reason: "connection_reset", class: "ECONNRESET", phase: "headers" }, [
  { what: "a reset after the request", open: http(resets("")), code: "ECONNRESET" },
  { what: "a reset within the head", open: http(resets("HTTP/1.1 200 OK\r\nx")), code: "ECONNRESET" },
  { what: "a hang-up without an answer", open: http(hangsUp("")), code: "UND_ERR_SOCKET" },
  { what: "a hang-up within the head", open: http(hangsUp("HTTP/1.1 200 OK\r\nx: y")), code: "UND_ERR_SOCKET" },
])

const notHttp = sharing({ reason: "protocol_error", class: "PROTOCOL_ERROR", phase: "headers" }, [
  { what: "something that is no HTTP", open: http(answers("220 mail.example ESMTP\r\n")) },
  { what: "a head of 40 KB", open: http(answers(`${HEAD}x-long: ${"x".repeat(40_000)}\r\n\r\n`)) },
  { what: "two lengths that differ", open: http(answers(`${HEAD}content-length: 3\r\ncontent-length: 4\r\n\r\nabcd`)) },
  {
    what: "an upgrade that nobody asked for",
    open: http(answers("HTTP/1.1 101 Switching\r\nconnection: upgrade\r\nupgrade: x\r\n\r\n")),
  },
  { what: "100 Continue", open: http(answers(`HTTP/1.1 100 Continue\r\n\r\n${HEAD}content-length: 0\r\n\r\n`)) },
])

const certificates = sharing({ reason: "tls_failed", phase: "tls" }, [
  {
    what: "a certificate that signed itself",
    open: tls(() => leaf("crm.example", {})),
    class: "TLS_UNTRUSTED",
    code: "DEPTH_ZERO_SELF_SIGNED_CERT",
  },
  {
    what: "a certificate of an authority that is not known",
    open: tls(async () => leaf("crm.example", { by: await authority("somebody") })),
    class: "TLS_UNTRUSTED",
    code: "UNABLE_TO_VERIFY_LEAF_SIGNATURE",
  },
  {
    what: "a certificate that has expired",
    open: tls(() =>
      leaf("crm.example", { by: trusted, fromMs: Date.now() - 9 * DAY_MS, untilMs: Date.now() - DAY_MS }),
    ),
    class: "TLS_EXPIRED",
    code: "CERT_HAS_EXPIRED",
  },
  {
    what: "a certificate for another name",
    open: tls(() => leaf("other.example", { by: trusted })),
    class: "TLS_NAME_MISMATCH",
    code: "ERR_TLS_CERT_ALTNAME_INVALID",
  },
  {
    what: "plain text at an https URL",
    open: notTls(socket => void socket.once("data", () => socket.end("HTTP/1.1 400 Bad\r\n\r\n"))),
    class: "TLS_ERROR",
  },
])

const lookups = sharing({ phase: "dns" }, [
  {
    what: "a name that does not exist",
    open: at("http://gone.example/"),
    reason: "dns_failed",
    class: "DNS_NOT_FOUND",
    code: "ENOTFOUND",
  },
  {
    what: "a name without an address",
    open: at("http://empty.example/"),
    reason: "dns_failed",
    class: "DNS_NOT_FOUND",
    code: "ENODATA",
  },
  {
    what: "a name server that fails",
    open: at("http://servfail.example/"),
    reason: "dns_failed",
    class: "DNS_TEMPORARY",
    code: "ESERVFAIL",
  },
  {
    what: "a name server that does not answer",
    open: at("http://slow.example/"),
    reason: "dns_failed",
    class: "DNS_TEMPORARY",
    code: "ETIMEOUT",
  },
  {
    what: "no name server on this machine",
    open: at("http://no-resolver.example/"),
    reason: "sender_fault",
    outcome: "sender_fault",
    class: "SENDER_FAULT",
    code: "ECONNREFUSED",
  },
  {
    what: "a name that leads to a private address by the time of sending",
    open: at("http://inside.example/"),
    reason: "blocked_address",
    class: "EGRESS_BLOCKED",
    code: "EGRESS_BLOCKED",
    next: "failed",
  },
  {
    what: "a name that leads to a private address beside a good one",
    open: at("http://mixed.example/"),
    reason: "blocked_address",
    class: "EGRESS_BLOCKED",
    code: "EGRESS_BLOCKED",
    next: "failed",
  },
])

/** An answer with a complete head. */
function withStatus(status: number, headers = "", body = ""): Omit<Row, "reason"> {
  const answer = `HTTP/1.1 ${status} X\r\n${headers}content-length: ${body.length}\r\n\r\n${body}`
  return { what: `status ${status}`, open: http(answers(answer)), status, facts: { status } }
}

const answered: Row[] = [
  {
    ...withStatus(400, "", '{"errors":[{"field":"email"}]}'),
    reason: "rejected",
    facts: { status: 400, field: "email" },
  },
  { ...withStatus(401), reason: "rejected" },
  { ...withStatus(404), reason: "rejected" },
  { ...withStatus(408), reason: "server_error" },
  { ...withStatus(410), reason: "gone", next: "failed" },
  { ...withStatus(425), reason: "server_error" },
  { ...withStatus(429, "retry-after: 60\r\n"), reason: "rate_limited", facts: { status: 429, retry_after_ms: 60_000 } },
  { ...withStatus(500), reason: "server_error" },
  {
    ...withStatus(302, "location: https://other.example/a?b\r\n"),
    reason: "unexpected_status",
    facts: { status: 302, location: "https://other.example/a", success: "200-299" },
  },
  { ...withStatus(999), reason: "unexpected_status" },
]

const whateverBecameOfTheBody = sharing({ outcome: "success", status: 200, next: "delivered" }, [
  {
    what: "a body that drips",
    open: http(drips(`${HEAD}content-length: 100000\r\n\r\nabc`, ".")),
    waits: true,
    flags: 2,
  },
  {
    what: "a body that stalls",
    open: http(answers(`${HEAD}content-length: 10\r\n\r\nabc`)),
    waits: true,
    flags: 2,
  },
  { what: "a reset within the body", open: http(resets(`${HEAD}content-length: 10\r\n\r\nabc`)), flags: 2 },
  { what: "a hang-up within the body", open: http(hangsUp(`${HEAD}content-length: 10\r\n\r\nabc`)), flags: 2 },
  { what: "a body that never ends", open: http(infiniteBody()), flags: 1 },
])

const connecting = sharing({ reason: "connection_refused" }, [
  {
    what: "a port on which nothing listens",
    open: async () => {
      const there = await receiver(ok())
      await there.close()
      return there
    },
    reason: "connection_refused",
    class: "ECONNREFUSED",
    phase: "connect",
    code: "ECONNREFUSED",
  },
])
const rows = [
  ...timeouts,
  ...cut,
  ...notHttp,
  ...certificates,
  ...lookups,
  ...connecting,
  ...answered,
  ...whateverBecameOfTheBody,
]

describe("what the other side does, and what it comes to", { concurrency: 8 }, () => {
  let program: Program

  before(async () => {
    trusted = await authority("an authority that is trusted")
    setDefaultCACertificates([...getCACertificates("default"), trusted.cert])
    const resolve = (name: string) => Promise.resolve(names[name] ?? ({ kind: "failed", code: "ENOTFOUND" } as const))
    program = await Program.open({ resolver: { resolve } })
  })
  after(() => program[Symbol.asyncDispose]())

  for (const [i, row] of rows.entries()) {
    test(`${row.what}: ${row.reason ?? "delivered"}`, async () => {
      await using there = await row.open()
      const integration = await program.integrate(there.url, {
        policy: row.waits ? { timeout_ms: TIMEOUT_MS } : {},
        events: { default: "off", types: { [`type-${i}`]: { enabled: true } } },
      })
      const event = await program.send({ type: `type-${i}` })
      await program.until("an attempt is recorded", async () => (await program.attempts(integration)).length === 1)
      const [attempt] = await program.attempts(integration)
      assert.deepEqual(
        {
          reason: attempt?.reason,
          outcome: attempt?.outcome,
          status: attempt?.status,
          class: attempt?.class,
          phase: attempt?.phase,
          flags: attempt?.flags,
        },
        {
          reason: row.reason,
          outcome: row.outcome ?? "error",
          status: row.status ?? null,
          class: row.class ?? null,
          phase: row.phase ?? null,
          flags: row.flags ?? 0,
        },
      )
      if (row.code !== undefined) assert.equal(attempt?.code, row.code)
      const took = attempt?.total_ms ?? 0
      if (row.code === "DEADLINE") assert.ok(took > TIMEOUT_MS - 10, `it took ${took} ms`)
      if (row.waits) assertWithin(took, 2 * TIMEOUT_MS)
      // A person reads which host it was; a tenant is told nothing of where a blocked name leads.
      if (row.class !== undefined && row.class !== "SENDER_FAULT")
        assert.match(attempt?.message ?? "", /127\.0\.0\.1|\.example/)
      assert.doesNotMatch(attempt?.message ?? "", /10\.1\.2\.3/)

      const delivery = await program.delivery(integration, event)
      assert.equal(delivery.status, row.next ?? "retrying")
      assert.equal(delivery.reason, row.next === "delivered" ? null : row.reason)
      if (delivery.facts === null) return
      const facts = JSON.parse(delivery.facts) as Record<string, unknown>
      const expected = { ...row.facts, environment: "production", host: new URL(there.url).host, ...said(row) }
      for (const [name, value] of Object.entries(expected)) assert.deepEqual(facts[name], value, name)
    })
  }
})

/** Facts in which the class and the phase stand again, for the sentences. */
function said({ class: errorClass, phase }: Row): Record<string, unknown> {
  return errorClass === undefined ? {} : { class: errorClass, phase }
}
