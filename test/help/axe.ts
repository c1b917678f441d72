/** What axe finds in a page. It is put into a page once and stays while people go from one part of it to another. */
import { readFileSync } from "node:fs"
import { createRequire } from "node:module"
import type { AxeResults, RunOptions } from "axe-core"
import type { Frame, Page } from "playwright-core"

/** Of the page, in functions that run there. */
declare const document: object
declare const requestAnimationFrame: (then: () => void) => void
declare const requestIdleCallback: (then: () => void, options: { timeout: number }) => void
declare const axe: { run(context: object, options: RunOptions): Promise<AxeResults> } | undefined

let source: string | undefined

/** What keeps people out of a page and the frames in it, by all of axe's rules or these: a sentence for each place. */
export async function barriersIn(page: Page, rules?: readonly string[]): Promise<string[]> {
  const found = await Promise.all(page.frames().map(frame => barriersOf(frame, rules)))
  return found.flat()
}

async function barriersOf(frame: Frame, rules: readonly string[] | undefined): Promise<string[]> {
  if (!(await frame.evaluate(() => typeof axe === "object"))) {
    source ??= readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8")
    await frame.evaluate(source)
  }
  const options: RunOptions = {
    resultTypes: ["violations"],
    // Each frame is looked at by itself.
    iframes: false,
    ...(rules === undefined ? {} : { runOnly: { type: "rule", values: [...rules] } }),
  }
  // What has just been opened gets its name in the turn after: nobody hears it before.
  await frame.evaluate(
    () =>
      new Promise<void>(done => {
        requestAnimationFrame(() => requestAnimationFrame(() => requestIdleCallback(done, { timeout: 1_000 })))
      }),
  )
  const violations = await frame.evaluate(async asked => (await axe?.run(document, asked))?.violations ?? [], options)
  return violations.flatMap(({ id, help, nodes }) =>
    nodes.map(({ target, failureSummary }) => `${id} (${help}) at ${target.join(" ")}: ${failureSummary}`),
  )
}
