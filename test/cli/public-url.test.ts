/** The addresses that Waybill is told of itself: however they are written, they are used as they are meant, and no password in one is shown. */
import assert from "node:assert/strict"
import { describe, test } from "node:test"
import { clientConfig, readConfig } from "../../src/config.ts"
import { Browser } from "../help/browser.ts"
import { runCli } from "../help/cli.ts"
import { setUp } from "../help/people.ts"
import { Program } from "../help/program.ts"
import { testKey } from "../help/waybill.ts"

describe("a public URL", () => {
  test("in capitals keeps its sessions to TLS, as one in small letters does", async () => {
    await using program = await Program.open({ publicUrl: "HTTPS://Hub.Example" })
    const owner = await setUp(program)
    assert.equal(owner.lastSet?.name, "__Host-waybill")
    assert.ok(owner.lastSet?.attributes.includes("secure"))
    const { headers } = await new Browser(program).ask("GET", "/livez")
    assert.match(headers.get("strict-transport-security") ?? "", /max-age/)
  })

  const meant: readonly (readonly [typed: string, used: string])[] = [
    ["HTTPS://Hub.Example", "https://hub.example"],
    [" https://hub.example", "https://hub.example"],
    ["https://hub.example:443/waybill//", "https://hub.example/waybill"],
    ["http://127.0.0.1:8080/", "http://127.0.0.1:8080"],
  ]
  for (const [typed, used] of meant) {
    test(`written as ${JSON.stringify(typed)} is used as ${used}`, () => {
      const reading = readConfig({}, { WAYBILL_PUBLIC_URL: typed })
      assert.ok("config" in reading)
      assert.equal(reading.config.publicUrl, used)
      const asked = clientConfig({ url: typed }, {})
      assert.ok("client" in asked)
      assert.equal(asked.client.url, used)
    })
  }

  const wrong: readonly (readonly [typed: string, says: RegExp])[] = [
    ["https://bob:hunter2@hub.example", /must hold no user and no password/],
    ["https://hunter2@hub.example", /must hold no user and no password/],
    ["https://:hunter2@hub.example", /must hold no user and no password/],
    ["https://bob:hunter2@hub.example:port", /must be an http or https URL/],
    ["bob:hunter2@hub.example", /must be an http or https URL/],
    ["https://hub.example/?a=b", /must end before any \? or #/],
    ["https://hub.example/?", /must end before any \? or #/],
    ["https://hub.example/#top", /must end before any \? or #/],
    ["ftp://hub.example", /WAYBILL_PUBLIC_URL=ftp:\/\/hub\.example must be an http or https URL/],
  ]
  for (const [typed, says] of wrong) {
    test(`such as ${typed.replaceAll("hunter2", "…")} is refused, and no password is shown`, () => {
      const reading = readConfig({}, { WAYBILL_PUBLIC_URL: typed })
      assert.ok("faults" in reading)
      const [fault = "", ...more] = reading.faults
      assert.deepEqual(more, [])
      assert.match(fault, says)
      assert.match(fault, /^WAYBILL_PUBLIC_URL[ =].*\.$/)
      assert.doesNotMatch(fault, /hunter2/)
    })
  }
})

test("the issuer of a sign-in is refused with a password in it, which is not shown", () => {
  for (const issuer of ["https://bob:hunter2@login.example", "https://:hunter2@login.example"]) {
    const reading = readConfig({}, { WAYBILL_OIDC_ISSUER: issuer, WAYBILL_OIDC_CLIENT_ID: "waybill" })
    assert.ok("faults" in reading, issuer)
    assert.match(reading.faults.join(), /^WAYBILL_OIDC_ISSUER must be an https URL/)
    assert.doesNotMatch(reading.faults.join(), /hunter2/)
  }
})

test("a command that is given a password in its --url says that it takes none, and does not print it", async () => {
  for (const url of ["http://bob:hunter2@127.0.0.1:1", "http://bob:hunter2@127.0.0.1:one"]) {
    const { code, stdout, stderr } = await runCli(["events", "--url", url, "--key", testKey])
    assert.deepEqual([code, stdout], [2, ""])
    assert.match(stderr, /^--url must (hold no user and no password|be an http or https URL)/)
    assert.doesNotMatch(stderr, /hunter2/)
  }
})
