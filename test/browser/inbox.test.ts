/** Waybill or the endpoint: an integration is duplicated to an inbox, where both can be compared. */
import assert from "node:assert/strict"
import { test } from "node:test"
import { request } from "undici"
import { assertAccessible, assertFits, Dashboard } from "../help/dashboard.ts"
import { Endpoint } from "../help/endpoint.ts"
import { openTab } from "../help/integration-pages.ts"
import { createWebhook, newSecret } from "../help/waybill.ts"

test("an engineer whose endpoint refuses events duplicates it to an inbox, sees there what goes out, and empties it", async t => {
  const dashboard = await Dashboard.ofOwner(t)
  const { page, waybill } = dashboard
  await page.context().grantPermissions(["clipboard-read", "clipboard-write"])
  await using crm = await Endpoint.open({ status: 400, body: '{"error":"no signature"}' })
  const url = `${crm.url()}?tenant=7`
  const policy = { retry_delays_ms: [], protection: { enabled: false } }
  const id = await createWebhook(waybill, { name: "CRM", url, secret: newSecret(), policy })
  const send = () => dashboard.call("POST", "/v1/events", { type: "order.paid", data: { amount: 12.5 } })

  await dashboard.visit(`/integrations/${id}`)
  assert.equal(await page.getByRole("tab", { name: "Inbox" }).count(), 0, "a webhook has no inbox")
  await page.getByRole("button", { name: "Actions" }).click()
  await page.getByRole("menuitem", { name: "Duplicate to an inbox" }).click()
  const dialog = page.getByRole("dialog")
  await dialog.getByText("It stays as it is.").waitFor()
  await assertAccessible(page, "the question before an inbox is made beside a webhook")
  await dialog.getByRole("button", { name: "Duplicate to an inbox" }).click()
  await page.getByRole("heading", { level: 1, name: "CRM (inbox)" }).waitFor()
  await page.getByText("Nothing has come yet").waitFor()
  await assertAccessible(page, "an inbox with nothing in it")

  // The same event goes to both: as it left Waybill it stands in the inbox, by itself.
  const { id: event } = (await send()) as { readonly id: string }
  await crm.received(1)
  const line = page.getByRole("button").filter({ hasText: event })
  await line.getByText("Signature valid").waitFor()
  await line.getByText("answered 200").waitFor()
  await line.click()
  await page.getByText(new RegExp(`webhook-id: ${event}`, "i")).waitFor()
  await page.getByText('"amount": 12.5').waitFor()
  await assertAccessible(page, "a request in an inbox")
  await page.setViewportSize({ width: 360, height: 740 })
  await assertFits(page, "a request in an inbox on a phone")
  await page.setViewportSize({ width: 1_280, height: 800 })

  // Others reach it by its address, and what they send is told apart.
  const address = /http\S+\/inbox\/\S+/.exec(await page.getByRole("main").innerText())?.[0] ?? ""
  const { statusCode, body } = await request(address, { method: "PUT", body: "by hand" })
  await body.dump()
  assert.equal(statusCode, 200)
  const byHand = page.getByRole("button").filter({ hasText: "Of no event" })
  await byHand.click()
  await page.getByRole("region", { name: "Request" }).getByText("by hand").waitFor()

  await page.getByRole("button", { name: "Empty the inbox" }).click()
  await assertAccessible(page, "the question before an inbox is emptied")
  await dialog.getByRole("button", { name: "Empty it" }).click()
  await page.getByText("Nothing has come yet").waitFor()

  // At the endpoint itself the request can be made again in a shell, over the scheme of the endpoint.
  await dashboard.visit(`/events/${event}`)
  const there = page.getByRole("region", { name: "At each integration" })
  await there.getByText("no signature").waitFor()
  await there.getByRole("tab", { name: "Request" }).click()
  await there.getByText(`POST ${new URL(url).host}${new URL(url).pathname}`).waitFor()
  await there.getByText("The query of the endpoint's URL is left out").waitFor()
  await there.getByRole("button", { name: "Copy as curl" }).click()
  await there.getByRole("button", { name: "Copied" }).waitFor()
  const curl = await page.evaluate<string>("navigator.clipboard.readText()")
  assert.ok(curl.startsWith(`curl -sS -i '${crm.url()}'`), curl)

  const viewer = await dashboard.ofPerson("vera@shop.example", "viewer")
  const { data } = (await dashboard.call("GET", "/v1/integrations")) as {
    readonly data: readonly { readonly id: string; readonly connector: string }[]
  }
  const inbox = data.find(({ connector }) => connector === "inbox")
  await dashboard.visit(`/integrations/${inbox?.id}`, viewer)
  await openTab(viewer, "Inbox")
  await viewer.getByText("Your role does not show this").waitFor()
})
