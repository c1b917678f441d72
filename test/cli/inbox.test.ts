/** The commands that duplicate an integration onto an inbox and show what that got. */
import assert from "node:assert/strict"
import test from "node:test"
import { type Ended, linesOf, runCli, waybillForFile } from "../help/cli.ts"
import { call } from "../help/waybill.ts"

const waybill = waybillForFile()

const run = (...args: readonly string[]): Promise<Ended> => runCli(["integrations", ...args], { at: waybill })

test("a webhook is duplicated onto an inbox, whose requests are a table, or shown whole", async () => {
  const config = { production: { url: "http://127.0.0.1:1024/", authorization: "Token abc" }, verification: "none" }
  const { id } = (await call(waybill, "POST", "/v1/integrations", { name: "CRM", config })) as { id: string }
  const made = await run("duplicate-to-inbox", id)
  assert.equal(made.code, 0, made.stderr)
  const [, inbox = ""] =
    /^CRM \(inbox\) \((int_\w+)\) gets from now on what (int_\w+) gets\.\n$/.exec(made.stdout) ?? []
  assert.match(made.stderr, new RegExp(`integrations inbox ${inbox}\n$`))
  const none = await run("inbox", inbox)
  assert.deepEqual([none.code, none.stdout, none.stderr], [0, "", "No requests.\n"])

  await call(waybill, "PATCH", `/v1/integrations/${inbox}`, { config: { answer: { status: 503, delay_ms: 1 } } })
  const { event } = (await call(waybill, "POST", `/v1/integrations/${inbox}/test`, { data: { total: 12.5 } })) as {
    event: string
  }
  const { url } = (await call(waybill, "GET", `/v1/integrations/${inbox}/inbox`)) as { url: string }
  await fetch(url, { method: "PUT", body: "\u001b[31mred", headers: { "x-odd": "a" } })
  const [head, newest, oldest] = linesOf((await run("inbox", inbox)).stdout)
  assert.match(head ?? "", /^RECEIVED +METHOD +EVENT +ATTEMPT +BODY +SIGNATURE +ANSWERED$/)
  assert.match(newest ?? "", / PUT +- +- +8 bytes +header missing +503 after 1 ms( \(waiting\))?$/)
  assert.match(oldest ?? "", new RegExp(` POST +${event} +1 +\\d+ bytes +valid +503 after 1 ms`))

  const { stdout, stderr } = await run("inbox", inbox, "--limit", "1", "--full")
  assert.match(stdout, /req_\w+ · answered 503/)
  assert.match(stdout, /header missing: The header webhook-id is missing/)
  assert.match(stdout, /→ PUT\n[\s\S]*x-odd: a\n[\s\S]* {4}␛\[31mred\n/)
  assert.match(stderr, new RegExp(`integrations inbox ${inbox} --cursor \\S+`))
  const full = (await run("inbox", inbox, "--full")).stdout
  assert.match(full, /authorization: •••• \(secret\)\n[\s\S]*"total": 12\.5/)
  assert.doesNotMatch(full, /Token abc/)
  const json = JSON.parse((await run("inbox", inbox, "--json", "--limit", "1")).stdout) as { data: unknown[] }
  assert.equal(json.data.length, 1)

  const refused = await run("inbox", id)
  assert.equal(refused.code, 1)
  assert.match(refused.stderr, /is no inbox but a webhook\./)
})
