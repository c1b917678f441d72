/** Messages without what differs from case to case. */
import assert from "node:assert/strict"
import { test } from "node:test"
import { messageOfAnswer, normaliseMessage, secretParts, withoutSecrets } from "../../src/domain/normalise-message.ts"
import { shortestMs } from "../help/timing.ts"

test("messages that differ in what they name only read the same", () => {
  for (const [message, normal] of [
    ["Record 4711 not found", "Record {n} not found"],
    ["user 3f2504e0-4f89-41d3-9a0c-0305e82c3301 is unknown", "user {uuid} is unknown"],
    ["connect ECONNREFUSED 10.0.0.7:8443", "connect ECONNREFUSED {n}:{port}"],
    ["crm.example:8443 refused the connection.", "crm.example:{port} refused the connection."],
    ["expired at 2026-11-21T10:00:00.123Z, now 10:05", "expired at {time}, now {time}"],
    ["no contact anna.maria+x@shop.example.com here", "no contact {email} here"],
    ["charge ch_3Mmlk2LkdIwHu7ix is gone", "charge {id} is gone"],
    ["took 12.5 s,\n\tlimit 10 s", "took {n} s, limit {n} s"],
    ["quota exceeded", "quota exceeded"],
  ] as const) {
    assert.equal(normaliseMessage(message), normal)
  }
})

test("a message stays one line of at most 160 characters, and costs no time however long it is", () => {
  const tookMs = shortestMs(() => {
    assert.equal(normaliseMessage("no way ".repeat(1_000)).length, 160)
    for (const nasty of ["a".repeat(100_000), "a@".repeat(50_000), "1:".repeat(50_000), "-".repeat(100_000)]) {
      assert.ok(normaliseMessage(nasty).length <= 160)
    }
  })
  assert.ok(tookMs < 500, `took ${tookMs} ms`)
})

test("an answer says what is wrong in its own words, in any of the usual dialects", () => {
  const said = (body: string, type = "application/json") =>
    messageOfAnswer({ headers: [["content-type", type]], body: Buffer.from(body) })
  assert.equal(said('{"message":"no such hook"}'), "no such hook")
  assert.equal(said('{"error":{"code":7,"message":"bad token"}}'), "bad token")
  assert.equal(said('{"errors":[{"title":"Invalid","detail":"email is missing"}]}'), "email is missing")
  assert.equal(said('{"title":"Conflict","status":409}'), "Conflict")
  assert.equal(said("<html><head><title>502 Bad Gateway</title></head></html>", "text/html"), "502 Bad Gateway")
  assert.equal(said("no such hook\n", "text/plain"), "no such hook")
  assert.equal(said('{"data":{"message":"somebody\'s own"}}'), "", "what is data is not read for a message")
  assert.equal(said(""), "")
  assert.equal(messageOfAnswer({ headers: [], body: new Uint8Array([0xff, 0xfe, 0, 1]) }), "")
})

test("a secret is taken out whole and in the parts that give it away", () => {
  const parts = secretParts("Bearer s3cret-canary")
  assert.equal(withoutSecrets("got Bearer s3cret-canary, and s3cret-canary", parts), "got {secret}, and {secret}")
  const basic = secretParts(`Basic ${Buffer.from("anna:geheim99").toString("base64")}`)
  assert.equal(withoutSecrets("the password geheim99 is wrong", basic), "the password {secret} is wrong")
})
