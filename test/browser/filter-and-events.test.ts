/** Which events go out, and as what: the table of types and the filter, tried on real past events before they are saved. */
import assert from "node:assert/strict"
import { test } from "node:test"
import { assertAccessible, Dashboard } from "../help/dashboard.ts"
import { Endpoint, type Received } from "../help/endpoint.ts"
import { assertFitsNarrowly, assertMarked, hasFocus, openTab, stepsOf } from "../help/integration-pages.ts"
import { createWebhook, newSecret } from "../help/waybill.ts"

test("an engineer chooses which events go out and as what, and sees it on past events before it is saved", async t => {
  const dashboard = await Dashboard.ofOwner(t)
  const { page, waybill } = dashboard
  const step = stepsOf(t)
  await using shop = await Endpoint.open()
  const id = await createWebhook(waybill, { name: "Shop backend", url: shop.url(), secret: newSecret() })
  const typesOf = (requests: readonly Received[]) => requests.map(({ body }) => JSON.parse(body.toString()).type)

  /** One of each type, the second order on the plan "pro". */
  async function sendAll(): Promise<void> {
    for (const type of ["trial_started", "trial_canceled", "order_paid"]) {
      await dashboard.call("POST", "/v1/events", { type, data: { plan: "basic", amount: 3 } })
    }
    await dashboard.call("POST", "/v1/events", { type: "order_paid", data: { plan: "pro", amount: 90 } })
  }
  await sendAll()
  await shop.received(4)

  await step("a type is switched off and another gets a name of its own, which cannot be empty", async () => {
    await dashboard.visit(`/integrations/${id}`)
    await openTab(page, "Types")
    await page.getByRole("switch", { name: "trial_started goes out" }).focus()
    await page.keyboard.press("Space")
    const name = page.getByRole("textbox", { name: "Name of order_paid" })
    const save = page.getByRole("button", { name: "Save event types" })
    await name.fill(" ")
    await assertMarked(name, /A type that goes out needs a name/)
    await page.getByRole("alert").filter({ hasText: "order_paid: a type that goes out needs a name" }).waitFor()
    assert.equal(await save.isDisabled(), true)
    await assertAccessible(page, "the table of types with a name that is missing")
    await page.getByRole("button", { name: "Copy the default name of order_paid back" }).click()
    assert.equal(await name.inputValue(), "order_paid")
    await name.fill("Purchase")
    assert.equal(await page.getByRole("textbox", { name: "Name of trial_started" }).isDisabled(), true)
  })

  await step("the same table is edited as JSON, which says where it is wrong, and back again", async () => {
    await page.getByText("JSON", { exact: true }).click()
    const json = page.getByRole("textbox", { name: "Event types as JSON" })
    assert.deepEqual(JSON.parse(await json.inputValue()), {
      default: "on",
      types: { trial_started: { enabled: false }, order_paid: { enabled: true, name: "Purchase" } },
    })
    await json.fill('{\n  "default": "on",\n  "types": {,}\n}')
    await assertMarked(json, /Line 3, column 13: This is no JSON/)
    await json.fill('{ "default": "on", "types": { "trial_*": { "enabled": "no" } } }')
    await assertMarked(json, /trial_\*: a rule is an object with enabled \(true or false\)/)
    await assertAccessible(page, "the table of types as JSON that is wrong")
    await json.fill('{ "types": { "order_paid": { "name": "Purchase" }, "trial_*": { "enabled": false } } }')
    await page.getByText("Table", { exact: true }).click()
    await page.getByText("All that begin with trial_.").waitFor()
    await page.getByText("By the rule for trial_*.").first().waitFor()
    assert.equal(await page.getByRole("switch", { name: "trial_canceled goes out" }).isChecked(), false)
    assert.equal(await page.getByRole("textbox", { name: "Name of order_paid" }).inputValue(), "Purchase")
    await page.getByRole("button", { name: "Save event types" }).click()
    await page.getByText("Saved. It holds for what goes out from now on.").waitFor()
    await assertFitsNarrowly(page, "the table of types")
  })

  await step("from then on the receiver gets what the table says", async () => {
    await sendAll()
    await shop.received(6)
    assert.deepEqual(typesOf(shop.requests).slice(4), ["Purchase", "Purchase"])
  })

  await step("a filter is made of conditions, and shows at once which past events would pass", async () => {
    await openTab(page, "Filter")
    await page.getByText("No condition: all events go out.").waitFor()
    await page.getByText("4 of the last 8 events would go out.").waitFor()
    await page.getByRole("button", { name: "Add a condition" }).click()
    await page.getByRole("combobox", { name: "Field" }).fill("data.plan")
    await page.getByLabel("Value", { exact: true }).fill("pro")
    await page.getByText("2 of the last 8 events would go out.").waitFor()
    const tried = page.getByRole("table", { name: "The last events under this filter" })
    assert.equal(await tried.getByText("Passes", { exact: true }).count(), 2)
    assert.equal(await tried.getByText("Held back by this filter").count(), 2)
    assert.equal(await tried.getByText("Its type is off").count(), 4)
    await assertAccessible(page, "a filter that is tried")
  })

  await step("written as JSON, what is wrong is marked with line and column before it is saved", async () => {
    await page.getByText("JSON", { exact: true }).click()
    const json = page.getByRole("textbox", { name: "Filter as JSON" })
    assert.deepEqual(JSON.parse(await json.inputValue()), { eq: ["data.plan", "pro"] })
    await json.fill('{\n  "and": [\n    { "eq": ["data.plan" "pro"] }\n  ]\n}')
    await assertMarked(json, /Line 3, column 26: This is no JSON/)
    assert.equal(await page.getByRole("button", { name: "Save the filter" }).isDisabled(), true)
    await json.fill('{\n  "and": [\n    { "eq": ["data.plan", "pro"] },\n    { "above": ["data.amount", 5] }\n  ]\n}')
    const fault = page.getByRole("alert").filter({ hasText: "The filter is not right yet:" })
    await fault.getByText(/^Line 4, column \d+: .*above/).waitFor()
    await assertAccessible(page, "a filter that is wrong")
    await json.fill('{\n  "and": [\n    { "eq": ["data.plan", "pro"] },\n    { "gt": ["data.amount", 5] }\n  ]\n}')
    await fault.waitFor({ state: "detached" })
    await page.getByText("2 of the last 8 events would go out.").waitFor()
    await page.getByText("Conditions", { exact: true }).click()
    assert.equal(await page.getByLabel("Value", { exact: true }).nth(1).inputValue(), "5")
    const save = page.getByRole("button", { name: "Save the filter" })
    await save.focus()
    await page.keyboard.press("Enter")
    await page.getByText("Saved.", { exact: true }).waitFor()
  })

  await step("what would be sent of a past event that fits is one click away", async () => {
    await page.getByRole("link", { name: "See what would be sent" }).first().click()
    await page.getByRole("tabpanel", { name: "Test" }).waitFor()
    await page.getByRole("button", { name: "Show what would be sent" }).click()
    const body = page.getByRole("region", { name: "What would be sent" })
    await body.getByText('"plan": "pro"').waitFor()
    assert.equal(shop.requests.length, 6)
  })

  await step("from then on only what fits goes out, and the rest is listed with why it was not sent", async () => {
    await sendAll()
    const last = await shop.request(7)
    assert.equal(JSON.parse(last.body.toString()).data.plan, "pro")
    await openTab(page, "Events")
    const rows = page.getByRole("table", { name: "Last events" }).getByRole("row")
    await rows.nth(1).getByText("Delivered").waitFor()
    const why = rows.nth(2).getByRole("button")
    await why.focus()
    await page.keyboard.press("Enter")
    await page.getByRole("dialog", { name: "Why" }).getByText("What to do:").waitFor()
    await assertAccessible(page, "the reason for an event that was not sent")
    await page.keyboard.press("Escape")
    await page.getByRole("dialog", { name: "Why" }).waitFor({ state: "detached" })
    await hasFocus(why)
    assert.equal(shop.requests.length, 7)
  })

  await step(
    "a number of many digits is tried and kept as it was written, and a filter half written takes nothing away",
    async () => {
      await dashboard.call("POST", "/v1/events", '{"type":"order_paid","data":{"id":12345678901234567891}}')
      await dashboard.call("PATCH", `/v1/integrations/${id}`, '{"filter":{"eq":["data.id",12345678901234567890]}}')
      await dashboard.visit(`/integrations/${id}?tab=filter`)
      const value = page.getByLabel("Value", { exact: true })
      assert.equal(await value.inputValue(), "12345678901234567890")
      await page.getByText("0 of the last 13 events would go out.").waitFor()
      await value.fill("12345678901234567891")
      await page.getByText("1 of the last 13 events would go out.").waitFor()
      await page.getByText("JSON", { exact: true }).click()
      const json = page.getByRole("textbox", { name: "Filter as JSON" })
      for (const half of ['{"eq":["data.id"]}', '{"and":[]}']) {
        await json.fill(half)
        assert.equal(await json.inputValue(), half)
      }
      await json.fill('{"in":["data.id",[12345678901234567891]]}')
      await page.getByText("1 of the last 13 events would go out.").waitFor()
      await page.getByRole("button", { name: "Save the filter" }).click()
      await page.getByText("Saved.", { exact: true }).waitFor()
      assert.match(await json.inputValue(), /\n +12345678901234567891\n/)
      await openTab(page, "Changes")
      await page.getByText("[12345678901234567891]").first().waitFor()
    },
  )

  await step("a header whose secret is kept is not added once more, in whatever case", async () => {
    const headers = { "x-team": "blue" }
    await dashboard.call("PATCH", `/v1/integrations/${id}`, { config: { production: { headers } } })
    await dashboard.visit(`/integrations/${id}?tab=settings`)
    const name = page.getByRole("textbox", { name: "Name of another one" }).first()
    await name.fill("X-Team")
    await name.press("Enter")
    await assertMarked(name, /x-team is there already\. Change its value above/)
    assert.equal(await page.getByRole("textbox", { name: "x-team" }).inputValue(), "Kept, and not shown")
  })
})
