/** `waybill people`, and the link that a first start prints for the owner. */
import assert from "node:assert/strict"
import test from "node:test"
import { Browser } from "../help/browser.ts"
import { runCli, startCli } from "../help/cli.ts"
import { PASSWORD, tokenIn } from "../help/people.ts"
import { temporaryFolder } from "../help/waybill.ts"

test("from the first start's link to a person who is let in again", async t => {
  const folder = temporaryFolder(t)
  const env = { PORT: "0", WAYBILL_LOG_LEVEL: "warn", WAYBILL_DATA_DIR: folder }
  const first = startCli(["serve"], { env })
  const [, key = ""] = await first.prints(/First API key \(shown this once, keep it\): (wb_live_\w+)/)
  const [, link = ""] = await first.prints(/Make yourself the owner \(good until used\): (http\S+)/)
  const { origin: url, pathname } = new URL(link)
  assert.equal(pathname, "/setup")
  const at = { url, key }
  const owner = new Browser(at)
  const who = { email: "ada@shop.example", name: "Ada", password: PASSWORD }
  await owner.call("POST", "/v1/setup", { token: tokenIn(link), ...who })

  const listed = await runCli(["people"], { at })
  assert.match(listed.stdout, /per_\w+ +ada@shop\.example +Ada +owner/)
  const invited = await runCli(["people", "invite", "grace@shop.example", "--role", "support"], { at })
  assert.equal(invited.code, 0, invited.stderr)
  assert.match(invited.stderr, /as support, until .*Hand it over yourself/)
  const grace = new Browser(at)
  await grace.call("POST", "/v1/invitations/accept", {
    token: tokenIn(invited.stdout.trim()),
    name: "Grace",
    password: PASSWORD,
  })
  const late = await runCli(["people", "setup-link"], { at })
  assert.deepEqual([late.code, late.stdout], [1, ""])
  assert.match(late.stderr, /has an owner already/)

  const early = await runCli(["people", "reset", "grace@shop.example"], { env })
  assert.equal(early.code, 1)
  assert.match(early.stderr, /belongs to a Waybill that is running/)
  first.child.kill("SIGTERM")
  await first.ended
  const reset = await runCli(["people", "reset", "Grace@shop.example"], { env })
  assert.equal(reset.code, 0, reset.stderr)
  const disabled = await runCli(["people", "disable", "ada@shop.example"], { env })
  assert.equal(disabled.code, 0, disabled.stderr)
  const unknown = await runCli(["people", "reset", "nobody@shop.example"], { env })
  assert.match(unknown.stderr, /Nobody here has the address nobody@shop\.example/)

  const second = startCli(["serve"], { env })
  const [, again = ""] = await second.prints(/listens on (http:\/\/\S+)/)
  assert.doesNotMatch(second.stdout(), /Make yourself the owner/)
  const browser = new Browser({ url: again })
  assert.equal((await browser.signIn("grace@shop.example", PASSWORD)).status, 401)
  assert.equal((await browser.signIn("grace@shop.example", reset.stdout.trim())).status, 201)
  const refused = await new Browser({ url: again }).signIn("ada@shop.example", PASSWORD)
  assert.match(String(refused.body.detail), /switched off/)
  assert.equal((await grace.ask("GET", `${again}/v1/session`)).status, 401, "sessions of before have ended")
  second.child.kill("SIGTERM")
  await second.ended
  assert.equal((await runCli(["people", "enable", "ada@shop.example"], { env })).code, 0)
})
