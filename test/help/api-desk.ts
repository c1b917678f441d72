/** What tests of the API work with: a Waybill in this process with a clock of its own, a receiver, a client, a stream. */
import type { TestContext } from "node:test"
import { Contract } from "./contract.ts"
import { type ScriptedReceiver, scriptedReceiver } from "./scripted-receiver.ts"
import { StreamListener } from "./stream-listener.ts"
import { createWebhook, newSecret, type OpenWaybill, openWaybill, temporaryFolder } from "./waybill.ts"

export interface ApiDesk {
  readonly waybill: OpenWaybill
  readonly api: Contract
  readonly receiver: ScriptedReceiver
  /** The clock; it runs, and is this much ahead of the real one. */
  aheadMs: number
  /** Makes a webhook to the receiver; gives its id. */
  webhook(
    name?: string,
    more?: { policy?: Readonly<Record<string, unknown>>; events?: Readonly<Record<string, unknown>> },
  ): Promise<string>
  /** Posts an event; gives its id. */
  event(event: Readonly<Record<string, unknown>> | string): Promise<string>
  /** Posts an event that goes to one integration, and waits until the attempt of it is on disk. */
  attempted(event: Readonly<Record<string, unknown>> | string): Promise<string>
  /** The id of the delivery of an event to an integration. */
  delivery(event: string, integration: string): string
}

/** Starts all of it; it ends with the test. */
export async function openDesk(t: TestContext): Promise<ApiDesk> {
  let aheadMs = 0
  const waybill = await openWaybill({ dataDir: temporaryFolder(t), now: () => Date.now() + aheadMs })
  t.after(() => waybill.stop())
  const receiver = await scriptedReceiver(t)
  const api = await Contract.with(waybill)
  const stream = await StreamListener.open(waybill)
  t.after(() => stream.close())
  const event = async (body: Readonly<Record<string, unknown>> | string): Promise<string> => {
    const { body: accepted } = await api.send("POST", "/v1/events", body)
    return String(accepted["id"])
  }
  return {
    waybill,
    api,
    receiver,
    get aheadMs() {
      return aheadMs
    },
    set aheadMs(ms) {
      aheadMs = ms
    },
    webhook: (name = "CRM", more = {}) =>
      createWebhook(waybill, { name, url: receiver.url, secret: newSecret(), ...more }),
    event,
    attempted: async body => {
      const id = await event(body)
      await stream.find(({ name, data }) => name === "attempt" && (data["event"] as { id: string }).id === id)
      return id
    },
    delivery: (id, integration) => `dlv_${id.slice(4)}${integration.slice(4)}`,
  }
}
