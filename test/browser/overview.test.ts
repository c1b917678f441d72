/** The overview: who needs somebody, who does not, what waits, what changed, and whether it is Waybill itself that fails. */
import assert from "node:assert/strict"
import { test } from "node:test"
import type { Locator, Page } from "playwright-core"
import { assertAccessible, assertFits, Dashboard } from "../help/dashboard.ts"
import { Endpoint } from "../help/endpoint.ts"
import { createWebhook, newSecret } from "../help/waybill.ts"

test("whoever opens the overview knows what needs someone and what does not, in each project and for each app", async t => {
  const dashboard = await Dashboard.ofOwner(t)
  const { page } = dashboard
  await using works = await Endpoint.open()
  await using gone = await Endpoint.open({ status: 410 })
  await using flaky = await Endpoint.open({ status: 500 })
  const once = { preset: "standard", retry_delays_ms: [] }
  const make = async (name: string, url: string, more: object = {}) => {
    const config = { production: { url }, verification: "none" }
    const made = await dashboard.call("POST", "/v1/integrations", { name, secret: newSecret(), config, ...more })
    return (made as { id: string }).id
  }
  await make("CRM", works.url("/crm"))
  await make("Old hook", gone.url(), { policy: { ...once, on_gone: "disable" } })
  await make("Flaky", flaky.url(), { policy: once, apps: ["android"] })
  const nightly = await make("Nightly export", works.url("/nightly"))
  await dashboard.call("POST", `/v1/integrations/${nightly}/pause`)
  const left = await make("Left alone", works.url("/left"))
  await dashboard.call("POST", `/v1/integrations/${left}/disable`)
  const waiting: string[] = []
  for (const app of ["android", "android", "android", "ios"]) {
    const { id } = (await dashboard.call("POST", "/v1/events", { type: "order.paid", app, data: {} })) as { id: string }
    waiting.push(id)
  }
  await works.received(4)
  await gone.received(1)
  await flaky.received(3)

  // In a sentence, and a card for each that needs someone, with what to do.
  await dashboard.visit("/")
  await page.getByText("1 integration needs someone.").waitFor()
  await page.getByText("1 integration: have a look. 1 in order. 2 with nothing to do.").waitFor()
  await page.getByText("Waybill switched the integration off").waitFor()
  await page.getByText("What to do:").waitFor()
  await page.getByRole("link", { name: "send again what has failed since" }).waitFor()
  const verdicts = {
    "Old hook": "Switched off by Waybill",
    Flaky: "Several failures in a row",
    CRM: "Healthy",
    "Nightly export": "Paused",
    "Left alone": "Switched off",
  }
  for (const [name, verdict] of Object.entries(verdicts)) {
    await row(page, name).getByText(verdict, { exact: true }).waitFor()
  }
  const names = await page.getByRole("table", { name: "Integrations" }).getByRole("link").allInnerTexts()
  assert.deepEqual(names.slice(0, 2), ["Old hook", "Flaky"], "what needs someone stands first")
  await row(page, "CRM").getByText("CRM: 4 successes, 0 errors, 0 skipped in 30 days").waitFor({ state: "attached" })
  await row(page, "Flaky").getByText("100 % errors").waitFor()
  await row(page, "CRM")
    .getByText(/^created .* by first key$/)
    .waitFor()
  await row(page, "Nightly export")
    .getByText(/^paused /)
    .waitFor()
  await row(page, "CRM").getByText("Nothing waits").waitFor()
  await assertAccessible(page, "the overview")
  await assertFits(page, "the overview")

  // The oldest that waits is a click away.
  await row(page, "Nightly export").getByRole("link", { name: "An event" }).click()
  await page.getByRole("heading", { level: 1, name: "order.paid" }).waitFor()
  assert.equal(new URL(page.url()).pathname, `/events/${waiting[0]}`)
  await page.goBack()

  // For one app: those that take its events.
  await page.getByRole("combobox", { name: "Integrations that take events of an app" }).click()
  await page.getByRole("option", { name: "ios" }).click()
  await row(page, "Flaky").waitFor({ state: "detached" })
  await row(page, "CRM").waitFor()
  await page.reload()
  await row(page, "CRM").waitFor()
  assert.equal(await row(page, "Flaky").count(), 0, "the app stands in the address")
  await page.getByRole("combobox", { name: "Integrations that take events of an app" }).click()
  await page.getByRole("option", { name: "android" }).click()
  await row(page, "Flaky").waitFor()

  // On a phone, in the dark.
  await page.setViewportSize({ width: 360, height: 740 })
  await page.emulateMedia({ colorScheme: "dark" })
  await assertFits(page, "the overview on a phone")
  await assertAccessible(page, "the overview on a phone, in the dark")
  await page.setViewportSize({ width: 1_280, height: 800 })
  await page.emulateMedia({ colorScheme: "light" })

  // Another project shows nothing of this one.
  await page.getByRole("button", { name: /^Project .*: change$/ }).click()
  await page.getByRole("menuitem", { name: "Make a further project" }).click()
  await page.getByRole("textbox", { name: "Name" }).fill("Second shop")
  await page.getByRole("button", { name: "Make the project" }).click()
  await page.getByText("The first key of Second shop").waitFor()
  await page.getByRole("button", { name: "Go to Second shop" }).click()
  await page.getByRole("button", { name: "Project Second shop: change" }).waitFor()
  await page.getByRole("heading", { level: 1, name: "Overview" }).waitFor()
  assert.equal(await page.getByText("Old hook").count(), 0)
  await assertAccessible(page, "the overview of a project with nothing in it")
  await page.getByRole("button", { name: "Project Second shop: change" }).click()
  await page.getByRole("menuitem", { name: /default/ }).click()
  await page.getByText("1 integration needs someone.").waitFor()

  // Whoever may only look is not asked to send again.
  const viewer = await dashboard.ofPerson("vera@shop.example", "viewer")
  await viewer.getByText("1 integration needs someone.").waitFor()
  assert.equal(await viewer.getByRole("link", { name: "send again what has failed since" }).count(), 0)
})

test("where Waybill's own machine has lost its network, the page says so, and blames no endpoint", async t => {
  const dashboard = await Dashboard.ofOwner(t)
  const { page, waybill } = dashboard
  const hosts = [await Endpoint.open(), await Endpoint.open()] as const
  const [one, other] = hosts
  const policy = { preset: "standard", retry_delays_ms: [200, 200, 3_600_000] }
  await createWebhook(waybill, { name: "One", url: one.url(), secret: newSecret(), policy })
  const url = other.url().replace("127.0.0.1", "localhost")
  await createWebhook(waybill, { name: "Other", url, secret: newSecret(), policy })
  await dashboard.call("POST", "/v1/events", { type: "order.paid", data: {} })
  await one.received(1)
  await other.received(1)
  await dashboard.visit("/")
  await page.getByText("Nothing needs you. All in order.").waitFor()
  await page.getByRole("link", { name: "Waybill is healthy: see its status" }).click()
  await page.getByRole("status").getByText("It takes events, and what is due goes out.").waitFor()
  await assertAccessible(page, "the status of Waybill")

  for (const host of hosts) await host.close()
  await dashboard.call("POST", "/v1/events", { type: "order.paid", data: {} })
  await page.getByRole("status").getByText("Waybill needs its operator").waitFor({ timeout: 30_000 })
  await page.getByText("It is held against none of them.").waitFor()
  await assertAccessible(page, "the status of a Waybill in trouble")
  await page.getByRole("link", { name: "Overview" }).first().click()
  await page.getByRole("link", { name: "Waybill is in trouble: see its status" }).waitFor()
  for (const name of ["One", "Other"]) await row(page, name).getByText("Waybill's own machine or network").waitFor()
  await page.getByText("Nothing needs you.").waitFor()
  await assertAccessible(page, "the overview while Waybill is in trouble")
  await row(page, "One").getByRole("link", { name: "One" }).click()
  await page.getByText("Nothing to do at the endpoints.").first().waitFor()
})

/** What stands of an integration in the table. */
function row(page: Page, integration: string): Locator {
  return page
    .getByRole("table", { name: "Integrations" })
    .getByRole("row")
    .filter({ has: page.getByRole("link", { name: integration, exact: true }) })
}
