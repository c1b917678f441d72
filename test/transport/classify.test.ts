import assert from "node:assert/strict"
import { describe, test } from "node:test"
import type { ErrorClass, Phase } from "../../src/domain/exchange.ts"
import { classify, type Fault, faultTable, rawFault } from "../../src/transport/classify.ts"

const online = (): boolean => false
const offline = (): boolean => true

function classOf(fault: Partial<Fault>, isOffline = online): ErrorClass {
  return classify({ phase: "headers", code: "", text: "", began: false, ...fault }, "crm.example", isOffline).class
}

describe("standards 6.3, row by row", () => {
  const table: [phase: Phase, code: string, expected: ErrorClass, more?: Partial<Fault>][] = [
    ["connect", "ETIMEDOUT", "ETIMEDOUT"],
    ["connect", "DEADLINE", "ETIMEDOUT"],
    ["tls", "ETIMEDOUT", "ETIMEDOUT"],
    ["tls", "DEADLINE", "ETIMEDOUT"],
    ["headers", "DEADLINE", "ESOCKETTIMEDOUT"],
    ["send", "DEADLINE", "ESOCKETTIMEDOUT"],
    ["headers", "UND_ERR_HEADERS_TIMEOUT", "ESOCKETTIMEDOUT"],
    ["headers", "DEADLINE", "ETIMEDOUT", { began: true }],
    ["headers", "ETIMEDOUT", "ETIMEDOUT", { began: true }],
    ["body", "UND_ERR_BODY_TIMEOUT", "ETIMEDOUT", { began: true }],
    ["connect", "ECONNRESET", "ECONNRESET"],
    ["tls", "ECONNRESET", "ECONNRESET", { text: "read ECONNRESET" }],
    ["headers", "ECONNRESET", "ECONNRESET"],
    ["headers", "UND_ERR_SOCKET", "ECONNRESET", { text: "other side closed" }],
    [
      "tls",
      "ECONNRESET",
      "TLS_ERROR",
      { text: "Client network socket disconnected before secure TLS connection was established" },
    ],
    ["send", "EPIPE", "ECONNRESET"],
    ["send", "ECONNABORTED", "ECONNRESET"],
    ["connect", "ECONNREFUSED", "ECONNREFUSED"],
    ["connect", "EHOSTUNREACH", "UNREACHABLE"],
    ["connect", "ENETUNREACH", "UNREACHABLE"],
    ["headers", "EHOSTUNREACH", "UNREACHABLE"],
    ["dns", "ENOTFOUND", "DNS_NOT_FOUND"],
    ["dns", "ENODATA", "DNS_NOT_FOUND"],
    ["dns", "EAI_AGAIN", "DNS_TEMPORARY"],
    ["dns", "ETIMEOUT", "DNS_TEMPORARY"],
    ["dns", "ESERVFAIL", "DNS_TEMPORARY"],
    ["dns", "DEADLINE", "DNS_TEMPORARY"],
    ["dns", "ECONNREFUSED", "SENDER_FAULT"],
    ["tls", "DEPTH_ZERO_SELF_SIGNED_CERT", "TLS_UNTRUSTED"],
    ["tls", "SELF_SIGNED_CERT_IN_CHAIN", "TLS_UNTRUSTED"],
    ["tls", "UNABLE_TO_VERIFY_LEAF_SIGNATURE", "TLS_UNTRUSTED"],
    ["tls", "CERT_HAS_EXPIRED", "TLS_EXPIRED"],
    ["tls", "ERR_TLS_CERT_ALTNAME_INVALID", "TLS_NAME_MISMATCH"],
    ["tls", "ERR_SSL_UNSUPPORTED_PROTOCOL", "TLS_ERROR"],
    [
      "tls",
      "ERR_SSL_SSL/TLS_ALERT_UNKNOWN_CA",
      "TLS_CLIENT_REFUSED",
      {
        text: "C0:error:0A000418:SSL routines:ssl3_read_bytes:tlsv1 alert unknown ca:rec_layer_s3.c:916:SSL alert number 48",
      },
    ],
    [
      "headers",
      "ERR_SSL_TLSV13_ALERT_CERTIFICATE_REQUIRED",
      "TLS_CLIENT_REFUSED",
      { text: "C0:error:0A00045C:SSL routines:ssl3_read_bytes:tlsv13 alert certificate required:rec_layer_s3.c:916" },
    ],
    ["headers", "ERR_SSL_X", "TLS_ERROR", { text: "C0:error:0A000412:SSL routines:ssl3_read_bytes:bad record mac" }],
    ["headers", "UND_ERR_HEADERS_OVERFLOW", "PROTOCOL_ERROR"],
    ["headers", "", "PROTOCOL_ERROR"],
    ["headers", "HPE_INVALID_CONSTANT", "PROTOCOL_ERROR"],
    ["headers", "UND_ERR_RES_CONTENT_LENGTH_MISMATCH", "PROTOCOL_ERROR"],
    ["headers", "UND_ERR_SOCKET", "PROTOCOL_ERROR", { text: "bad response" }],
    ["headers", "UND_ERR_SOCKET", "PROTOCOL_ERROR", { text: "bad upgrade" }],
    ["send", "UND_ERR_INVALID_ARG", "CONFIG_INVALID"],
    ["send", "UND_ERR_NOT_SUPPORTED", "CONFIG_INVALID"],
    ["send", "UND_ERR_REQ_CONTENT_LENGTH_MISMATCH", "CONFIG_INVALID"],
    ["dns", "EGRESS_BLOCKED", "EGRESS_BLOCKED"],
    ["connect", "EGRESS_BLOCKED", "EGRESS_BLOCKED"],
    ["connect", "EMFILE", "SENDER_FAULT"],
    ["dns", "EMFILE", "SENDER_FAULT"],
    ["connect", "ENFILE", "SENDER_FAULT"],
    ["connect", "EADDRNOTAVAIL", "SENDER_FAULT"],
    ["connect", "ENOBUFS", "SENDER_FAULT"],
    ["connect", "ENOMEM", "SENDER_FAULT"],
    ["connect", "UND_ERR_DESTROYED", "SENDER_FAULT"],
    ["connect", "UND_ERR_CLOSED", "SENDER_FAULT"],
    ["connect", "EACCES", "UNREACHABLE"],
  ]
  for (const [phase, code, expected, more] of table) {
    test(`${code || "no code"} in ${phase}${more?.began ? " after a byte" : ""}: ${expected}`, () => {
      assert.equal(classOf({ phase, code, ...more }), expected)
    })
  }

  test("a machine without any network blames itself, and only then", () => {
    for (const [phase, code] of [
      ["connect", "ENETUNREACH"],
      ["connect", "ETIMEDOUT"],
      ["dns", "ETIMEOUT"],
      ["dns", "EAI_AGAIN"],
      ["dns", "DEADLINE"],
    ] as const) {
      assert.equal(classOf({ phase, code }, offline), "SENDER_FAULT", `${code} in ${phase}`)
      assert.notEqual(classOf({ phase, code }, online), "SENDER_FAULT", `${code} in ${phase}`)
    }
    assert.equal(classOf({ phase: "dns", code: "ENOTFOUND" }, offline), "DNS_NOT_FOUND")
    assert.equal(classOf({ phase: "headers", code: "DEADLINE" }, offline), "ESOCKETTIMEDOUT")
  })

  test("the table is complete: every class has a row, every fault has a class", () => {
    // Of a token's failure it is told in the terms of what it came to.
    const classes: Record<Exclude<ErrorClass, "TOKEN_FAILED">, true> = {
      ETIMEDOUT: true,
      ESOCKETTIMEDOUT: true,
      ECONNRESET: true,
      ECONNREFUSED: true,
      UNREACHABLE: true,
      DNS_NOT_FOUND: true,
      DNS_TEMPORARY: true,
      TLS_ERROR: true,
      TLS_UNTRUSTED: true,
      TLS_EXPIRED: true,
      TLS_NAME_MISMATCH: true,
      TLS_CLIENT_REFUSED: true,
      PROTOCOL_ERROR: true,
      CONFIG_INVALID: true,
      EGRESS_BLOCKED: true,
      SENDER_FAULT: true,
    }
    assert.deepEqual([...new Set(faultTable.map(row => row.class))].sort(), Object.keys(classes).sort())
    const unknown: Record<Phase, ErrorClass> = {
      dns: "DNS_TEMPORARY",
      connect: "UNREACHABLE",
      tls: "TLS_ERROR",
      send: "PROTOCOL_ERROR",
      headers: "PROTOCOL_ERROR",
      body: "PROTOCOL_ERROR",
    }
    for (const phase of Object.keys(unknown) as Phase[]) {
      assert.equal(classOf({ phase, code: "E_NEVER_SEEN" }), unknown[phase])
    }
  })
})

describe("the sentence", () => {
  test("names the host, is one line, and is filled in", () => {
    for (const row of faultTable) {
      const fault = {
        phase: row.phases?.[0] ?? "headers",
        code: row.codes?.[0] ?? "E",
        text: "a\u0000\n\u001b[31mb $& c",
        began: false,
      }
      const { message } = classify(fault, "crm.example:8443", offline)
      assert.match(message, /^\S[^\n\u0000-\u001f]*\.$/)
      assert.doesNotMatch(message, /[{}]/)
    }
  })

  test("holds what the other side said, shortened", () => {
    const { message } = classify(
      { phase: "tls", code: "X", text: "y".repeat(5_000), began: false },
      "crm.example",
      online,
    )
    assert.ok(message.length < 400 && message.includes("yyy"))
  })
})

describe("raw codes", () => {
  test("of several addresses that failed, the one that is news is told", () => {
    const error = (code: string): Error => Object.assign(new Error(code), { code })
    assert.equal(rawFault(new AggregateError([error("ENETUNREACH"), error("ECONNREFUSED")])).code, "ECONNREFUSED")
    assert.equal(rawFault(new AggregateError([error("ECONNREFUSED"), error("ENETUNREACH")])).code, "ECONNREFUSED")
    assert.equal(rawFault(new AggregateError([error("ECONNREFUSED"), error("EADDRNOTAVAIL")])).code, "ECONNREFUSED")
    assert.equal(rawFault(new AggregateError([error("ENETUNREACH"), error("ENETUNREACH")])).code, "ENETUNREACH")
  })

  test("whatever was thrown can be told", () => {
    assert.deepEqual(rawFault(new Error("no code")), { code: "", text: "no code" })
    assert.deepEqual(rawFault(Object.assign(new Error("number"), { code: 23 })), { code: "", text: "number" })
    assert.deepEqual(rawFault("text"), { code: "", text: "text" })
    assert.deepEqual(rawFault(new AggregateError([])), { code: "", text: "undefined" })
  })
})
