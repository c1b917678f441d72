/** `waybill recoveries`: begins recoveries, follows them, and tells how far they are, for people and for programs. */
import assert from "node:assert/strict"
import test from "node:test"
import { type Ended, linesOf, runCli, waybillForFile } from "../help/cli.ts"
import { Endpoint } from "../help/endpoint.ts"
import { call } from "../help/waybill.ts"

const waybill = waybillForFile(tellStory)
const run = (...args: readonly string[]): Promise<Ended> => runCli(["recoveries", ...args], { at: waybill })

const EVENTS = 4
let integration = ""

/** Four events that a new integration never had. */
async function tellStory(): Promise<void> {
  for (let n = 0; n < EVENTS; n++)
    await call(waybill, "POST", "/v1/events", { type: n === 0 ? "left" : "paid", data: { n } })
}

test("a recovery is counted, begun, followed to its end and listed", async () => {
  await using endpoint = await Endpoint.open()
  const config = { production: { url: endpoint.url() }, verification: "none" }
  const events = { types: { left: { enabled: false } } }
  const made = await call(waybill, "POST", "/v1/integrations", { name: "CRM", config, events })
  integration = (made as { id: string }).id
  const asked = ["--since", "1h", "--status", "missing", "--integration", integration]

  const plan = await run("create", ...asked, "--dry-run")
  assert.equal(plan.code, 0, plan.stderr)
  const [first, ...rest] = linesOf(plan.stdout)
  assert.equal(first, "3 of 4 would be sent.")
  assert.match(rest.join("\n"), /1 +Event type switched off \(type_disabled\)/)
  assert.match(rest.join("\n"), /evt_\w+ +left +CRM +missing +Event type switched off/)
  assert.match(rest.join("\n"), /evt_\w+ +paid +CRM +missing +send/)

  const followed = await run("create", ...asked, "--follow")
  assert.equal(followed.code, 0, followed.stderr)
  assert.match(followed.stdout, /^recovery +rec_\w+\nstate +done\n/)
  assert.match(followed.stdout, /queued +3: 3 delivered, 0 failed, 0 on their way, 0 retrying/)
  assert.match(followed.stdout, /not sent +1 withheld/)
  assert.equal(endpoint.requests.length, 3)

  const [, id = ""] = /(rec_\w+)/.exec(followed.stdout) ?? []
  const list = await run()
  assert.match(list.stdout, new RegExp(`${id} +done +100 % +3 +3 +0 +1 +CRM`))
  const shown = JSON.parse((await run("show", id, "--json")).stdout) as { id: string; state: string }
  assert.deepEqual([shown.id, shown.state], [id, "done"])
  const refused = await run("cancel", id)
  assert.equal(refused.code, 1)
  assert.match(refused.stderr, /The recovery is done/)
})

test("what was typed wrongly is said, with what to type", async () => {
  const since = await run("create")
  assert.deepEqual([since.code, since.stderr], [2, "Say since when: --since 2h, or --from 2026-11-21T10:00:00Z.\n"])
  const status = await run("create", "--since", "1h", "--status", "lost")
  assert.equal(status.code, 1)
  assert.match(status.stderr, /"failed", "skipped", "withheld", "missing" or "delivered"/)
  const word = await run("crate")
  assert.equal(word.code, 2)
  assert.match(word.stderr, /Did you mean create\?/)
})
