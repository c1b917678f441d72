/** The pages of a project around its events: what may come in, what is kept, who is told, what it comes to. */
import assert from "node:assert/strict"
import { test } from "node:test"
import { assertAccessible, Dashboard, owner } from "../help/dashboard.ts"
import { Endpoint } from "../help/endpoint.ts"
import { createWebhook, newSecret } from "../help/waybill.ts"

interface Project {
  readonly payload_days: number
  readonly alert_emails: readonly string[]
  readonly private_fields: readonly string[]
  readonly max_requests_per_minute: number | null
  readonly strict_types: boolean
}

const order = { type: "order.paid", app: "ios", profile_id: "cus_42", data: { amount: 12.5, card: "4111-1111" } }

test("an owner describes what comes in, keeps a field private, says who is told, and finds all of it at work", async t => {
  const dashboard = await Dashboard.ofOwner(t)
  const { page, waybill } = dashboard
  await using shop = await Endpoint.open()
  await createWebhook(waybill, { name: "Shop backend", url: shop.url(), secret: newSecret() })

  await dashboard.visit("/apps")
  await page.getByText("No apps yet").waitFor()
  await assertAccessible(page, "the apps, of which there are none")
  await page.getByRole("button", { name: "Make an app" }).click()
  const dialog = page.getByRole("dialog")
  await dialog.getByLabel("Name").fill("ios")
  await dialog.getByLabel("Title").fill("Shop for iPhone")
  await assertAccessible(page, "the form of an app")
  await dialog.getByRole("button", { name: "Make the app" }).click()
  await page.getByRole("table", { name: "Apps" }).getByText("Shop for iPhone").waitFor()

  // A type with a schema, which holds as soon as the project is strict.
  await dashboard.visit("/event-types")
  await page.getByRole("button", { name: "Add a type" }).click()
  await dialog.getByLabel("Type").fill("order.paid")
  await dialog.getByRole("button", { name: "Describe it" }).click()
  await page.getByRole("heading", { level: 1, name: "order.paid" }).waitFor()
  await page.getByLabel("What it means").fill("Somebody has paid an order.")
  const schema = page.getByLabel("Schema")
  await schema.fill('{ "type": "object", ')
  await page.getByRole("button", { name: "Add it to the catalogue" }).click()
  await page.getByText(/This is no JSON/).waitFor()
  await assertAccessible(page, "a schema that is no JSON")
  await schema.fill('{ "type": "object", "required": ["amount"], "properties": { "amount": { "type": "number" } } }')
  await page.getByLabel("Examples").fill('[{ "amount": 12.5 }]')
  await page.getByRole("button", { name: "Add it to the catalogue" }).click()
  await page.getByText("order.paid is saved.").waitFor()

  await dashboard.visit("/settings")
  await page.getByLabel("Take only event types of the catalogue").check()
  await page.getByLabel("Requests a minute").fill("600")
  await page.getByRole("combobox", { name: "Payloads are kept for" }).click()
  await page.getByRole("option", { name: "7 days", exact: true }).click()
  await page
    .getByRole("combobox", { name: "Private fields" })
    .or(page.getByLabel("Private fields"))
    .first()
    .fill("/card")
  await page.keyboard.press("Enter")
  await page.getByLabel("E-mail addresses").first().fill("ops@shop.example")
  await page.keyboard.press("Enter")
  await assertAccessible(page, "settings that are not saved yet")
  await page.getByRole("button", { name: "Save", exact: true }).click()
  await page.getByText("The settings are saved.").waitFor()
  const { data } = (await dashboard.call("GET", "/v1/projects")) as { readonly data: readonly Project[] }
  const [{ payload_days, alert_emails, private_fields, max_requests_per_minute, strict_types } = {} as Project] = data
  assert.deepEqual(
    { payload_days, alert_emails, private_fields, max_requests_per_minute, strict_types },
    {
      payload_days: 7,
      alert_emails: ["ops@shop.example"],
      private_fields: ["/card"],
      max_requests_per_minute: 600,
      strict_types: true,
    },
  )

  // What breaks the schema is refused and can be seen; what is private goes to the receiver alone.
  await assert.rejects(dashboard.call("POST", "/v1/events", { ...order, data: { amount: "much" } }), /422/)
  await dashboard.call("POST", "/v1/events", order)
  assert.match(String((await shop.request(1)).body), /4111-1111/)
  await dashboard.visit("/rejections")
  await page
    .getByRole("table")
    .getByText(/422|schema|amount/)
    .first()
    .waitFor()
  await assertAccessible(page, "requests that were refused")
  await dashboard.visit("/profiles/cus_42")
  await page
    .getByRole("table", { name: "Events of the profile, newest first" })
    .getByRole("link", { name: "order.paid" })
    .click()
  await page.getByText('"amount": 12.5').first().waitFor()
  assert.equal((await page.content()).includes("4111-1111"), false, "nobody reads a private field here")
  await assertAccessible(page, "an event with a private field")
  await dashboard.visit("/profiles/nobody")
  await page.getByText("No events of this profile").waitFor()

  await dashboard.visit("/alerts")
  await page.getByText(/switched off, or works again after that: ops@shop\.example/).waitFor()
  await page.getByText(/Mail is not set up/).waitFor()
  await dashboard.visit("/usage")
  await page.getByText(/600 requests a minute together/).waitFor()
  await page.getByRole("row").filter({ hasText: "Shop backend" }).waitFor()
  await page.getByText(/kept for 7 days/).waitFor()
  await dashboard.visit("/status")
  await page.getByText("It takes events, and what is due goes out.").waitFor()

  await dashboard.visit("/audit-log")
  const log = page
    .getByRole("table", { name: "Changes, newest first" })
    .getByRole("row")
    .filter({ hasText: owner.name })
  for (const kind of ["project.updated", "event_type.", "app."]) await log.filter({ hasText: kind }).first().waitFor()
})
