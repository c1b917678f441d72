/** What is done with every page of the dashboard: the pages are those that its router knows. */
import assert from "node:assert/strict"
import type { Page } from "playwright-core"
import type { Dashboard } from "./dashboard.ts"

/** Of the page, in functions that run there. */
declare const self: {
  readonly __TSR_ROUTER__: {
    readonly routesByPath: Readonly<Record<string, unknown>>
    navigate(to: { readonly href: string }): Promise<void>
  }
}
declare const requestAnimationFrame: (then: (at: number) => void) => void
declare const document: { querySelector(selector: string): unknown }

/** Pages of one role at a time: as many as there are cores to show them. */
const WINDOWS = 2

/** The paths of the router, with `$` where a parameter belongs. */
export const routesOf = (page: Page) => page.evaluate(() => Object.keys(self.__TSR_ROUTER__.routesByPath))

/** Goes to an address as a link does; resolves when its page has a heading and nothing on it loads any more. */
export async function openPage(dashboard: Dashboard, page: Page, address: string): Promise<void> {
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

/** Does something for each of many, each page doing one at a time. */
export async function share<T>(pages: readonly Page[], many: Iterable<T>, work: (page: Page, one: T) => Promise<void>) {
  const queue = [...many].values()
  await Promise.all(
    pages.map(async page => {
      for (const one of queue) await work(page, one)
    }),
  )
}

/** Further windows with the same session. */
export async function windowsOf(dashboard: Dashboard, page: Page): Promise<Page[]> {
  const storageState = await page.context().storageState()
  const more = Array.from({ length: WINDOWS - 1 }, () => dashboard.window({ storageState }))
  return [page, ...(await Promise.all(more))]
}

/** Pages for who is not signed in. */
export const isForStrangers = (address: string) => /^\/(sign-in|setup|invitation|password-reset)/.test(address)

/** Holds each of many things, so that one run says all that is wrong. */
export class Faults {
  readonly #found: string[] = []

  async hold(what: Promise<void>): Promise<void> {
    await what.catch((error: Error) => this.#found.push(error.message))
  }

  assertNone(): void {
    assert.deepEqual(this.#found, [])
  }
}
