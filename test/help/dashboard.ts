/**
 * The dashboard as its users have it: built, served by a Waybill in a process of its own, in a real Chromium. What goes wrong
 * in the page without being seen fails its test: an error in the console, a breach of the content security policy, an answer
 * of 500 and above.
 */
import assert from "node:assert/strict"
import { spawnSync } from "node:child_process"
import { mkdtempSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { after, type TestContext } from "node:test"
import { type Browser, type BrowserContext, type BrowserContextOptions, chromium, type Page } from "playwright-core"
import { barriersIn } from "./axe.ts"
import { bringChromium } from "./chromium.ts"
import { call, type Reachable, startWaybill, temporaryFolder, type Waybill } from "./waybill.ts"

/** The owner of each project that a test signs in to. */
export const owner = { email: "ada@shop.example", name: "Ada Owner", password: "correct horse battery" } as const

/** Of the page, in functions that run there. */
declare const document: { readonly documentElement: { readonly scrollWidth: number; readonly clientWidth: number } }
declare const innerWidth: number

/** How long something may take to be seen, on a machine with other work to do. */
const PATIENCE_MS = 15_000

/** How long what a page shows may take to follow the size of its window. */
const FITS_WITHIN_MS = 3_000

let launched: Promise<Browser> | undefined
after(async () => (await launched)?.close())

export interface Look {
  /** CSS pixels. */
  readonly width?: number
  readonly height?: number
  readonly colorScheme?: "light" | "dark"
  /** Windows ask for reduced motion where this is left out. */
  readonly reducedMotion?: "reduce" | "no-preference"
  /** A finger in place of a pointer. */
  readonly hasTouch?: boolean
  /** A zone of IANA's list, such as `Asia/Kathmandu`; the machine's where this is left out. */
  readonly timezoneId?: string
  /** Waybill is made to fail on the way: answers of 500 and above are part of the story. */
  readonly isTroubled?: boolean
  /** Cookies of another window, for who is signed in there: `await page.context().storageState()`. */
  readonly storageState?: Awaited<ReturnType<BrowserContext["storageState"]>>
}

export interface DashboardOptions extends Look {
  /** Settings of Waybill's, as `WAYBILL_…`. */
  readonly env?: Readonly<Record<string, string>>
  /** Where it has its data; a new folder where this is left out. */
  readonly dataDir?: string
}

/** A Waybill, and a browser's window on its dashboard. */
export class Dashboard {
  readonly page: Page
  readonly waybill: Waybill
  readonly #t: TestContext

  private constructor(t: TestContext, waybill: Waybill, page: Page) {
    this.#t = t
    this.waybill = waybill
    this.page = page
  }

  /** Starts a Waybill with nothing in it and opens a window; nobody is signed in, and no page is open yet. */
  static async open(t: TestContext, { env, dataDir, ...look }: DashboardOptions = {}): Promise<Dashboard> {
    build()
    // The window first: it is closed first, while there is still something for it to show.
    const page = await openWindow(t, look)
    const folder = dataDir ?? join(temporaryFolder(t), "data")
    const waybill = await startWaybill(t, { dataDir: folder, ...(env ? { env } : {}) })
    return new Dashboard(t, waybill, page)
  }

  /** The same with an owner who is signed in; no page is open yet. */
  static async ofOwner(t: TestContext, options: DashboardOptions = {}): Promise<Dashboard> {
    const dashboard = await Dashboard.open(t, options)
    const { url } = (await dashboard.call("POST", "/v1/setup-link")) as { url: string }
    const token = new URL(url).searchParams.get("token")
    await call(dashboard.waybill, "POST", "/v1/setup", { token, ...owner }, { authorization: "" })
    await dashboard.signIn(dashboard.page, owner)
    return dashboard
  }

  /** Another person's window, who has been invited as what the role says and is signed in. */
  async ofPerson(email: string, role: string, look: Look = {}): Promise<Page> {
    const made = (await this.call("POST", "/v1/invitations", { email, role })) as { url: string }
    const token = new URL(made.url).searchParams.get("token")
    const person = { email, password: owner.password }
    const answer = { token, name: email.split("@")[0], password: person.password }
    await call(this.waybill, "POST", "/v1/invitations/accept", answer, { authorization: "" })
    const page = await openWindow(this.#t, look)
    await this.signIn(page, person)
    return page
  }

  /** Another window, with nobody signed in unless it is given cookies. */
  window(look: Look = {}): Promise<Page> {
    return openWindow(this.#t, look)
  }

  /** Signs in through the form, as people do; resolves when the overview is there. */
  async signIn(page: Page, person: { readonly email: string; readonly password: string }): Promise<void> {
    await page.goto(`${this.waybill.url}/sign-in`)
    await page.getByLabel("E-mail").fill(person.email)
    await page.getByRole("textbox", { name: "Password" }).fill(person.password)
    await page.getByRole("button", { name: "Sign in", exact: true }).click()
    await page.getByRole("heading", { level: 1, name: "Overview" }).waitFor()
  }

  /** Opens an address of the dashboard, such as `/events?status=failed`; resolves when the page has its heading. */
  async visit(path: string, page = this.page): Promise<void> {
    await page.goto(this.waybill.url + path)
    await page.getByRole("heading", { level: 1 }).first().waitFor()
  }

  /** Calls the API with the project's key. */
  call(method: Parameters<typeof call>[1], path: string, body?: unknown): Promise<unknown> {
    return call(this.waybill as Reachable, method, path, body)
  }
}

/** Fails where axe finds a fault in what the page shows (WCAG 2.2 AA, OB-42), by all of its rules or these. `what` names the page or its state. */
export async function assertAccessible(page: Page, what: string, rules?: readonly string[]): Promise<void> {
  const found = await barriersIn(page, rules)
  assert.deepEqual(found, [], `axe finds fault with ${what}`)
}

/** Fails where the page has to be scrolled sideways (WCAG 1.4.10), once what stands in it has taken the window's size: a chart does so a frame late. */
export async function assertFits(page: Page, what: string): Promise<void> {
  const fits = page.waitForFunction(
    width => innerWidth === width && document.documentElement.scrollWidth <= document.documentElement.clientWidth,
    page.viewportSize()?.width,
    { timeout: FITS_WITHIN_MS },
  )
  if (
    await fits.then(
      () => true,
      () => false,
    )
  )
    return
  const beyond = await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth)
  assert.fail(`${what} is ${beyond} px wider than its window`)
}

async function openWindow(
  t: TestContext,
  { width = 1_280, height = 800, isTroubled = false, ...look }: Look,
): Promise<Page> {
  // What moves is not what a story is about, and half of a transition has half of a contrast.
  const options: BrowserContextOptions = { viewport: { width, height }, reducedMotion: "reduce", ...look }
  const context = await (await browser()).newContext(options)
  context.setDefaultTimeout(PATIENCE_MS)
  const page = await context.newPage()
  const faults: string[] = []
  page.on("pageerror", error => faults.push(`error in the page: ${error.stack ?? error.message}`))
  page.on("console", message => {
    // What was refused or not found is told by the page; Chromium notes each in its console all the same.
    const isTold = /^(Failed to load resource|WaybillProblem: )/.test(message.text())
    if (message.type() === "error" && !isTold) faults.push(message.text())
  })
  page.on("response", response => {
    if (response.status() >= 500 && !isTroubled)
      faults.push(`${response.request().method()} ${response.url()}: ${response.status()}`)
  })
  t.after(async () => {
    // A page that is lost has no picture; what else there is to clean up must not wait for one.
    if (!t.passed) await keepPicture(t, page).catch(() => undefined)
    await context.close()
    assert.deepEqual(faults, [], "what went wrong in the page")
  })
  return page
}

/** What the window showed when its test failed; the test's output says where the picture is. */
async function keepPicture(t: TestContext, page: Page): Promise<void> {
  const path = join(mkdtempSync(join(tmpdir(), "waybill-picture-")), "page.png")
  await page.screenshot({ path })
  t.diagnostic(`What ${page.url()} showed: ${path}`)
}

function browser(): Promise<Browser> {
  launched ??= launch()
  return launched
}

async function launch(): Promise<Browser> {
  const executablePath = await bringChromium()
  // Chromium's sandbox is not for root.
  const isRoot = process.getuid?.() === 0
  return await chromium.launch({
    executablePath,
    args: [...(isRoot ? ["--no-sandbox"] : []), "--disable-dev-shm-usage"],
  })
}

let isBuilt = false

/** Builds the dashboard where it is missing or older than its sources. */
function build(): void {
  if (isBuilt) return
  const script = join(import.meta.dirname, "../../scripts/dashboard.ts")
  const { status, stderr } = spawnSync(process.execPath, [script], { encoding: "utf8" })
  if (status !== 0) throw new Error(stderr)
  isBuilt = true
}
