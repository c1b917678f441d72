/** What every page of the dashboard says while there is nothing to show, and while Waybill cannot answer. */
import assert from "node:assert/strict"
import { test } from "node:test"
import { assertAccessible, assertFits, Dashboard } from "../help/dashboard.ts"
import { Faults, isForStrangers, openPage, routesOf, share, windowsOf } from "../help/every-page.ts"

/** What pages say while there is nothing to show, by their address. */
const whileEmpty: Readonly<Record<string, RegExp>> = {
  "/": /Three steps to a first delivered event/,
  "/events": /No events yet/,
  "/deliveries": /No deliveries yet/,
  "/integrations": /No integrations yet/,
  "/recoveries": /No recoveries in the last 30 days/,
  "/recoveries/new": /No integration is switched on/,
  "/rejections": /Nothing was refused in the last 7 days/,
  "/event-types": /The catalogue is empty/,
  "/apps": /No apps yet/,
  "/alerts": /nobody is told by mail/,
  "/people": /Nobody has been invited yet/,
  "/events/evt_0000000000000": /Not found/,
  "/integrations/int_00000000000": /Not found/,
  "/recoveries/rec_00000000000": /Not found/,
  "/deliveries/dlv_0000000000000000": /Not found/,
  "/profiles/nobody": /No events of this profile/,
  "/event-types/order.paid": /not in the catalogue yet/,
  "/no-such-page": /This address leads nowhere/,
}

test("every page says what to do while there is nothing, while it loads, when Waybill fails, and when it cannot be reached", async t => {
  const dashboard = await Dashboard.ofOwner(t)
  const { page, waybill } = dashboard
  const faults = new Faults()
  const pages = await windowsOf(dashboard, page)
  await share(pages, Object.entries(whileEmpty), async (each, [address, words]) => {
    await openPage(dashboard, each, address)
    await each.getByText(words).first().waitFor()
    await faults.hold(assertAccessible(each, `${address} while there is nothing`))
  })
  faults.assertNone()

  const waiting = await dashboard.window({ storageState: await page.context().storageState() })
  await waiting.context().route(/\/v1\/(?!session$)/, () => {})
  for (const address of ["/", "/events", "/deliveries", "/integrations"]) {
    await waiting.goto(waybill.url + address)
    await waiting.locator('[aria-busy="true"], [aria-label="Loading"]').first().waitFor()
    await faults.hold(assertAccessible(waiting, `${address} while it loads`))
  }
  faults.assertNone()

  const troubled = await dashboard.window({ isTroubled: true, storageState: await page.context().storageState() })
  const context = troubled.context()
  const addresses = (await routesOf(page)).filter(route => !route.includes("$") && !isForStrangers(route))
  await context.route(/\/v1\/(?!session$)/, route =>
    route.fulfill({
      status: 503,
      contentType: "application/problem+json",
      body: JSON.stringify({
        title: "Waybill is starting",
        status: 503,
        code: "starting",
        detail: "Try again in a minute.",
      }),
    }),
  )
  // Each asks three times before it says so: they wait beside each other.
  const said = await Promise.all(
    addresses.map(async address => {
      const tab = await context.newPage()
      await tab.goto(waybill.url + address)
      await tab.getByRole("heading", { level: 1 }).waitFor()
      const alert = tab.getByRole("main").getByRole("alert").filter({ hasText: "Try again in a minute." }).first()
      const isSaid = await alert.waitFor().then(
        () => true,
        () => false,
      )
      if (isSaid) await faults.hold(assertAccessible(tab, `${address} while Waybill fails`))
      await tab.close()
      return isSaid ? [] : [address]
    }),
  )
  faults.assertNone()
  assert.deepEqual(said.flat(), [], "pages that do not say so")

  await dashboard.visit("/apps", troubled)
  await troubled.getByRole("link", { name: "Waybill does not answer" }).waitFor()
  await troubled.setViewportSize({ width: 320, height: 740 })
  await assertFits(troubled, "a page at 320 px while Waybill fails")
  await assertAccessible(troubled, "a page at 320 px while Waybill fails")
  await troubled.setViewportSize({ width: 1_280, height: 800 })
  const again = troubled.getByRole("main").getByRole("button", { name: "Try again" })
  await again.waitFor()
  await context.unroute(/\/v1\/(?!session$)/)
  await again.click()
  await troubled.getByText("No apps yet").waitFor()

  await context.setOffline(true)
  await troubled.getByRole("link", { name: "Rejected requests" }).click()
  await troubled.getByRole("alert").filter({ hasText: "No connection to Waybill" }).waitFor()
  await troubled.getByText("See whether you are online").waitFor()
  await assertAccessible(troubled, "a page that cannot be loaded without a connection")
  await context.setOffline(false)
  await troubled.getByText("Nothing was refused in the last 7 days").waitFor()
})
