/**
 * Takes pictures of every page of the dashboard, in light, dark and narrow, over a shop that has lived with Waybill for two
 * weeks: for looking at, after a change of the dashboard, and for the docs.
 *
 *     scripts/pictures.ts [folder]   into build/pictures, or the folder
 *     scripts/pictures.ts --docs     writes those that stand in the docs into docs/pictures, too
 *     scripts/pictures.ts --only /events   only pages whose address begins so
 */
import { spawnSync } from "node:child_process"
import { mkdirSync, mkdtempSync, rmSync, statSync } from "node:fs"
import { tmpdir } from "node:os"
import { join, relative, resolve } from "node:path"
import { parseArgs } from "node:util"
import { type Browser, chromium, type Page } from "playwright-core"
import { readConfig } from "../src/config.ts"
import { start } from "../src/main.ts"
import { bringChromium } from "../test/help/chromium.ts"
import { addressesOf, type Call, fillShop, type Shop } from "../test/help/shop.ts"

const root = join(import.meta.dirname, "..")
const { values, positionals } = parseArgs({
  options: { docs: { type: "boolean", default: false }, only: { type: "string" } },
  allowPositionals: true,
})
const folder = resolve(positionals[0] ?? join(root, "build/pictures"))

/** How pages are looked at: sizes in CSS pixels. */
const looks = [
  { name: "light", colorScheme: "light", viewport: { width: 1_360, height: 860 } },
  { name: "dark", colorScheme: "dark", viewport: { width: 1_360, height: 860 } },
  { name: "narrow", colorScheme: "light", viewport: { width: 360, height: 740 } },
] as const

/** What stands in docs/pictures, by the name that it has there. */
const ofDocs: Readonly<Record<string, (shop: Shop) => string>> = {
  overview: () => "/",
  events: () => "/events",
  event: shop => `/events/${shop.event}`,
  integration: shop => `/integrations/${shop.failing}`,
}
/** A picture in the docs is never larger. */
const MOST_BYTES = 200_000

const owner = {
  email: "mara.lindqvist@northwind.example",
  name: "Mara Lindqvist",
  password: "a horse, a battery, a staple",
}
/** How long a page may take. */
const PATIENCE_MS = 20_000

/** Of the page, in functions that run there. */
declare const document: { querySelector(selector: string): unknown }
declare const self: { readonly __TSR_ROUTER__: { readonly routesByPath: Readonly<Record<string, unknown>> } }

await run()

async function run(): Promise<void> {
  const built = spawnSync(process.execPath, [join(root, "scripts/dashboard.ts")], { stdio: "inherit" })
  if (built.status !== 0) process.exit(1)
  const dataDir = mkdtempSync(join(tmpdir(), "waybill-pictures-"))
  let agoMs = 0
  const reading = readConfig({ dataDir, port: "0", host: "127.0.0.1", logLevel: "error" }, {})
  if ("faults" in reading) throw new Error(reading.faults.join(" "))
  const resolver = { resolve: async () => ({ kind: "found", addresses: ["127.0.0.1"], ttlMs: 60_000 }) as const }
  const waybill = await start(reading.config, () => Date.now() - agoMs, resolver)
  const browser = await chromium.launch({ executablePath: await bringChromium(), args: sandboxless() })
  try {
    const call = caller(waybill.url, waybill.firstKey ?? "")
    console.log("Two weeks of a shop …")
    await using shop = await fillShop({
      call,
      days: 14,
      turn: next => {
        agoMs = next
        waybill.wake()
      },
      addressOf: (name, port) => `${name.toLowerCase().replaceAll(" ", "-")}.northwind.example:${port}`,
    })
    const state = await signIn(browser, waybill.url, waybill.setupLink ?? "")
    const context = await browser.newContext({ storageState: state, reducedMotion: "reduce" })
    context.setDefaultTimeout(PATIENCE_MS)
    const page = await context.newPage()
    await open(page, `${waybill.url}/`)
    const routes = await page.evaluate(() => Object.keys(self.__TSR_ROUTER__.routesByPath))
    const addresses = addressesOf(routes, shop).filter(address => address.startsWith(values.only ?? "/"))
    for (const { name } of looks) mkdirSync(join(folder, name), { recursive: true })
    for (const address of addresses) {
      await page.setViewportSize(looks[0].viewport)
      await open(page, waybill.url + address)
      for (const { name, colorScheme, viewport } of looks) {
        await page.emulateMedia({ colorScheme })
        await page.setViewportSize(viewport)
        await settle(page)
        await page.screenshot({ path: join(folder, name, `${nameOf(address)}.png`), fullPage: true })
      }
    }
    console.log(`${addresses.length} pages in ${looks.length} looks are in ${relative(process.cwd(), folder) || "."}`)
    if (values.docs) await takeForDocs(page, waybill.url, shop)
    await context.close()
  } finally {
    await browser.close()
    await waybill.stop()
    rmSync(dataDir, { recursive: true, force: true, maxRetries: 5 })
  }
}

async function takeForDocs(page: Page, url: string, shop: Shop): Promise<void> {
  await page.emulateMedia({ colorScheme: looks[0].colorScheme })
  await page.setViewportSize(looks[0].viewport)
  for (const [name, address] of Object.entries(ofDocs)) {
    await open(page, url + address(shop))
    const path = join(root, "docs/pictures", `${name}.png`)
    await page.screenshot({ path })
    const { size } = statSync(path)
    if (size > MOST_BYTES)
      throw new Error(`${path} has ${size} bytes; pictures in the docs have ${MOST_BYTES} at most.`)
  }
  console.log("docs/pictures is written: look at them before you commit.")
}

/** Makes the owner as people do, by the link; gives the session. */
async function signIn(browser: Browser, url: string, setupLink: string) {
  const context = await browser.newContext()
  context.setDefaultTimeout(PATIENCE_MS)
  const page = await context.newPage()
  await page.goto(setupLink)
  await page.getByLabel("Your name").fill(owner.name)
  await page.getByLabel("E-mail").fill(owner.email)
  await page.getByRole("textbox", { name: "Password" }).fill(owner.password)
  await page.getByRole("button", { name: "Become the owner" }).click()
  await page.waitForURL(`${url}/`)
  const state = await context.storageState()
  await context.close()
  return state
}

/** Opens a page; resolves when it has its heading and nothing loads any more. */
async function open(page: Page, address: string): Promise<void> {
  await page.goto(address)
  await page.getByRole("heading", { level: 1 }).first().waitFor()
  await page.waitForFunction(() => document.querySelector('[aria-busy="true"], [aria-label="Loading"]') === null)
  await settle(page)
}

/** The network is never idle where a page follows the stream: charts are what comes last, and grow into their place. */
async function settle(page: Page): Promise<void> {
  await page.evaluate(() => new Promise(resolve => setTimeout(resolve, 500)))
}

/** `/integrations/int_01…?tab=logs` → `integrations-one-tab-logs` */
function nameOf(address: string): string {
  const name = address
    .replace(/\?token=.*/, "")
    .replace(/\/[a-z]{3,4}_\w+/, "-one")
    .replaceAll(/[^\w.]+/g, "-")
    .replaceAll(/^-|-$/g, "")
  return name === "" ? "overview" : name
}

/** Chromium's sandbox is not for root. */
function sandboxless(): string[] {
  return process.getuid?.() === 0 ? ["--no-sandbox"] : []
}

function caller(url: string, key: string): Call {
  return async (method, path, body) => {
    const response = await fetch(url + path, {
      method,
      headers: { authorization: `Bearer ${key}`, ...(body !== undefined && { "content-type": "application/json" }) },
      ...(body !== undefined && { body: JSON.stringify(body) }),
    })
    const text = await response.text()
    if (!response.ok) throw new Error(`${method} ${path} was answered with ${response.status}: ${text}`)
    return text === "" ? undefined : JSON.parse(text)
  }
}
