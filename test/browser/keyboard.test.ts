/** The dashboard by keyboard alone, with a focus that is always seen (WCAG 2.1.1, 2.4.1, 2.4.7, 2.4.11). */
import assert from "node:assert/strict"
import { test } from "node:test"
import type { Page } from "playwright-core"
import { assertAccessible, Dashboard, owner } from "../help/dashboard.ts"
import { Endpoint } from "../help/endpoint.ts"
import { createWebhook, newSecret } from "../help/waybill.ts"

/** What has the focus: what it is called, and whether whoever sees the page can tell. */
interface Focused {
  readonly name: string
  readonly isMarked: boolean
  readonly isCovered: boolean
}

/** Of the page, in functions that run there. */
interface Element {
  readonly textContent: string | null
  readonly labels?: Iterable<Element>
  readonly parentElement: Element | null
  getAttribute(name: string): string | null
  contains(other: Element | null): boolean
  getBoundingClientRect(): {
    readonly left: number
    readonly top: number
    readonly width: number
    readonly height: number
  }
}
declare const document: {
  readonly activeElement: Element
  getAnimations(): readonly unknown[]
  elementFromPoint(x: number, y: number): Element | null
}
declare const getComputedStyle: (element: Element) => {
  readonly outlineStyle: string
  readonly outlineWidth: string
  readonly boxShadow: string
  readonly borderColor: string
}

/** More stops than any page has on the way to something. */
const MOST_STOPS = 120

function focused(page: Page): Promise<Focused> {
  return page.evaluate(() => {
    const element = document.activeElement
    const label = [...(element.labels ?? [])][0]?.textContent
    const { left, top, width, height } = element.getBoundingClientRect()
    const over = document.elementFromPoint(left + width / 2, top + Math.min(height / 2, 20))
    const { outlineStyle, outlineWidth, boxShadow } = getComputedStyle(element)
    return {
      name: (element.getAttribute("aria-label") ?? label ?? element.textContent ?? "").trim(),
      // A field shows it by its border, whose colour differs from that of its neighbours; all else by an outline.
      isMarked:
        (outlineStyle !== "none" && outlineWidth !== "0px") || boxShadow !== "none" || element.labels !== undefined,
      isCovered: over !== null && !element.contains(over) && !over.contains(element),
    }
  })
}

/** Presses Tab until what is called so has the focus; each stop on the way is seen. */
async function tabTo(page: Page, name: RegExp): Promise<void> {
  const stops: string[] = []
  while (stops.length < MOST_STOPS) {
    await page.keyboard.press("Tab")
    const stop = await focused(page)
    stops.push(stop.name)
    assert.ok(stop.isMarked, `nobody sees that "${stop.name}" has the focus`)
    assert.ok(!stop.isCovered, `"${stop.name}" has the focus and is hidden behind something`)
    if (name.test(stop.name)) return
  }
  assert.fail(`Tab never comes to ${name}, but to: ${stops.join(" | ")}`)
}

test("somebody without a pointer signs in, finds the failed event, reads the reason, opens it and sends it again", async t => {
  const dashboard = await Dashboard.ofOwner(t)
  const { waybill } = dashboard
  await using shop = await Endpoint.open({ status: 404, body: "no such hook" })
  const policy = { retry_delays_ms: [], stop: "404" }
  await createWebhook(waybill, { name: "Shop backend", url: shop.url(), secret: newSecret(), policy })
  await dashboard.call("POST", "/v1/events", { type: "order.paid", profile_id: "cus_1", data: { amount: 12.5 } })
  await shop.received(1)

  const page = await dashboard.window()
  await dashboard.visit("/events", page)
  await page.getByRole("heading", { level: 1, name: "Sign in to Waybill" }).waitFor()
  await tabTo(page, /^E-mail/)
  await page.keyboard.type(owner.email)
  await tabTo(page, /^Password/)
  await page.keyboard.type(owner.password)
  await page.keyboard.press("Enter")

  // Whoever signs in is led to where they wanted to go; the first stop there leads past the menu.
  await page.getByRole("heading", { level: 1, name: "Events" }).waitFor()
  await page.getByText("order.paid").first().waitFor()
  await tabTo(page, /^Skip to the content$/)
  await assertAccessible(page, "the link that skips the menu")
  await page.keyboard.press("Enter")
  await tabTo(page, /^(Pause|Find by any id)/)

  // The reason opens on focus, and goes with Escape while the focus stays.
  await tabTo(page, /Shop backend/)
  await page.keyboard.press("Enter")
  await page
    .getByText(/^What to do:/)
    .first()
    .waitFor()
  await assertAccessible(page, "a reason that was opened by key")
  await page.keyboard.press("Escape")
  await page
    .getByText(/^What to do:/)
    .first()
    .waitFor({ state: "hidden" })
  assert.match((await focused(page)).name, /Shop backend/)

  // Backwards: the event stands before what became of it.
  for (let stops = 0; stops < MOST_STOPS && !/^order\.paid/.test((await focused(page)).name); stops++) {
    await page.keyboard.press("Shift+Tab")
  }
  await page.keyboard.press("Enter")
  await page.getByRole("heading", { level: 1, name: "order.paid" }).waitFor()

  // The time in the reader's zone, and on focus as ISO.
  await page.getByRole("time").or(page.locator("time[tabindex]")).first().focus()
  await page.getByText(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d+Z · shown in /).waitFor()
  await page.keyboard.press("Escape")

  shop.play({ status: 200 })
  await tabTo(page, /^Retry now/)
  await page.keyboard.press("Enter")
  await shop.received(2)
  await page.getByText("Delivered").first().waitFor()
  await assertAccessible(page, "an event that was sent again by key")

  // Nothing moves for who has asked for that.
  const moving = await page.evaluate(() => document.getAnimations().length)
  assert.equal(moving, 0, "with reduced motion nothing moves")
})
