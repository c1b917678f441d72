import assert from "node:assert/strict"
import { test } from "node:test"
import { decide, outcomeOf } from "../../src/domain/decide.ts"
import { type DeliveryStatus, deliveryStatuses, type Facts } from "../../src/domain/delivery.ts"
import type { ErrorClass, Phase } from "../../src/domain/exchange.ts"
import { presets } from "../../src/domain/policy.ts"
import {
  type Colour,
  colourOf,
  describeReason,
  factMeanings,
  isRed,
  type ReasonCode,
  type ReasonText,
  reasonCodes,
  reasonOfError,
  type TriedAgain,
  type Wording,
} from "../../src/domain/reason.ts"
import { reasonTable } from "../../src/domain/reason-table.ts"
import { namesIn } from "../../src/domain/sentence.ts"

const NEXT_AT = Date.UTC(2026, 10, 21, 10, 5, 0)

/** A value for every fact there is. */
const fullFacts: Facts = {
  ...Object.fromEntries(Object.keys(factMeanings).map(name => [name, /_(ms|at)$/.test(name) ? 90_000 : `the-${name}`])),
  host: "crm.example",
  environment: "production",
  try: 3,
  tries: 10,
}

function describe(code: ReasonCode, facts: Facts = {}, status: DeliveryStatus = "failed"): ReasonText {
  const nextAt = status === "retrying" || status === "skipped" ? NEXT_AT : null
  return describeReason({ code, facts }, { status, nextAt, integration: "int_0123456789a" })
}

function wordsOf(text: ReasonText): string {
  return [text.title, text.what, text.causes, text.advice].join(" · ")
}

/** The facts under which a row says something of its own: none, and each of its variants. */
function casesOf(code: ReasonCode): Facts[] {
  const { variants } = reasonTable[code]
  if (variants === undefined) return [{}]
  const values = Object.keys(variants.wordings).map(key => (key.endsWith("xx") ? `${key[0]}07` : key))
  return [{}, ...values.map(value => ({ [variants.by]: variants.by === "status" ? Number(value) : value }))]
}

/** The table as it is documented: colour while it goes on, colour once it has ended, tried again. */
const table: Readonly<Record<ReasonCode, readonly [open: Colour, ended: Colour, again: TriedAgain | null]>> = {
  queued: ["plain", "plain", null],
  waiting_turn: ["plain", "plain", null],
  waiting_rate: ["plain", "plain", null],
  scheduled: ["plain", "plain", null],
  paused: ["plain", "plain", null],
  type_disabled: ["grey", "grey", "no"],
  type_unsupported: ["grey", "grey", "no"],
  filtered: ["grey", "grey", "no"],
  event_expired: ["grey", "grey", "no"],
  historical: ["grey", "grey", "no"],
  opted_out: ["grey", "grey", "no"],
  integration_removed: ["grey", "grey", "no"],
  person_erased: ["grey", "grey", "no"],
  not_verified: ["red", "red", "on_replay"],
  missing_credentials: ["red", "red", "on_replay"],
  missing_data: ["red", "red", "on_replay"],
  mapping_failed: ["red", "red", "on_replay"],
  request_invalid: ["red", "red", "no"],
  dns_failed: ["amber", "red", "yes"],
  connection_refused: ["amber", "red", "yes"],
  connection_reset: ["amber", "red", "yes"],
  tls_failed: ["amber", "red", "yes"],
  no_token: ["amber", "red", "yes"],
  protocol_error: ["amber", "red", "yes"],
  network_error: ["amber", "red", "yes"],
  timeout_connect: ["amber", "red", "yes"],
  timeout_response: ["amber", "red", "yes"],
  timeout_body: ["amber", "red", "yes"],
  rejected: ["amber", "red", "by_policy"],
  rate_limited: ["amber", "red", "yes"],
  server_error: ["amber", "red", "yes"],
  unexpected_status: ["amber", "red", "by_policy"],
  gone: ["red", "red", "no"],
  no_recent_success: ["red", "red", "on_replay"],
  sleeping: ["grey", "red", "by_policy"],
  blocked_address: ["red", "red", "no"],
  integration_disabled: ["red", "red", "on_replay"],
  interrupted: ["amber", "amber", "yes"],
  sender_fault: ["amber", "amber", "yes"],
  payload_expired: ["red", "red", "no"],
}

test("each reason has the colour and the retry of the documentation, red once it is final", () => {
  assert.deepEqual(Object.keys(reasonTable).toSorted(), [...reasonCodes].toSorted())
  for (const code of reasonCodes) {
    const [open, ended, again] = table[code]
    for (const status of deliveryStatuses) {
      const isFinal = status === "failed" || status === "withheld"
      assert.equal(colourOf(code, status), isFinal ? ended : open, `${code} while ${status}`)
      assert.equal(describe(code, {}, status).colour, colourOf(code, status))
    }
    assert.equal(reasonTable[code].triedAgain, again)
  }
})

test("a withholding is red where someone has to act", () => {
  const red = [
    "not_verified",
    "missing_credentials",
    "missing_data",
    "mapping_failed",
    "integration_disabled",
    "gone",
  ] as const
  const grey = ["type_disabled", "type_unsupported", "filtered", "event_expired", "historical", "opted_out"] as const
  for (const code of red) assert.ok(isRed(code), code)
  for (const code of grey) assert.ok(!isRed(code), code)
})

test("every class of error, in every phase, is recorded as exactly one reason", () => {
  const phases = ["dns", "connect", "tls", "send", "headers", "body"] as const satisfies readonly Phase[]
  const expected: Readonly<Record<ErrorClass, ReasonCode | Readonly<Record<Phase, ReasonCode>>>> = {
    ETIMEDOUT: {
      dns: "timeout_connect",
      connect: "timeout_connect",
      tls: "timeout_connect",
      send: "timeout_response",
      headers: "timeout_body",
      body: "timeout_body",
    },
    ESOCKETTIMEDOUT: "timeout_response",
    ECONNRESET: "connection_reset",
    ECONNREFUSED: "connection_refused",
    UNREACHABLE: "network_error",
    DNS_NOT_FOUND: "dns_failed",
    DNS_TEMPORARY: "dns_failed",
    TLS_ERROR: "tls_failed",
    TLS_UNTRUSTED: "tls_failed",
    TLS_EXPIRED: "tls_failed",
    TLS_NAME_MISMATCH: "tls_failed",
    TLS_CLIENT_REFUSED: "tls_failed",
    TOKEN_FAILED: "no_token",
    PROTOCOL_ERROR: "protocol_error",
    CONFIG_INVALID: "request_invalid",
    EGRESS_BLOCKED: "blocked_address",
    SENDER_FAULT: "sender_fault",
  }
  for (const errorClass of Object.keys(expected) as ErrorClass[]) {
    for (const phase of phases) {
      const reason = expected[errorClass]
      assert.equal(reasonOfError(errorClass, phase), typeof reason === "string" ? reason : reason[phase])
      const rows = reasonCodes.filter(code =>
        reasonTable[code].classes.some(match =>
          typeof match === "string" ? match === errorClass : match.class === errorClass && match.phases.includes(phase),
        ),
      )
      assert.equal(rows.length, 1, `${errorClass} in ${phase}: ${rows}`)
    }
  }
})

test("every reason reads well with no facts at all, with all of them, and with all but one", () => {
  for (const code of reasonCodes) {
    for (const own of casesOf(code)) {
      const allButOne = Object.keys(factMeanings).map(name => ({ ...fullFacts, ...own, [name]: null }))
      for (const facts of [own, { ...fullFacts, ...own }, ...allButOne]) {
        for (const status of deliveryStatuses) assertReadsWell(describe(code, facts, status))
      }
    }
  }
})

function assertReadsWell(text: ReasonText): void {
  assert.doesNotMatch(wordsOf(text), /[{}[\]|]|undefined|null|NaN|\.\.| [,.;:)]|\( | {2}/)
  for (const sentence of [text.what, text.causes, text.advice]) assert.match(sentence, /^\S.*\.$/)
  assert.match(text.title, /^\S.*[^\s.]$/)
  assert.ok(text.title.length <= 60, text.title)
}

test("sentences have gaps for known facts only, and every known fact has its place", () => {
  const used = new Set<string>()
  for (const code of reasonCodes) {
    const { variants, ...row } = reasonTable[code]
    if (variants) used.add(variants.by)
    const wordings: Partial<Wording>[] = [row, ...Object.values(variants?.wordings ?? {})]
    for (const { title, what, causes, advice, setting } of wordings) {
      for (const name of namesIn([title, what, causes, advice, setting].join(" "))) used.add(name)
    }
  }
  // `phase` chooses the reason itself, `ended` what is said of the next attempt, in which also the tries are told.
  for (const name of ["phase", "ended", "try", "tries"]) used.add(name)
  assert.deepEqual([...used].toSorted(), Object.keys(factMeanings).toSorted())
})

test("every reason speaks of its case, but for the few that are the same in all", () => {
  const alike = reasonCodes.filter(code => {
    // Withheld, so that nothing is said of tries.
    return wordsOf(describe(code, {}, "withheld")) === wordsOf(describe(code, fullFacts, "withheld"))
  })
  // `scheduled` speaks of the next attempt, which is no fact of the reason.
  assert.deepEqual(alike, ["queued", "scheduled", "historical", "opted_out", "person_erased"])
})

test("the facts of the case stand in the text", () => {
  const text = describe("timeout_response", { host: "crm.example", limit_ms: 10_000, try: 2, tries: 10 }, "retrying")
  assert.deepEqual(text, {
    code: "timeout_response",
    title: "No answer in time",
    colour: "amber",
    what: "crm.example accepted the connection but did not answer what was sent within 10 s (ESOCKETTIMEDOUT). This was try 2 of 10; the next is due at 2026-11-21 10:05:00 UTC.",
    causes: "The server is overloaded with requests, or it does its work before it answers.",
    advice:
      "Answer 2xx first and work later: check no more than the form of the event, put it in a queue, and answer within the limit of 10 s. If it has to take longer, raise timeout_ms (up to 2 min).",
    links: [
      { rel: "setting", href: "/v1/integrations/int_0123456789a", pointer: "/policy/timeout_ms" },
      { rel: "docs", href: "docs/reference/reasons.md#timeout_response" },
    ],
  })
})

test("what follows is told: the next attempt, the end of the schedule, or the policy's stop", () => {
  const what = (facts: Facts, status: DeliveryStatus) =>
    describe("server_error", { status: 500, ...facts }, status).what
  assert.match(what({}, "retrying"), /It is tried again at 2026-11-21 10:05:00 UTC\.$/)
  assert.match(
    what({ try: 1, tries: 1, ended: "exhausted" }, "failed"),
    /This was try 1 of 1, so it is not tried again by itself; .* retry it by hand\.$/,
  )
  assert.match(what({ ended: "stop" }, "failed"), /The policy stops at this status/)
  assert.doesNotMatch(describe("not_verified", {}, "withheld").what, /tried again/)
})

test("the reason's own facts beat those of its surroundings", () => {
  const context = { status: "failed", nextAt: null, facts: { host: "here.example", status: 1 } } as const
  assert.match(
    describeReason({ code: "rejected", facts: { status: 404 } }, context).what,
    /^here\.example answered 404/,
  )
})

test("the link to the setting names the field of the environment, and is left out where there is no integration to show", () => {
  const pointerOf = (code: ReasonCode, facts: Facts) =>
    describe(code, facts).links.find(link => link.rel === "setting")?.pointer
  assert.equal(pointerOf("rejected", { status: 401, environment: "sandbox" }), "/config/sandbox/authorization")
  assert.equal(pointerOf("rejected", { status: 401 }), "/config")
  assert.equal(pointerOf("rejected", { status: 404, environment: "production" }), "/config/production/url")
  assert.equal(pointerOf("rate_limited", {}), "/policy/max_per_second")
  assert.equal(pointerOf("event_expired", {}), "/options/exclude_historical")
  const { links } = describeReason({ code: "rate_limited", facts: {} }, { status: "failed", nextAt: null })
  assert.deepEqual(links, [{ rel: "docs", href: "docs/reference/reasons.md#rate_limited" }])
})

test("a fact from the other side cannot forge a sentence", () => {
  const text = describe("unexpected_status", { status: 302, location: "https://x.example/{host}\r\n[evil]\u202e" })
  assert.ok(text.what.includes("to https://x.example/{host} [evil];"))
})

test("an attempt's reason reads as a whole, from the exchange to the sentence", () => {
  const answer = {
    status: 429,
    headers: [["retry-after", "600"]] as const,
    body: new Uint8Array(),
    truncated: false,
    incomplete: false,
  }
  const timings = { dnsMs: null, connectMs: null, tlsMs: null, waitMs: 3, bodyMs: 0, totalMs: 4 }
  const now = NEXT_AT - 600_000
  const outcome = outcomeOf({ kind: "answered", answer, sentHeaders: [], timings }, now)
  const progress = { id: { event: 1, integration: 2 }, attempt: 1, charged: 0, acceptedAt: now }
  const next = decide(presets.standard, progress, outcome, now)
  assert.ok(next.status === "retrying")
  const text = describeReason(next.reason, { status: next.status, nextAt: next.at, facts: { host: "crm.example" } })
  assert.equal(
    text.what,
    "crm.example answered 429: it gets more requests than it allows, and asks to be left alone for 10 min. This was try 1 of 10; the next is due at 2026-11-21 10:05:00 UTC.",
  )
})
