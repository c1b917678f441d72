/** Mail addresses and the server that takes mail, as people write them. */
import assert from "node:assert/strict"
import { describe, test } from "node:test"
import { isMailAddress, parseSender, parseSmtpUrl, type SmtpServer, senderAt } from "../../src/domain/mail-address.ts"

describe("a mail address", () => {
  const good = ["ops@shop.example", "o.p+s@sub.shop.example", "ops@mailhost", "a@b", `${"a".repeat(64)}@shop.example`]
  const bad = [
    ...[
      "",
      "ops",
      "@shop.example",
      "ops@",
      "ops@shop..example",
      "ops@-shop.example",
      ".ops@shop.example",
      "o..s@a.example",
    ],
    ...[
      "ops@shop.example ",
      " ops@shop.example",
      "a@b@c",
      "ops@shop.example\r\nBcc: x@y.example",
      "ops@shop.example,b@c",
    ],
    ...[
      '"a b"@shop.example',
      "ops@[127.0.0.1]",
      "Ops <ops@shop.example>",
      "öps@shop.example",
      `${"a".repeat(250)}@b.example`,
    ],
  ]
  for (const text of good) test(`is ${text.slice(0, 40)}`, () => assert.equal(isMailAddress(text), true))
  for (const text of bad)
    test(`is not ${JSON.stringify(text).slice(0, 40)}`, () => assert.equal(isMailAddress(text), false))
})

test("a sender is an address, with or without a name, and nothing that would begin another header", () => {
  assert.deepEqual(parseSender("ops@shop.example"), { name: "", address: "ops@shop.example" })
  assert.deepEqual(parseSender("Night shift <ops@shop.example>"), { name: "Night shift", address: "ops@shop.example" })
  for (const text of ["", "Night shift", "A <a@b> <c@d>", "A\r\nBcc: <x@y.example>", '"A" <a@b>']) {
    assert.equal(parseSender(text), undefined)
  }
  assert.deepEqual(senderAt("hub.example"), { name: "Waybill", address: "waybill@hub.example" })
  assert.deepEqual(senderAt("[::1]"), { name: "Waybill", address: "waybill@localhost" })
})

describe("where mail is handed over", () => {
  const rows: [url: string, server: Partial<SmtpServer>][] = [
    ["smtp://mail.example", { host: "mail.example", port: 587, tls: "offered", user: null, password: null }],
    ["smtp://mail.example:25/", { port: 25 }],
    ["smtps://mail.example", { port: 465, tls: "from_start" }],
    ["smtp://a%40b:p%3Aw%25@mail.example", { user: "a@b", password: "p:w%", tls: "required" }],
    ["smtp://a:b@mail.example?starttls=offered", { tls: "offered" }],
    ["smtp://a:b@127.0.0.1", { tls: "offered" }],
    ["smtp://a:b@localhost:2525", { tls: "offered", port: 2525 }],
    ["smtp://mail.example?starttls=required", { tls: "required" }],
    ["smtp://mail.example?starttls=off", { tls: "off" }],
    ["smtp://[::1]:2525", { host: "::1", port: 2525 }],
  ]
  for (const [url, expected] of rows) {
    test(`${url} is read`, () => {
      const reading = parseSmtpUrl(url)
      assert.equal(reading.kind, "server")
      assert.partialDeepStrictEqual(reading.kind === "server" ? reading.server : {}, expected)
    })
  }
  for (const [url, message] of [
    ["mail.example:25", /must begin with smtp/],
    ["mail", /must be a URL/],
    ["https://mail.example", /must begin with smtp:\/\/ or smtps:\/\//],
    ["smtp://", /must name a host/],
    ["smtp://mail.example/path", /must not have a path/],
    ["smtp://a@mail.example", /both a user and a password/],
    ["smtp://a:%zz@mail.example", /stray %/],
    ["smtp://mail.example?pool=true", /unknown parameter pool/],
    ["smtp://mail.example?starttls=maybe", /starttls=required/],
    ["smtps://mail.example?starttls=off", /encrypted already/],
  ] as const) {
    test(`${url} is refused with a sentence`, () => {
      const reading = parseSmtpUrl(url)
      assert.match(reading.kind === "invalid" ? reading.message : "it was read", message)
    })
  }
})
