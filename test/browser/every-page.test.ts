/** What holds for every page of the dashboard, whatever it shows: the pages are those that its router knows. */
import assert from "node:assert/strict"
import { test } from "node:test"
import type { Page } from "playwright-core"
import { assertAccessible, assertFits, Dashboard } from "../help/dashboard.ts"
import { Faults, openPage, routesOf, share, windowsOf } from "../help/every-page.ts"
import { addressesOf, fillShop } from "../help/shop.ts"

/** Of the page, in functions that run there. */
declare const document: {
  readonly documentElement: { readonly style: { setProperty(name: string, value: string): void } }
  querySelectorAll(selector: string): Iterable<{ readonly href: string }>
  readonly body: { append(element: object): void }
  createElement(name: string): object
  getElementById(id: string): { remove(): void } | null
}

/** What a page without a right to be there, or an address that leads nowhere, has as its title or its trouble. */
const nowhere = /^(There is no such page|Not found|This page cannot be shown)$/

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

/** Who finds nothing in a page has to find something in one that is at fault. */
async function assertAxeLooks(page: Page): Promise<void> {
  await page.evaluate(() => {
    // Trusted types let no text become markup.
    document.body.append(Object.assign(document.createElement("img"), { id: "at-fault", src: "data:," }))
  })
  await assert.rejects(assertAccessible(page, "a page with a picture that has no words"), /image-alt .* at #at-fault/)
  await page.evaluate(() => document.getElementById("at-fault")?.remove())
}

test("every page is readable in light and dark, down to 320 px, by who cannot see, and none of its links leads nowhere", async t => {
  const dashboard = await Dashboard.ofOwner(t)
  await using shop = await fillShop({ call: (...asked) => dashboard.call(...asked), days: 0 })
  const { page, waybill } = dashboard
  const addresses = addressesOf(await routesOf(page), shop)
  const titles = new Map<string, string>()
  const links = new Map<string, string>()
  const faults = new Faults()
  await assertAxeLooks(page)
  const pages = await windowsOf(dashboard, page)
  await share(pages, addresses, async (each, address) => {
    await openPage(dashboard, each, address)
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
    for (const width of [1_920, 360, 320]) {
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
    await openPage(dashboard, each, link)
    const said = await each.getByRole("heading", { level: 1 }).or(each.getByRole("alert")).allInnerTexts()
    const lines = said.flatMap(text => text.split("\n"))
    assert.deepEqual(
      lines.filter(line => nowhere.test(line)),
      [],
      `${link} leads nowhere`,
    )
  })
})
