/** The story that the dashboard is for: somebody asks where an event is; who looks finds it, reads why, and puts it right. */
import assert from "node:assert/strict"
import { test } from "node:test"
import type { Page } from "playwright-core"
import { assertAccessible, assertFits, Dashboard } from "../help/dashboard.ts"
import { Endpoint } from "../help/endpoint.ts"
import { createWebhook, newSecret } from "../help/waybill.ts"

test("a support person finds a customer's event by whatever id they were told, reads why it did not arrive, and puts it right", async t => {
  const dashboard = await Dashboard.ofOwner(t)
  const { waybill } = dashboard
  await using shop = await Endpoint.open({ status: 404, body: "no such hook" })
  await using crm = await Endpoint.open({ body: '{"id":"crm-7"}' })
  await using warehouse = await Endpoint.open()
  await createWebhook(waybill, {
    name: "Shop backend",
    url: shop.url(),
    secret: newSecret(),
    policy: { preset: "standard", retry_delays_ms: [] },
  })
  await dashboard.call("POST", "/v1/integrations", {
    name: "CRM",
    secret: newSecret(),
    config: { production: { url: crm.url() }, verification: "none", destination_record: { pointer: "/id" } },
  })
  const ids = new Map<string, string>()
  for (const user of ["user-1", "user-42", "user-3"]) {
    const { id } = (await dashboard.call("POST", "/v1/events", {
      type: "subscription.renewed",
      id: `order-${user}`,
      profile_id: user,
      device_id: `phone-of-${user}`,
      source_record: `invoice-${user}`,
      data: { user },
    })) as { id: string }
    ids.set(user, id)
  }
  await shop.received(3)
  await crm.received(3)
  // It was not there when the events came.
  await createWebhook(waybill, { name: "Warehouse", url: warehouse.url(), secret: newSecret() })
  const event = ids.get("user-42") ?? ""

  const support = await dashboard.ofPerson("sam@shop.example", "support")
  await support.getByRole("link", { name: "Events", exact: true }).click()
  await support
    .getByRole("button", { name: /^Shop backend ?: Failed$/ })
    .nth(2)
    .waitFor()

  // By any id: of the customer, the device, the records, their own, ours.
  const told = {
    Profile: "user-42",
    Device: "phone-of-user-42",
    "Own id": "order-user-42",
    "Source record": "invoice-user-42",
  }
  for (const [what, id] of Object.entries(told)) {
    await find(support, id)
    await support.getByText(`${what}: ${id}`, { exact: true }).waitFor()
    await support.getByText("user-42", { exact: true }).first().waitFor()
    assert.equal(await support.getByRole("button", { name: /^Shop backend ?: Failed$/ }).count(), 1, `found by ${what}`)
  }
  await find(support, "crm-7")
  await support.getByText("Destination record: crm-7", { exact: true }).waitFor()
  await support
    .getByRole("button", { name: /^CRM ?: Delivered$/ })
    .nth(2)
    .waitFor()
  const { data } = (await dashboard.call("GET", `/v1/deliveries?event=${event}`)) as {
    data: { id: string; status: string }[]
  }
  const failed = data.find(({ status }) => status === "failed")?.id ?? ""
  await find(support, failed)
  await support.getByRole("heading", { level: 1, name: "subscription.renewed" }).waitFor()
  assert.equal(new URL(support.url()).searchParams.get("delivery"), failed)
  // The box is on every page.
  await support.keyboard.press("Control+K")
  await find(support, event)
  await support.getByRole("heading", { level: 1, name: "subscription.renewed" }).waitFor()
  assert.equal(new URL(support.url()).pathname, `/events/${event}`)

  // Reads what went wrong and what to do about it.
  await support.getByRole("link", { name: "Events", exact: true }).click()
  await find(support, "user-42")
  await support.getByText("Profile: user-42", { exact: true }).waitFor()
  await assertAccessible(support, "the feed of events")
  await support.getByRole("button", { name: /^Shop backend ?: Failed$/ }).hover()
  const why = support.getByRole("dialog", { name: "Why" })
  await why.getByText("answered 404: there is nothing at this address").waitFor()
  await why.getByText("What to do:").waitFor()
  await support.getByRole("link", { name: "subscription.renewed" }).click()
  await support.getByRole("heading", { level: 1, name: "subscription.renewed" }).waitFor()
  const here = support.getByRole("region", { name: "At each integration" })
  await here.getByText("What to do:").waitFor()
  await here.getByText("no such hook").waitFor()
  await assertAccessible(support, "the page of an event")

  // Sees who else it happened to.
  await support.getByRole("link", { name: "2 others failed the same way" }).click()
  await support.getByRole("heading", { level: 1, name: "Deliveries" }).waitFor()
  await support.getByText("Integration: Shop backend").waitFor()
  const rows = support.getByRole("row").filter({ hasText: "subscription.renewed" })
  await rows.nth(2).waitFor()
  assert.equal(await rows.count(), 3)
  await support.goBack()

  // Retries it, and sees it arrive.
  shop.play({ status: 200 })
  await support.getByRole("button", { name: "Retry now" }).click()
  const { headers, body } = await shop.request(4)
  assert.equal(headers["webhook-id"], shop.requests.find(each => each.body.equals(body))?.headers["webhook-id"])
  assert.match(body.toString(), /"user":"user-42"/)
  await here.getByRole("button", { name: "Shop backend Delivered" }).waitFor()
  await here.getByText("2 attempts").waitFor()
  await support.getByRole("region", { name: "Journey" }).getByText("Delivered to Shop backend").waitFor()

  // Sends it to an integration that never had it.
  await support.getByRole("button", { name: "Replay to …" }).click()
  await support.getByRole("menuitem", { name: "Warehouse Never had it" }).click()
  const question = support.getByRole("dialog", { name: "Send it to Warehouse?" })
  await question.getByRole("button", { name: "Send it" }).waitFor()
  await assertAccessible(support, "the question before a replay")
  await question.getByRole("button", { name: "Send it" }).click()
  assert.match((await warehouse.request(1)).body.toString(), /"user":"user-42"/)
  await support.getByRole("button", { name: "Warehouse Delivered" }).waitFor()
  assert.equal(warehouse.requests.length, 1)

  // On a phone, in the dark.
  await support.setViewportSize({ width: 360, height: 740 })
  await support.emulateMedia({ colorScheme: "dark" })
  await assertFits(support, "the page of an event")
  await assertAccessible(support, "the page of an event on a phone, in the dark")
  await dashboard.visit("/events", support)
  await support.getByRole("button", { name: /^Warehouse ?: Delivered$/ }).waitFor()
  await assertFits(support, "the feed of events")
  await assertAccessible(support, "the feed of events on a phone, in the dark")
})

async function find(page: Page, id: string): Promise<void> {
  const box = page.getByRole("textbox", { name: "Find by any id" }).last()
  await box.fill(id)
  await box.press("Enter")
}
