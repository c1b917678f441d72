/** The feed of events: an engineer watches events arrive, reads while more come, finds some again, and learns why others are not there. */
import assert from "node:assert/strict"
import { test } from "node:test"
import type { Locator, Page } from "playwright-core"
import { assertAccessible, assertFits, Dashboard } from "../help/dashboard.ts"
import { Endpoint } from "../help/endpoint.ts"
import { StreamListener } from "../help/stream-listener.ts"
import { until } from "../help/system-ledger.ts"
import { call, createWebhook, newSecret } from "../help/waybill.ts"

/** Of the page, in functions that run there. */
declare const requestAnimationFrame: (then: () => void) => void

test("an engineer watches events arrive, reads on while more come, holds them back and lets them in", async t => {
  const dashboard = await Dashboard.ofOwner(t)
  const { page, waybill } = dashboard
  await using works = await Endpoint.open()
  await using fails = await Endpoint.open({ status: 500, body: '{"error":"out of ink"}' })
  await createWebhook(waybill, { name: "Works", url: works.url(), secret: newSecret() })
  const printer = { name: "Printer", url: fails.url(), secret: newSecret() }
  await createWebhook(waybill, { ...printer, policy: { preset: "standard", retry_delays_ms: [3_600_000] } })
  await createWebhook(waybill, {
    name: "Only refunds",
    url: works.url("/refunds"),
    secret: newSecret(),
    events: { default: "off", types: { "order.refunded": {} } },
  })
  const send = (n: number) =>
    dashboard.call("POST", "/v1/events", { type: "order.paid", source_record: `order-${n}`, data: { n } })

  // Nothing has come yet: the page says how to send something.
  await dashboard.visit("/events")
  await page.getByText("No events yet").waitFor()
  await page.getByText(`curl -sS ${waybill.url}/v1/events`).waitFor()
  await live(page).getByText("Live").waitFor()
  await assertAccessible(page, "the feed with nothing in it")

  // It comes by itself, with what became of it at each integration: shape and word, not colour alone.
  await send(1)
  const feed = page.getByRole("region", { name: "Events, newest first" })
  const first = row(page, "order-1")
  await first.getByText("Retrying").waitFor()
  await outcome(page, "Works", "Delivered").waitFor()
  await outcome(page, "Printer", "Retrying").waitFor()
  await outcome(page, "Only refunds", "Not sent").waitFor()
  const shapes = await feed
    .getByRole("button")
    .locator("svg")
    .evaluateAll(all => all.map(each => each.innerHTML))
  assert.equal(new Set(shapes).size, 3, "each outcome has a shape of its own")
  await page.mouse.move(640, 20)
  await assertAccessible(page, "the feed with an event")

  // While the pointer is on the table nothing moves under it; what came is a button away, and told politely.
  for (let n = 2; n <= 30; n++) await send(n)
  await row(page, "order-30").waitFor()
  await row(page, "order-29").hover()
  const before = await row(page, "order-29").boundingBox()
  for (let n = 31; n <= 33; n++) await send(n)
  await page.getByRole("button", { name: "3 new events" }).waitFor()
  await page.getByRole("status").getByText("new events are held back").waitFor({ state: "attached" })
  assert.deepEqual(await row(page, "order-29").boundingBox(), before, "the row stands where it stood")
  await assertAccessible(page, "the feed with events held back")
  await page.getByRole("button", { name: "3 new events" }).click()
  await row(page, "order-33").waitFor()

  // The same further down, and with the focus in the table: it is not taken away.
  await feed.hover()
  const top = () => row(page, "order-33").evaluateAll(all => all.map(each => each.getBoundingClientRect().y)[0])
  const before33 = await top()
  await page.mouse.wheel(0, 900)
  // The wheel is answered before its scrolling has begun.
  await until("it is scrolled", 15_000, async () => (await top()) !== before33)
  const under = page.getByText("order-14", { exact: true })
  await standsStill(under)
  await page.mouse.move(640, 20)
  const place = await under.boundingBox()
  await send(34)
  await page.getByRole("button", { name: "1 new event" }).waitFor()
  assert.deepEqual(await under.boundingBox(), place)
  await page.getByRole("button", { name: "1 new event" }).click()
  await row(page, "order-34").waitFor()
  const link = row(page, "order-34").getByRole("link", { name: "order.paid" })
  await link.focus()
  await send(35)
  await page.getByRole("button", { name: "1 new event" }).waitFor()
  assert.ok(await link.evaluate(each => each === each.ownerDocument.activeElement), "the focus stays")
  await page.getByRole("button", { name: "1 new event" }).click()

  // Paused, everything stands still, until it is resumed.
  await page.getByRole("button", { name: "Pause" }).click()
  await page.getByRole("status").getByText("Paused").waitFor()
  await send(36)
  await page.getByRole("button", { name: "1 new event" }).waitFor()
  assert.equal(await row(page, "order-36").count(), 0)
  await page.getByRole("button", { name: "Resume" }).click()
  await row(page, "order-36").waitFor()
  await live(page).getByText("Live").waitFor()
})

test("resumed further down, a row goes on from where it is: it is not put back to how it stood while the feed was paused", async t => {
  const dashboard = await Dashboard.ofOwner(t)
  const { page, waybill } = dashboard
  await using printer = await Endpoint.open({ status: 500 }, { status: 500 }, { status: 200 })
  await createWebhook(waybill, {
    name: "Printer",
    url: printer.url(),
    secret: newSecret(),
    policy: { preset: "standard", retry_delays_ms: [3_600_000, 3_600_000] },
    events: { default: "off", types: { "order.paid": {} } },
  })
  const send = (type: string, record: string) =>
    dashboard.call("POST", "/v1/events", { type, source_record: record, data: {} })
  for (let n = 1; n <= 24; n++) await send("note", `note-${n}`)
  await send("order.paid", "order")
  for (let n = 25; n <= 30; n++) await send("note", `note-${n}`)
  using listener = await StreamListener.open(waybill)
  const tryAgain = async (attempt: number) => {
    const { data } = (await dashboard.call("GET", "/v1/deliveries")) as { data: { id: string }[] }
    await dashboard.call("POST", `/v1/deliveries/${data[0]?.id}/retry`)
    await listener.find(({ name, data }) => name === "attempt" && data["number"] === attempt)
  }
  await dashboard.visit("/events")
  await outcome(page, "Printer", "Retrying").waitFor()
  await live(page).getByText("Live").waitFor()

  await page.getByRole("button", { name: "Pause" }).click()
  await tryAgain(2)
  await send("note", "note-31")
  await page.getByRole("button", { name: "1 new event" }).waitFor()
  await page.getByRole("region", { name: "Events, newest first" }).evaluate(
    each =>
      new Promise<void>(resolve => {
        each.addEventListener("scroll", () => resolve(), { once: true })
        each.scrollTo(0, 100)
      }),
  )
  await page.getByRole("button", { name: "Resume" }).click()
  await live(page).getByText("Live").waitFor()
  await tryAgain(3)
  await outcome(page, "Printer", "Delivered").waitFor()
  await page.getByRole("button", { name: "1 new event" }).click()
  await row(page, "note-31").waitFor()
  assert.equal(
    await outcome(page, "Printer", "Delivered").count(),
    1,
    "what came while it was paused is not shown again",
  )
})

test("a tab that is hidden just as an event comes takes it in all the same, and those that follow", async t => {
  const dashboard = await Dashboard.ofOwner(t)
  const { page } = dashboard
  // A hidden page draws no frames, those that it asked for before either; the browser of a test shows all its pages.
  await page.addInitScript(`{
    const request = requestAnimationFrame.bind(window)
    let isHidden = false
    let isWithheld = false
    Object.defineProperty(document, "hidden", { get: () => isHidden })
    const awaited = Promise.withResolvers()
    window.requestAnimationFrame = draw => (isWithheld ? awaited.resolve() ?? 0 : request(draw))
    window.withholdFrames = () => { isWithheld = true }
    window.untilFrameAwaited = () => awaited.promise
    window.hide = () => { isHidden = true; document.dispatchEvent(new Event("visibilitychange")) }
  }`)
  const send = (n: number) =>
    dashboard.call("POST", "/v1/events", { type: "note", source_record: `note-${n}`, data: {} })
  await send(1)
  await dashboard.visit("/events")
  await row(page, "note-1").waitFor()
  await live(page).getByText("Live").waitFor()
  await page.mouse.move(640, 20)
  await page.evaluate("withholdFrames()")
  await send(2)
  await page.evaluate("untilFrameAwaited()")
  await page.evaluate("hide()")
  await row(page, "note-2").waitFor()
  await send(3)
  await row(page, "note-3").waitFor()
})

test("the reason opens by pointer, by key and by finger, can be read in peace, and goes with Escape", async t => {
  const dashboard = await Dashboard.ofOwner(t)
  const { page, waybill } = dashboard
  await using fails = await Endpoint.open({ status: 401, body: "who are you?" })
  const policy = { preset: "standard", retry_delays_ms: [] }
  await createWebhook(waybill, { name: "Analytics", url: fails.url(), secret: newSecret(), policy })
  await dashboard.call("POST", "/v1/events", { type: "app.opened", profile_id: "user-1", data: {} })
  await fails.received(1)
  await dashboard.visit("/events")
  const failed = outcome(page, "Analytics", "Failed")
  const why = page.getByRole("dialog", { name: "Why" })

  // By pointer: it stays while the pointer is over it.
  await failed.hover()
  await assertSaysWhy(why)
  await assertAccessible(page, "a reason in the feed")
  await why.getByText("What to do:").hover()
  await assertSaysWhy(why)
  await page.keyboard.press("Escape")
  await why.waitFor({ state: "detached" })
  await page.mouse.move(640, 20)

  // By key: it opens with the focus, and Escape closes it without taking the focus away.
  await page.getByRole("link", { name: "app.opened" }).focus()
  while (!(await failed.evaluate(each => each === each.ownerDocument.activeElement))) await page.keyboard.press("Tab")
  await assertSaysWhy(why)
  await page.keyboard.press("Escape")
  await why.waitFor({ state: "detached" })
  assert.ok(await failed.evaluate(each => each === each.ownerDocument.activeElement), "the focus stays")
  await page.keyboard.press("Enter")
  await assertSaysWhy(why)

  // By finger, on a phone in the dark; a tap elsewhere closes it.
  const phone = await dashboard.window({ width: 360, height: 740, hasTouch: true, colorScheme: "dark" })
  await phone.context().addCookies(await page.context().cookies())
  await dashboard.visit("/events", phone)
  // What is above the table has its height by then: a tap goes where it was meant to.
  await phone.getByText("Live", { exact: true }).waitFor()
  await outcome(phone, "Analytics", "Failed").tap()
  const there = phone.getByRole("dialog", { name: "Why" })
  await assertSaysWhy(there)
  const box = await there.boundingBox()
  assert.ok(box !== null && box.x >= 0 && box.x + box.width <= 360, "all of it is on the screen")
  await assertFits(phone, "the feed on a phone")
  await assertAccessible(phone, "a reason on a phone, in the dark")
  await phone.getByRole("heading", { level: 1 }).tap()
  await there.waitFor({ state: "detached" })
})

test("filters stand in the address: they survive a reload, can be shared and kept as a view; a search in vain shows what was refused", async t => {
  const dashboard = await Dashboard.ofOwner(t)
  const { page, waybill } = dashboard
  await using shop = await Endpoint.open({ status: 503 })
  await createWebhook(waybill, { name: "Shop", url: shop.url(), secret: newSecret(), policy: { preset: "standard" } })
  for (const [type, user, environment] of [
    ["trial.started", "user-1", "sandbox"],
    ["trial.started", "user-2", "production"],
    ["trial.ended", "user-2", "production"],
  ]) {
    await dashboard.call("POST", "/v1/events", { type, profile_id: user, environment, data: {} })
  }
  const refused = { type: "trial.started", profile_id: "user-77", occurred_at: "yesterday", data: {} }
  await assert.rejects(call(waybill, "POST", "/v1/events", refused), /422/)
  await dashboard.visit("/events")
  await row(page, "user-1").waitFor()

  // Set in the form, step by step.
  await page.getByRole("button", { name: "Filters", exact: true }).click()
  await page.getByRole("combobox", { name: "Type" }).fill("trial.*")
  await page.getByRole("combobox", { name: "Type" }).press("Enter")
  await page.getByRole("combobox", { name: "Environment" }).click()
  await page.getByRole("option", { name: "Production" }).click()
  await row(page, "user-1").waitFor({ state: "detached" })
  await page.getByRole("textbox", { name: "Profile" }).fill("user-2")
  await page.getByRole("textbox", { name: "Profile" }).press("Enter")
  await page.getByRole("group", { name: "Filters that are set" }).getByText("Profile: user-2").waitFor()
  await assertAccessible(page, "the filters of the feed")
  assert.deepEqual(Object.fromEntries(new URL(page.url()).searchParams), {
    type: "trial.*",
    environment: "production",
    profile_id: "user-2",
  })
  await assertTypes(page, ["trial.ended", "trial.started"])

  // Read anew, and by whom the address is sent to; what fits goes on coming, and nothing else.
  await page.reload()
  await assertTypes(page, ["trial.ended", "trial.started"])
  const colleague = await dashboard.ofPerson("kim@shop.example", "viewer")
  await colleague.goto(page.url())
  await assertTypes(colleague, ["trial.ended", "trial.started"])
  await live(colleague).getByText("Live").waitFor()
  const more = { type: "trial.converted", profile_id: "user-2", data: {} }
  await dashboard.call("POST", "/v1/events", { ...more, profile_id: "user-3" })
  await dashboard.call("POST", "/v1/events", more)
  await assertTypes(colleague, ["trial.converted", "trial.ended", "trial.started"])

  // Kept under a name, and found under it.
  await page.getByRole("button", { name: "Views" }).click()
  await page.getByRole("menuitem", { name: "Save these filters…" }).click()
  const naming = page.getByRole("dialog", { name: "Your views" })
  await naming.getByLabel("Name").fill("Trials of user 2")
  await assertAccessible(page, "naming a view")
  await naming.getByRole("button", { name: "Save" }).click()
  await naming.waitFor({ state: "detached" })
  await page.getByRole("button", { name: "Clear all" }).click()
  await row(page, "user-1").waitFor()
  await page.getByRole("button", { name: "Take away" }).first().waitFor({ state: "detached" })
  await page.reload()
  await page.getByRole("button", { name: "Views" }).click()
  await page.getByRole("menuitem", { name: "Trials of user 2" }).click()
  await assertTypes(page, ["trial.converted", "trial.ended", "trial.started"])
  await page.getByRole("button", { name: "Take away: Type" }).click()
  await page.getByRole("button", { name: "Views" }).click()
  await page.getByRole("menuitem", { name: "Sandbox" }).click()
  await assertTypes(page, ["trial.started"])

  // By times: one that has passed can bring nothing new.
  await dashboard.visit("/events?to=2020-01-01T00:00:00Z")
  await page.getByText("The search ends in the past, so nothing new can come.").waitFor()

  // What is nowhere may have been refused: the sentence that its sender got stands here.
  await dashboard.visit("/events?profile_id=user-77")
  await page.getByText("No event fits").waitFor()
  const rejected = page.getByRole("table", { name: "Refused requests" }).getByRole("row").filter({ hasText: "user-77" })
  await rejected.getByText("occurred_at").first().waitFor()
  await rejected.getByRole("cell", { name: "422" }).waitFor()
  await assertAccessible(page, "a search in vain")
  await page.getByRole("button", { name: "Clear the filters" }).click()
  await row(page, "user-1").waitFor()
})

/** Where the page says whether it is live. */
function live(page: Page): Locator {
  return page.getByRole("status")
}

/** The row of an event in which a text stands. */
function row(page: Page, text: string): Locator {
  return page
    .getByRole("region", { name: "Events, newest first" })
    .getByRole("row")
    .filter({ has: page.getByText(text, { exact: true }) })
}

/** What became of an event at an integration. */
function outcome(page: Page, integration: string, word: string): Locator {
  return page.getByRole("button", { name: new RegExp(`^${integration} ?: ${word}$`) })
}

async function assertSaysWhy(why: Locator): Promise<void> {
  await why.getByText("401").first().waitFor()
  await why.getByText("What to do:").waitFor()
}

/** The types of the events that are shown, in their order, once they are there. */
async function assertTypes(page: Page, expected: readonly string[]): Promise<void> {
  const links = page.getByRole("region", { name: "Events, newest first" }).getByRole("link")
  await links.nth(expected.length - 1).waitFor()
  await links.nth(expected.length).waitFor({ state: "detached" })
  assert.deepEqual(await links.allInnerTexts(), expected)
}

/** Resolves when something that is scrolled is in the same place for three frames. */
async function standsStill(what: Locator): Promise<void> {
  await what.evaluate(
    each =>
      new Promise<void>(resolve => {
        let [place, frames] = [Number.NaN, 0]
        const look = (): void => {
          const { y } = each.getBoundingClientRect()
          frames = y === place ? frames + 1 : 1
          place = y
          if (frames === 3) resolve()
          else requestAnimationFrame(look)
        }
        look()
      }),
  )
}
