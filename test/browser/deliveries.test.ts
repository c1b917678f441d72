/** The lists beside the feed: deliveries, the events of one customer, what was refused, and what was sent again. */
import assert from "node:assert/strict"
import { test } from "node:test"
import type { Locator, Page } from "playwright-core"
import { assertAccessible, assertFits, Dashboard } from "../help/dashboard.ts"
import { Endpoint } from "../help/endpoint.ts"
import { call, newSecret } from "../help/waybill.ts"

test("a support person follows failed deliveries, one customer, a refused request and a recovery", async t => {
  const dashboard = await Dashboard.ofOwner(t)
  const { waybill } = dashboard

  const support = await dashboard.ofPerson("sam@shop.example", "support")
  // Before anything came each list says what it is for.
  for (const [path, empty] of [
    ["/deliveries", "No deliveries yet"],
    ["/rejections", "Nothing was refused in the last 7 days"],
    ["/recoveries", "No recoveries in the last 30 days"],
    ["/profiles/nobody", "No events of this profile"],
  ] as const) {
    await dashboard.visit(path, support)
    await support.getByText(empty).waitFor()
    await assertAccessible(support, `${path} with nothing in it`)
  }

  await using crm = await Endpoint.open({ status: 422, body: '{"error":"no such plan"}' })
  await using mail = await Endpoint.open({ body: '{"id":"mail-9"}' })
  const make = async (name: string, url: string) => {
    const made = await dashboard.call("POST", "/v1/integrations", {
      name,
      secret: newSecret(),
      config: { production: { url }, verification: "none", destination_record: { pointer: "/id" } },
      policy: { preset: "standard", retry_delays_ms: [] },
    })
    return (made as { id: string }).id
  }
  await make("CRM", crm.url())
  await make("Mail", mail.url())
  for (const user of ["user-1", "user-2"]) {
    for (const type of ["plan.chosen", "plan.paid"]) {
      const event = {
        type,
        profile_id: user,
        source_record: `${type}-${user}`,
        app: "ios",
        device_id: "phone-1",
        data: {},
      }
      await dashboard.call("POST", "/v1/events", event)
    }
  }
  await crm.received(4)
  await mail.received(4)
  const malformed = '{"type":"plan.paid","profile_id":"user-9","data":'
  await assert.rejects(call(waybill, "POST", "/v1/events", malformed), /400/)
  await assert.rejects(call(waybill, "POST", "/v1/events", { profile_id: "user-9", data: {} }), /422/)

  // Deliveries: by a view, by filters, by what the other side calls it.
  await support.getByRole("link", { name: "Deliveries", exact: true }).click()
  await support
    .getByRole("row", { name: /Mail Delivered/ })
    .nth(3)
    .waitFor()
  await support.getByRole("button", { name: "Views" }).click()
  await support.getByRole("menuitem", { name: "Failed" }).click()
  const rows = support.getByRole("table", { name: "Deliveries" }).getByRole("row")
  await rows.filter({ hasText: "Mail" }).first().waitFor({ state: "detached" })
  await rows.filter({ hasText: "CRM" }).nth(3).waitFor()
  assert.equal(await rows.count(), 1 + 4)
  await support.getByRole("button", { name: /422/ }).first().hover()
  await support.getByRole("dialog", { name: "Why" }).getByText("What to do:").waitFor()
  await assertAccessible(support, "deliveries, with a reason open")
  await support.keyboard.press("Escape")
  await support.getByRole("button", { name: "Clear all" }).click()
  await support.getByRole("textbox", { name: "Destination record" }).fill("mail-9")
  await support.getByRole("textbox", { name: "Destination record" }).press("Enter")
  await rows.filter({ hasText: "CRM" }).first().waitFor({ state: "detached" })
  await rows.filter({ hasText: "mail-9" }).nth(3).waitFor()
  assert.equal(await rows.count(), 1 + 4)
  assert.equal(new URL(support.url()).search, "?destination_record=mail-9")
  await support.getByRole("textbox", { name: "Destination record" }).fill("mail-10")
  await support.getByRole("textbox", { name: "Destination record" }).press("Enter")
  await support.getByText("No delivery fits").waitFor()
  await assertAccessible(support, "a search for deliveries in vain")
  await support.getByRole("button", { name: "Clear all" }).click()
  await rows.filter({ hasText: "CRM" }).getByRole("link", { name: "plan.paid" }).first().click()
  await support.getByRole("region", { name: "At each integration" }).getByText("no such plan").waitFor()

  // One customer, on a page of their own.
  await support.getByRole("main").getByRole("link", { name: "user-2", exact: true }).click()
  await support.getByText("Apps: ios").waitFor()
  await support.getByText("Devices: phone-1").waitFor()
  const theirs = support.getByRole("table", { name: "Events of the profile, newest first" })
  await theirs.getByRole("row", { name: /plan\.paid plan\.paid-user-2/ }).waitFor()
  assert.equal(await theirs.getByRole("row", { name: /user-1/ }).count(), 0)
  await assertAccessible(support, "the page of a profile")
  await support.getByRole("link", { name: "Filter its events" }).click()
  await support.getByText("Profile: user-2").waitFor()

  // What was refused: with the sentence that its sender got, and with what came.
  await support.getByRole("link", { name: "Rejected requests", exact: true }).click()
  const rejected = support.getByRole("table", { name: "Rejected requests, newest first" })
  await rejected.getByRole("row").filter({ hasText: "422" }).getByRole("button", { name: /^More/ }).click()
  await support.getByText("What the sender does about it").waitFor()
  await rejected.getByText("user-9").waitFor()
  await assertAccessible(support, "a rejected request")
  await rejected.getByRole("button", { name: /^Less/ }).click()
  await rejected.getByRole("row").filter({ hasText: "400" }).getByRole("button", { name: /^More/ }).click()
  await rejected.getByText(malformed).waitFor()

  // The endpoint is mended: what failed is counted first, then sent again, and stands in the list.
  crm.play({ body: '{"id":"crm-1"}' })
  await support.getByRole("link", { name: "Recoveries", exact: true }).click()
  await support.getByRole("link", { name: "Recover events" }).click()
  await support.getByRole("button", { name: /^Count/ }).click()
  await support.getByText("4 would be sent").waitFor()
  await assertAccessible(support, "a recovery that has been counted")
  await support.getByRole("button", { name: /^Send/ }).click()
  await crm.received(8)
  await support.getByText("Done").first().waitFor()
  await support.getByText("4 found, 4 delivered").waitFor()
  await assertAccessible(support, "the page of a recovery")
  await support.getByRole("link", { name: "Recoveries", exact: true }).first().click()
  await support
    .getByRole("table", { name: "Recoveries, newest first" })
    .getByRole("row", { name: /Done CRM/ })
    .waitFor()
  await assertAccessible(support, "the list of recoveries")

  // On a phone, in the dark.
  await support.setViewportSize({ width: 360, height: 740 })
  await support.emulateMedia({ colorScheme: "dark" })
  for (const [path, seen] of [
    ["/deliveries", "mail-9"],
    ["/rejections", "422"],
    ["/recoveries", "Done"],
    ["/profiles/user-2", "plan.paid-user-2"],
  ] as const) {
    await dashboard.visit(path, support)
    await shown(support, seen).waitFor()
    await assertFits(support, path)
    await assertAccessible(support, `${path} on a phone, in the dark`)
  }
})

function shown(page: Page, text: string): Locator {
  return page.getByRole("row").filter({ hasText: text }).first()
}
