/** `waybill release`, and what `waybill deliveries` shows of a line: who waits behind whom. */
import assert from "node:assert/strict"
import test from "node:test"
import { runCli, waybillForFile } from "../help/cli.ts"
import { Endpoint } from "../help/endpoint.ts"
import { call } from "../help/waybill.ts"

const waybill = waybillForFile(tellStory)
let [front, behind] = ["", ""]

interface Delivery {
  readonly id: string
  readonly status: string
}

/** Two events of a key; the first was refused, and holds the second. */
async function tellStory(): Promise<void> {
  await using endpoint = await Endpoint.open({ status: 422 })
  const config = { production: { url: endpoint.url() }, verification: "none" }
  const policy = { ordered: true, ordered_on_failure: "stop", retry_delays_ms: [] }
  await call(waybill, "POST", "/v1/integrations", { name: "CRM", config, policy })
  for (const type of ["order.created", "order.paid"]) {
    await call(waybill, "POST", "/v1/events", { type, ordering_key: "order-1842" })
  }
  for (;;) {
    const { data } = (await call(waybill, "GET", "/v1/deliveries?ordering_key=order-1842")) as { data: Delivery[] }
    if (data[1]?.status !== "failed") continue
    ;[behind = "", front = ""] = data.map(({ id }) => id)
    return
  }
}

async function outputOf(...args: readonly string[]): Promise<string> {
  const { code, stdout, stderr } = await runCli(args, { at: waybill })
  assert.equal(code, 0, stderr)
  return stdout
}

test("a delivery shows what it waits behind and what it blocks; release lets the next one go, once", async () => {
  const shown = await outputOf("deliveries", behind)
  assert.match(shown, new RegExp(`^behind +${front}$`, "m"))
  assert.match(shown, /Behind an event that has failed/)
  assert.match(
    await outputOf("deliveries", front),
    new RegExp(`^blocks its key +yes; to go on without it: .*release ${front}$`, "m"),
  )
  const wrong = await runCli(["release", behind], { at: waybill })
  assert.equal(wrong.code, 1)
  assert.match(wrong.stderr, new RegExp(`waits behind ${front}. Ask for that one.`))
  assert.match(await outputOf("release", front), new RegExp(`^${behind} is due now\\.`))
  assert.match(await outputOf("deliveries", "--ordering-key", "order-1842"), new RegExp(behind))
  const again = await runCli(["release", front], { at: waybill })
  assert.match(again.stderr, /blocks no ordering key, so there is nothing to release/)
})
