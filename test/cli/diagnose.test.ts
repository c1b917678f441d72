/** `waybill integrations diagnose` and `report`: what is going on, for oneself and for the other side. */
import assert from "node:assert/strict"
import test from "node:test"
import { linesOf, runCli, waybillForFile } from "../help/cli.ts"
import { Endpoint } from "../help/endpoint.ts"
import { call } from "../help/waybill.ts"

const waybill = waybillForFile(tellStory)
let refusing = ""

/** An endpoint that refuses three events for the same reason, and one that has nothing to do. */
async function tellStory(): Promise<void> {
  await using endpoint = await Endpoint.open({ status: 401, body: '{"message":"bad token"}' })
  const config = { production: { url: endpoint.url(), authorization: "Token canary-55512" }, verification: "none" }
  const create = (name: string, more: object) => call(waybill, "POST", "/v1/integrations", { name, config, ...more })
  const made = await create("CRM", { policy: { retry_delays_ms: [], protection: { enabled: false } } })
  refusing = (made as { id: string }).id
  await create("Idle", { events: { default: "off" } })
  for (let i = 0; i < 3; i++) await call(waybill, "POST", "/v1/events", { type: "order.created" })
  for (;;) {
    const found = await call(waybill, "GET", "/v1/deliveries?status=failed")
    if ((found as { data: readonly unknown[] }).data.length === 3) return
  }
}

async function outputOf(...args: readonly string[]): Promise<string> {
  const { code, stdout, stderr } = await runCli(args, { at: waybill })
  assert.equal(code, 0, stderr)
  return stdout
}

test("all integrations are a table with their verdicts", async () => {
  const [head, idle, crm] = linesOf(await outputOf("integrations", "diagnose"))
  assert.match(head ?? "", /^ID +NAME +VERDICT +COLOUR +SINCE$/)
  assert.match(idle ?? "", /^int_\w+ +Idle +Nothing to judge by +plain +-$/)
  assert.match(crm ?? "", /^int_\w+ +CRM +Several failures in a row +amber +\d{4}-/)
  const { data } = JSON.parse(await outputOf("integrations", "diagnose", "--json")) as { data: readonly unknown[] }
  assert.equal(data.length, 2)
})

test("one integration is told with causes, what to do, its errors and what changed", async () => {
  const text = await outputOf("integrations", "diagnose", refusing)
  assert.match(text, /^CRM \(int_\w+\)\n\nSeveral failures in a row since .* \(amber, several_in_a_row\)\n/)
  assert.match(text, /\nCauses: The other side refuses who is asking/)
  assert.match(text, /\nDo: Compare the Authorization/)
  assert.match(text, /\n {2}3 × rejected 401\n/)
  assert.match(text, /\nChanged around then:\n {2}.* integration\.created \(by first key, before\)/)
  const { verdict } = JSON.parse(await outputOf("integrations", "diagnose", refusing, "--json")) as {
    verdict: { case: string }
  }
  assert.equal(verdict.case, "credentials")
})

test("the report is Markdown, or JSON, and holds no secret", async () => {
  const markdown = await outputOf("integrations", "report", refusing, "--since", "2h")
  assert.match(markdown, /^# Delivery report: CRM\n/)
  assert.match(markdown, /authorization: \(secret\)/)
  assert.doesNotMatch(markdown, /canary-55512/)
  const report = JSON.parse(await outputOf("integrations", "report", refusing, "--json")) as {
    counts: { error: number }
  }
  assert.equal(report.counts.error, 3)
  const none = await runCli(["integrations", "report", "int_00000000000"], { at: waybill })
  assert.equal(none.code, 1)
  assert.match(none.stderr, /There is no integration int_00000000000/)
})
