/** An integration whose endpoint fails: what is wrong and why, told to the other side, and what did not arrive sent again. */
import assert from "node:assert/strict"
import { test } from "node:test"
import { assertAccessible, Dashboard } from "../help/dashboard.ts"
import { Endpoint } from "../help/endpoint.ts"
import { assertFitsNarrowly, codeIn, hasFocus, openTab, stepsOf } from "../help/integration-pages.ts"

const AUTHORIZATION = "Bearer of-the-shop-and-nobody-else"
const ANSWER = '{"error":"no such column: plan"}'
const FAILED = 12

test("an engineer reads what is wrong with an integration, tells the other side, and sends again what did not arrive", async t => {
  const dashboard = await Dashboard.ofOwner(t)
  const { page } = dashboard
  const step = stepsOf(t)
  await using shop = await Endpoint.open()
  await using warehouse = await Endpoint.open({ status: 503 })
  const at = (endpoint: Endpoint) => ({
    production: { url: endpoint.url(), authorization: AUTHORIZATION },
    verification: "none",
  })
  await dashboard.call("POST", "/v1/integrations", {
    name: "Shop backend",
    config: at(shop),
    policy: { retry_delays_ms: [], max_concurrent: 1, protection: { enabled: false } },
  })
  await dashboard.call("POST", "/v1/integrations", {
    name: "Warehouse",
    config: at(warehouse),
    // It rests for as long as this is read.
    policy: { retry_delays_ms: [], protection: { min_attempts: 5, rest_ms: 3_600_000 } },
  })
  await send(3)
  await shop.received(3)
  shop.play({ status: 500, body: ANSWER })
  await send(FAILED)
  await shop.received(3 + FAILED)

  async function send(count: number): Promise<void> {
    for (let i = 0; i < count; i++) {
      await dashboard.call("POST", "/v1/events", { type: "order_paid", data: { plan: "pro", number: i } })
    }
  }

  await step("the list says of each integration how it is", async () => {
    await dashboard.visit("/integrations")
    const row = page.getByRole("row").filter({ hasText: "Shop backend" })
    await row.getByRole("button", { name: /500|fail/i }).waitFor()
    await page
      .getByRole("row")
      .filter({ hasText: "Warehouse" })
      .getByRole("button", { name: /rest|left alone|fail/i })
      .waitFor()
    await page.getByRole("row").filter({ hasText: "Warehouse" }).getByText("Resting", { exact: true }).waitFor()
    await assertAccessible(page, "the list of integrations")
    await page.getByLabel("Search").fill("ware")
    await row.waitFor({ state: "detached" })
    await page.getByRole("link", { name: "Warehouse" }).click()
  })

  await step(
    "an endpoint that is left alone is shown with when it is tried next, and that nothing is lost",
    async () => {
      await page.getByText("Resting", { exact: true }).waitFor()
      await page.getByText(/Tried next .* Nothing goes out before; \d+ wait and lose nothing\./).waitFor()
      await assertAccessible(page, "an integration whose endpoint rests")
      await assertFitsNarrowly(page, "an integration whose endpoint rests")
    },
  )

  await step("the diagnosis says what happened, by which evidence, and what to do", async () => {
    await dashboard.visit("/integrations")
    await page.getByRole("link", { name: "Shop backend" }).click()
    await page.getByRole("table", { name: "Evidence" }).waitFor()
    await page.getByText("Several failures in a row").waitFor()
    await page.getByText("The last 12 attempts failed in the same way, at 12 events").waitFor()
    await page.getByText("What to do:").first().waitFor()
    await page.getByText("Waybill itself is healthy: what is wrong here is not on its side.").waitFor()
    await page.getByRole("cell", { name: /12 times, status 500/ }).waitFor()
    await assertAccessible(page, "an integration that fails")
    await page.emulateMedia({ colorScheme: "dark" })
    await assertAccessible(page, "an integration that fails, in the dark")
  })

  await step("failures that are alike stand together, with what was said", async () => {
    await page.getByRole("link", { name: "See failures in groups" }).click()
    const group = page.getByRole("table", { name: "Failures in groups" }).getByRole("row").nth(1)
    await group.getByText("Goes on").waitFor()
    await group.getByText("no such column: plan").waitFor()
    await group.getByRole("cell", { name: "12", exact: true }).waitFor()
    await assertAccessible(page, "failures in groups")
  })

  await step("the logs hold the last errors and successes whole", async () => {
    await openTab(page, "Logs")
    const error = { name: /^500 order_paid .* answered 500/ }
    await page.getByRole("button", error).first().click()
    const failed = page.getByRole("region", error)
    assert.match(await codeIn(failed, "Request"), /"number": 11/)
    assert.equal(JSON.parse(await codeIn(failed, "Answer")).error, "no such column: plan")
    await failed.getByRole("listitem").filter({ hasText: "authorization: secret, not shown" }).waitFor()
    await assertAccessible(page, "the last errors")
    const success = { name: /^200 order_paid/ }
    await page.getByRole("button", success).first().click()
    await page.getByRole("region", success).getByText("Status 200").waitFor()
    assert.match(await codeIn(page.getByRole("region", success), "Request"), /"number": 2/)
  })

  await step(
    "the history tells successes from errors by pattern as well as colour, and has a twin for who reads tables",
    async () => {
      await openTab(page, "History")
      await page.getByText("In 30 days: 3 successes, 12 errors, 0 skipped.").waitFor()
      const chart = page.getByRole("img", { name: "Attempts of Shop backend. The table beside has the same numbers." })
      await chart.waitFor()
      for (const pattern of ["plain", "lines"]) await chart.locator(`path[fill*="-${pattern})"]`).first().waitFor()
      await chart.getByText("not over").waitFor()
      for (const word of ["Successes", "Errors", "Skipped"]) await page.getByText(word, { exact: true }).waitFor()
      await assertAccessible(page, "the history as bars, in the dark")
      await page.emulateMedia({ colorScheme: "light" })
      await page.getByRole("switch", { name: "As a table" }).focus()
      await page.keyboard.press("Space")
      const table = page.getByRole("table", { name: "Attempts of Shop backend by day, the newest first" })
      const today = await table.getByRole("row").nth(1).getByRole("cell").allTextContents()
      assert.match(today[0] ?? "", /\(not over\)/)
      assert.deepEqual(today.slice(1), ["3", "12", "0"])
      await hasFocus(page.getByRole("switch", { name: "As a table" }))
      await assertAccessible(page, "the history as a table")
      await page.getByRole("radio", { name: "48 hours" }).focus()
      await page.keyboard.press("Space")
      await page.getByRole("table", { name: /by hour/ }).waitFor()
      assert.equal(await page.getByRole("row").count(), 49)
    },
  )

  await step("the report for the other side is copied with a button, and holds no secret", async () => {
    await page.context().grantPermissions(["clipboard-read", "clipboard-write"])
    const open = page.getByRole("button", { name: "Report" })
    await open.click()
    const dialog = page.getByRole("dialog", { name: "Report on Shop backend" })
    await dialog.getByRole("button", { name: "Copy the report" }).click()
    await dialog.getByRole("button", { name: "Copied" }).waitFor()
    const report = await page.evaluate<string>("navigator.clipboard.readText()")
    assert.match(report, /no such column: plan/)
    assert.ok(!report.includes("of-the-shop-and-nobody-else"), "the secret is masked")
    await assertAccessible(page, "the report")
    await page.keyboard.press("Escape")
    await dialog.waitFor({ state: "detached" })
    await hasFocus(open)
  })

  await step("what failed is counted first, then sent again, watched, paused and canceled", async () => {
    shop.play({})
    await openTab(page, "Failures")
    await page.getByRole("link", { name: /^Recover these/ }).click()
    await page.getByText("Only for the reason").waitFor()
    await page.getByLabel("A second at most").fill("0.5")
    await page.getByRole("button", { name: "Count what would be sent" }).click()
    await page.getByText("12 would be sent to Shop backend.").waitFor()
    await assertAccessible(page, "a recovery that is counted")
    assert.equal(shop.requests.length, 3 + FAILED)
    await page.getByRole("button", { name: "Send 12 again" }).click()
    await shop.received(3 + FAILED + 1)
    await page.getByRole("progressbar").waitFor()
    await page.getByRole("button", { name: "Pause", exact: true }).click()
    await page.getByText("Paused", { exact: true }).waitFor()
    await page.getByRole("button", { name: "Go on" }).click()
    await page.getByText("Running", { exact: true }).waitFor()
    await shop.received(3 + FAILED + 2)
    const cancel = page.getByRole("button", { name: "Cancel", exact: true })
    await cancel.click()
    await hasFocus(page.getByRole("button", { name: "Leave it" }))
    await page.keyboard.press("Escape")
    await hasFocus(cancel)
    await cancel.click()
    await page.getByRole("button", { name: "Cancel it" }).click()
    await page.getByText("Canceled", { exact: true }).waitFor()
    await assertAccessible(page, "a recovery that was canceled")
    assert.ok(shop.requests.length < 3 + FAILED + FAILED)
  })

  await step("a second recovery sends the rest, and each event arrives once", async () => {
    await page.getByLabel("A second at most").fill("")
    await page.getByRole("button", { name: "Count what would be sent" }).click()
    await page.getByRole("button", { name: /^Send \d+ again$/ }).click()
    await page.getByText("Done", { exact: true }).waitFor()
    await shop.received(3 + 2 * FAILED)
    const arrived = shop.requests.slice(3 + FAILED).map(({ headers }) => headers["webhook-id"])
    assert.deepEqual([arrived.length, new Set(arrived).size], [FAILED, FAILED])
    await openTab(page, "Overview")
    await page.getByText("In order", { exact: true }).first().waitFor()
  })
})
