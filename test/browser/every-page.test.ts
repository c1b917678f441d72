/** What holds for every page of the dashboard, whatever it shows: the pages are those that its router knows. */
import assert from "node:assert/strict"
import { test } from "node:test"
import type { Page } from "playwright-core"
import { assertAccessible, assertFits, Dashboard } from "../help/dashboard.ts"
import { addressesOf, fillShop } from "../help/shop.ts"

/** Of the page, in functions that run there. */
declare const self: {
  readonly __TSR_ROUTER__: {
    readonly routesByPath: Readonly<Record<string, unknown>>
    navigate(to: { readonly href: string }): Promise<void>
  }
}
declare const requestAnimationFrame: (then: (at: number) => void) => void
declare const document: {
  readonly documentElement: { readonly style: { setProperty(name: string, value: string): void } }
  querySelector(selector: string): unknown
  querySelectorAll(selector: string): Iterable<{ readonly href: string; readonly innerText: string }>
}

/** Pages of one role at a time: as many as there are cores to show them. */
const WINDOWS = 2

/** What a page without a right to be there, or an address that leads nowhere, has as its title or its trouble. */
const nowhere = /^(There is no such page|Not found|This page cannot be shown)$/

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

const routesOf = (page: Page) => page.evaluate(() => Object.keys(self.__TSR_ROUTER__.routesByPath))

/** Goes to an address as a link does; resolves when its page has a heading and nothing on it loads any more. */
async function open(dashboard: Dashboard, page: Page, address: string): Promise<void> {
  if (page.url() === "about:blank") await dashboard.visit(address, page)
  else {
    await page.evaluate(async href => {
      await self.__TSR_ROUTER__.navigate({ href })
      // What a page does once it is drawn, such as naming the window.
      await new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))
    }, address)
  }
  await page.getByRole("heading", { level: 1 }).first().waitFor()
  await page.waitForFunction(() => document.querySelector('[aria-busy="true"], [aria-label="Loading"]') === null)
}

/** Axe's rules whose findings may differ in the dark, and where the page is narrow: the others need no second look. */
const changedByColours = ["color-contrast", "link-in-text-block"]
const changedByWidth = [
  "target-size",
  "scrollable-region-focusable",
  "aria-hidden-focus",
  "button-name",
  "label",
  "list",
]

/** Does something for each of many, each page doing one at a time. */
async function share<T>(pages: readonly Page[], many: Iterable<T>, work: (page: Page, one: T) => Promise<void>) {
  const queue = [...many].values()
  await Promise.all(
    pages.map(async page => {
      for (const one of queue) await work(page, one)
    }),
  )
}

/** Further windows with the same session. */
async function windowsOf(dashboard: Dashboard, page: Page): Promise<Page[]> {
  const storageState = await page.context().storageState()
  const more = Array.from({ length: WINDOWS - 1 }, () => dashboard.window({ storageState }))
  return [page, ...(await Promise.all(more))]
}

/** Pages for who is not signed in. */
const isForStrangers = (address: string) => /^\/(sign-in|setup|invitation|password-reset)/.test(address)

/** Links of a page within the dashboard, as path and query. */
async function linksOf(page: Page, url: string): Promise<string[]> {
  const all = await page.evaluate(() => [...document.querySelectorAll("a[href]")].map(({ href }) => href))
  return all.filter(href => href.startsWith(`${url}/`) && !href.includes("#")).map(href => href.slice(url.length))
}

/** Links that differ in ids only lead to the same page: which page, and by which parameters. */
function kindOf(link: string): string {
  const { pathname, searchParams } = new URL(link, "http://waybill.example")
  const path = pathname.replaceAll(/\/(?:[a-z]{3,4}_|cus_)\w+/g, "/…").replace(/^(\/event-types)\/.*/, "$1/…")
  return `${path}?${[...searchParams.keys()].toSorted().join("&")}`
}

const isFile = (link: string) => /^\/(v1|openapi|docs)\b/.test(link)

/** Holds each of many things, so that one run says all that is wrong. */
class Faults {
  readonly #found: string[] = []

  async hold(what: Promise<void>): Promise<void> {
    await what.catch((error: Error) => this.#found.push(error.message))
  }

  assertNone(): void {
    assert.deepEqual(this.#found, [])
  }
}

test("every page is readable in light and dark, down to 320 px, by who cannot see, and none of its links leads nowhere", async t => {
  const dashboard = await Dashboard.ofOwner(t)
  await using shop = await fillShop({ call: (...asked) => dashboard.call(...asked), days: 0 })
  const { page, waybill } = dashboard
  const addresses = addressesOf(await routesOf(page), shop)
  const titles = new Map<string, string>()
  const links = new Map<string, string>()
  const faults = new Faults()
  const pages = await windowsOf(dashboard, page)
  await share(pages, addresses, async (each, address) => {
    await open(dashboard, each, address)
    const path = new URL(each.url()).pathname
    const title = await each.title()
    assert.match(title, / · Waybill$/, `the title of ${address}`)
    assert.equal(titles.get(title) ?? path, path, `two pages have the title ${title}`)
    titles.set(title, path)
    await faults.hold(assertAccessible(each, address))
    for (const link of await linksOf(each, waybill.url)) if (!links.has(kindOf(link))) links.set(kindOf(link), link)
    await each.emulateMedia({ colorScheme: "dark" })
    await faults.hold(assertAccessible(each, `${address} in the dark`, changedByColours))
    await each.emulateMedia({ colorScheme: "light" })
    for (const width of [360, 320]) {
      await each.setViewportSize({ width, height: 740 })
      await faults.hold(assertFits(each, `${address} at ${width} px`))
    }
    await faults.hold(assertAccessible(each, `${address} at 320 px`, changedByWidth))
    await each.setViewportSize({ width: 1_280, height: 800 })
    // Text at 200 %, as a browser's own setting has it: whatever is measured in rem grows with it.
    await each.evaluate(() => document.documentElement.style.setProperty("font-size", "200%"))
    await faults.hold(assertFits(each, `${address} with text at 200 %`))
    await each.evaluate(() => document.documentElement.style.setProperty("font-size", ""))
  })
  faults.assertNone()
  const seen = new Set(addresses.map(kindOf))
  await share(pages, links, async (each, [kind, link]) => {
    if (seen.has(kind)) return
    if (isFile(link)) {
      assert.ok((await each.request.get(waybill.url + link)).ok(), `${link} leads nowhere`)
      return
    }
    await open(dashboard, each, link)
    const said = await each.getByRole("heading", { level: 1 }).or(each.getByRole("alert")).allInnerTexts()
    const lines = said.flatMap(text => text.split("\n"))
    assert.deepEqual(
      lines.filter(line => nowhere.test(line)),
      [],
      `${link} leads nowhere`,
    )
  })
})

test("every page says what to do while there is nothing, when Waybill fails, and when it cannot be reached", async t => {
  const dashboard = await Dashboard.ofOwner(t)
  const { page, waybill } = dashboard
  const faults = new Faults()
  const pages = await windowsOf(dashboard, page)
  await share(pages, Object.entries(whileEmpty), async (each, [address, words]) => {
    await open(dashboard, each, address)
    await each.getByText(words).first().waitFor()
    await faults.hold(assertAccessible(each, `${address} while there is nothing`))
  })
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

/** What each role must not have before it, on any page. */
const hidden = {
  viewer: /Bearer 6f1c2d5e8a|whsec_\w|@mail\.example|"country"/,
  support: /Bearer 6f1c2d5e8a|whsec_\w/,
}

/** Buttons of what only others may do. */
const notForViewers =
  /^(Save|Retry now|Replay|Make|Invite|Revoke|Remove|Add|Rotate|Pause the|Resume|Enable|Disable|Switch o(n|ff)\b|Verify|Send test)/

test("viewers and support see no secret, no button that they may not use, and who could, in place of pages not for them", async t => {
  const dashboard = await Dashboard.ofOwner(t)
  await using shop = await fillShop({ call: (...asked) => dashboard.call(...asked), days: 0 })
  const addresses = addressesOf(await routesOf(dashboard.page), shop).filter(address => !isForStrangers(address))
  const faults = new Faults()
  await Promise.all(
    (["viewer", "support"] as const).map(async role => {
      const page = await dashboard.ofPerson(`${role}@northwind.example`, role)
      const refused: string[] = []
      page.on("response", response => {
        if (response.status() === 403) refused.push(`${response.request().method()} ${response.url()} on ${page.url()}`)
      })
      for (const address of addresses) {
        await open(dashboard, page, address)
        const main = page.getByRole("main")
        const text = await main.innerText()
        const found = hidden[role].exec(text)
        if (found !== null) await faults.hold(Promise.reject(new Error(`${role} reads "${found[0]}" on ${address}`)))
        if (/Your role does not show this/.test(text)) {
          assert.match(text, /Ask an owner or admin of the project/, `${address} says to ${role} whom to ask`)
        }
        const buttons = await main.getByRole("button").or(main.getByRole("menuitem")).allInnerTexts()
        const wrong = role === "viewer" ? buttons.filter(name => notForViewers.test(name)) : []
        if (wrong.length > 0) await faults.hold(Promise.reject(new Error(`${role} has ${wrong} on ${address}`)))
        await faults.hold(assertAccessible(page, `${address} as ${role}`, ["aria-valid-attr-value", "button-name"]))
      }
      assert.deepEqual(refused, [], `pages ask for what ${role} may not have`)
    }),
  )
  faults.assertNone()
})
