/**
 * How long one waits for the dashboard on a machine with two cores: its first page is small and soon of use, any list and any
 * search over a million events shows its first page within 300 ms, and the feed stays smooth while 200 events a second come.
 */
import assert from "node:assert/strict"
import { type TestContext, test } from "node:test"
import type { CDPSession, Page, Response } from "playwright-core"
import { parseId } from "../../src/domain/id.ts"
import { Dashboard } from "../help/dashboard.ts"
import { Endpoint } from "../help/endpoint.ts"
import { openAt } from "../help/engines.ts"
import { fillWithEvents } from "../help/many-events.ts"
import { startProducer } from "../help/producer.ts"
import { call, createWebhook, newSecret, startWaybill, temporaryFolder } from "../help/waybill.ts"

const COUNT = 1_000_000
const FIRST_PAGE_MS = 300
/** What else runs on the machine only makes a page later: the best of so many looks counts. */
const LOOKS = 3
const FIRST_PAGE_BYTES = 300 * 1_024
const INTERACTIVE_MS = 1_000
/** So many events a second come in while the feed is watched for so long; the best of so many times counts here, too. */
const PER_SECOND = 200
const WATCHED_MS = 3_000
const TIMES_WATCHED = 5
/** The rest is left to the reader, and to a slower machine. */
const BUSY_SHARE = 0.5
/** Between two frames; what people take as at once. */
const LONGEST_WAIT_MS = 250

/** Of the page, in functions that run there. */
declare const document: { querySelector(selector: string): unknown }
declare const history: { pushState(state: unknown, unused: string, url: string): void }
declare const requestAnimationFrame: (then: (at: number) => void) => void

test("any list and any search over a million events shows its first page within 300 ms", {
  timeout: 240_000,
}, async t => {
  const dataDir = `${temporaryFolder(t)}/data`
  const integration = await fill(t, dataDir)
  const dashboard = await Dashboard.ofOwner(t, { dataDir })
  const { page } = dashboard
  const row = "main table tbody a"
  const lists: readonly (readonly [what: string, path: string, shown: string])[] = [
    ["all events", "/events", row],
    ["failed events", "/events?status=failed", row],
    ["events of a type", "/events?type=t3", row],
    ["events of a type that never came", "/events?type=nothing", "main [data-empty]"],
    ["events of a profile", "/events?profile_id=p77", row],
    ["events of a device", "/events?device_id=d77", row],
    ["the event of the oldest source record", "/events?source_record=s1", row],
    ["events of an integration", `/events?integration=${integration}`, row],
    ["all deliveries", "/deliveries", row],
    ["failed deliveries", "/deliveries?status=failed", row],
    ["a profile", "/profiles/p77", row],
  ]
  for (const [what, path, shown] of lists) {
    const tookMs: number[] = []
    while (tookMs.length < LOOKS && !tookMs.some(ms => ms <= FIRST_PAGE_MS)) {
      // What a page is made of is loaded once, when it is first opened.
      await dashboard.visit(path.replace(/\?.*/, ""))
      await dashboard.visit("/status")
      tookMs.push(await timeToShow(page, path, shown))
    }
    t.diagnostic(`${tookMs.map(ms => ms.toFixed(0)).join(", ")} ms until ${what} are shown`)
    assert.ok(Math.min(...tookMs) <= FIRST_PAGE_MS, `${what}: ${tookMs} ms`)
  }
  await dashboard.visit("/events?type=nothing")
  await page.getByText("No event fits").waitFor({ timeout: 60_000 })
})

test("the first page is small, is of use within a second, and loads its charts after it is shown", async t => {
  const dashboard = await Dashboard.ofOwner(t)
  await using shop = await Endpoint.open({ status: 200 })
  await createWebhook(dashboard.waybill, { name: "Shop", url: shop.url(), secret: newSecret() })
  await call(dashboard.waybill, "POST", "/v1/events", { type: "order.created", data: {} })
  await shop.received(1)
  const looks: FirstPage[] = []
  const isGood = ({ tookMs, shownAt, chartsAt }: FirstPage) => tookMs <= INTERACTIVE_MS && chartsAt > shownAt
  while (looks.length < LOOKS && !looks.some(isGood)) looks.push(await openFirstPage(dashboard))
  const said = looks.map(
    ({ tookMs, bytes, shownAt, chartsAt }) =>
      `${tookMs.toFixed(0)} ms until its links are there, ${Math.round(bytes / 1_024)} KB of scripts, ` +
      `first paint at ${shownAt.toFixed(0)} ms, charts asked for at ${chartsAt.toFixed(0)} ms`,
  )
  for (const line of said) t.diagnostic(line)
  assert.ok(looks.some(isGood), said.join("; "))
  for (const { bytes, shownAt } of looks) {
    assert.ok(bytes > 0 && bytes <= FIRST_PAGE_BYTES, `${bytes} bytes of scripts`)
    assert.ok(shownAt > 0)
  }
})

test("the feed stays smooth while 200 events a second come in", { timeout: 120_000 }, async t => {
  const dashboard = await Dashboard.ofOwner(t)
  const { page, waybill } = dashboard
  await using shop = await Endpoint.open({ status: 200 })
  const secret = newSecret()
  for (const name of ["Shop", "CRM", "Search"]) await createWebhook(waybill, { name, url: shop.url(), secret })
  await dashboard.visit("/events")
  const producer = await startProducer(t, {
    folder: temporaryFolder(t),
    name: "shop",
    url: waybill.url,
    key: waybill.key,
    seed: 1,
    types: ["order.created", "order.paid"],
    concurrency: 8,
    perSecond: PER_SECOND,
  })
  await page.getByRole("row").nth(20).waitFor()
  const newest = () => page.locator("tr time").first().getAttribute("datetime")
  const before = await newest()
  const looks: Smoothness[] = []
  const isSmooth = ({ worstMs, busyShare }: Smoothness) => worstMs <= LONGEST_WAIT_MS && busyShare <= BUSY_SHARE
  while (looks.length < TIMES_WATCHED && !looks.some(isSmooth)) looks.push(await watch(page, WATCHED_MS))
  assert.notEqual(await newest(), before, "the feed goes on")
  await producer.stop()
  const said = looks.map(
    ({ frames, worstMs, busyShare }) =>
      `${frames.toFixed(0)} frames a second, the longest wait ${worstMs.toFixed(0)} ms, ` +
      `${(busyShare * 100).toFixed(0)} % of a processor for the page`,
  )
  for (const line of said) t.diagnostic(line)
  assert.ok(looks.some(isSmooth), said.join("; "))
})

interface FirstPage {
  /** Until its links were there. */
  readonly tookMs: number
  /** Of its scripts, as they came over the wire. */
  readonly bytes: number
  /** When something was painted first, and when its charts were asked for, in ms since it was opened. */
  readonly shownAt: number
  readonly chartsAt: number
}

/** Opens the first page in a browser that has loaded nothing so far. */
async function openFirstPage(dashboard: Dashboard): Promise<FirstPage> {
  const page = await dashboard.window({ storageState: await dashboard.page.context().storageState() })
  const scripts: Response[] = []
  page.on("response", response => {
    if (response.url().endsWith(".js")) scripts.push(response)
  })
  const startedAt = performance.now()
  await page.goto(`${dashboard.waybill.url}/`)
  await page.getByRole("link", { name: "Shop" }).first().waitFor()
  const tookMs = performance.now() - startedAt
  await page.locator(".recharts-surface").first().waitFor()
  const [shownAt = 0, chartsAt = 0] = await page.evaluate(() => [
    performance.getEntriesByName("first-contentful-paint")[0]?.startTime,
    performance.getEntriesByType("resource").find(({ name }) => name.includes("/assets/spark-"))?.startTime,
  ])
  const sizes = await Promise.all(scripts.map(script => script.request().sizes()))
  const bytes = sizes.reduce((sum, { responseBodySize }) => sum + responseBodySize, 0)
  await page.close()
  return { tookMs, bytes, shownAt, chartsAt }
}

/** Goes to another page as a link does, without loading anew; gives how long it took until something was drawn there, in ms. */
function timeToShow(page: Page, path: string, shown: string): Promise<number> {
  return page.evaluate(
    ([path, shown]) =>
      new Promise<number>(resolve => {
        const startedAt = performance.now()
        const look = (): void => {
          if (document.querySelector(shown) === null) requestAnimationFrame(look)
          // With the frame after it, it is on the screen.
          else requestAnimationFrame(() => resolve(performance.now() - startedAt))
        }
        history.pushState(null, "", path)
        requestAnimationFrame(look)
      }),
    [path, shown] as const,
  )
}

interface Smoothness {
  /** A second. */
  readonly frames: number
  /** Between two frames. */
  readonly worstMs: number
  /** The time that the page's thread had a processor, whatever else ran beside it. */
  readonly busyShare: number
}

/** How smoothly a page is drawn for so long. */
async function watch(page: Page, ms: number): Promise<Smoothness> {
  const cdp = await page.context().newCDPSession(page)
  await cdp.send("Performance.enable", { timeDomain: "threadTicks" })
  const before = await busySeconds(cdp)
  const drawn = await page.evaluate(
    ms =>
      new Promise<{ readonly frames: number; readonly worstMs: number; readonly tookMs: number }>(resolve => {
        const startedAt = performance.now()
        let [count, lastAt, worstMs] = [0, startedAt, 0]
        const frame = (): void => {
          const now = performance.now()
          worstMs = Math.max(worstMs, now - lastAt)
          lastAt = now
          count++
          const tookMs = now - startedAt
          if (tookMs < ms) requestAnimationFrame(frame)
          else resolve({ frames: count / (tookMs / 1_000), worstMs, tookMs })
        }
        requestAnimationFrame(frame)
      }),
    ms,
  )
  return { ...drawn, busyShare: ((await busySeconds(cdp)) - before) / (drawn.tookMs / 1_000) }
}

async function busySeconds(cdp: CDPSession): Promise<number> {
  const { metrics } = await cdp.send("Performance.getMetrics")
  return metrics.find(({ name }) => name === "TaskDuration")?.value ?? 0
}

/** A folder with a million events for one integration, and nobody but the key to read them; gives the integration's id. */
async function fill(t: TestContext, dataDir: string): Promise<string> {
  const waybill = await startWaybill(t, { dataDir })
  const url = "http://127.0.0.1:9/hook"
  const integration = await createWebhook(waybill, { name: "CRM", url, secret: newSecret() })
  const { data } = (await call(waybill, "GET", "/v1/projects")) as { data: readonly { id: string }[] }
  waybill.kill("SIGTERM")
  await waybill.stopped
  const store = await openAt({ dataDir, url: undefined }, Date.now)
  const project = parseId("prj", data[0]?.id ?? "")
  const number = parseId("int", integration)
  assert.ok(project !== undefined && number !== undefined)
  await fillWithEvents(store, { project, integration: number, count: COUNT, now: Date.now() })
  await store.close()
  return integration
}
