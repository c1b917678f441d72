/** Steps that the stories of integrations share: what a form says of a field, what stands in a block of code, what a receiver checks. */
import assert from "node:assert/strict"
import type { TestContext } from "node:test"
import type { Locator, Page } from "playwright-core"
import { Webhook } from "standardwebhooks"
import { assertFits } from "./dashboard.ts"
import type { Received } from "./endpoint.ts"

/** The steps of a story, each a test of its own. One that fails ends the story: the next begins where it would have ended. */
export function stepsOf(t: TestContext): (name: string, step: () => Promise<void>) => Promise<void> {
  return async (name, step) => {
    let isDone = false
    await t.test(name, async () => {
      await step()
      isDone = true
    })
    if (!isDone) throw new Error(`The story ended at the step “${name}”.`)
  }
}

/** Opens a tab of an integration's page. */
export async function openTab(page: Page, name: string): Promise<void> {
  await page.getByRole("tab", { name, exact: true }).click()
  await page.getByRole("tabpanel", { name, exact: true }).waitFor()
}

/** Fails where a field is not marked as wrong, or what describes it to a screen reader does not say so (OB-39). */
export async function assertMarked(field: Locator, sentence: RegExp): Promise<void> {
  await field.and(field.page().locator('[aria-invalid="true"]')).waitFor()
  assert.match(await descriptionOf(field), sentence)
}

/** Everything that `aria-describedby` leads to. */
async function descriptionOf(field: Locator): Promise<string> {
  const ids = ((await field.getAttribute("aria-describedby")) ?? "").split(" ").filter(id => id !== "")
  const texts = ids.map(id => field.page().locator(`[id="${id}"]`).textContent())
  return (await Promise.all(texts)).join(" ")
}

/** Resolves when a field or button has the focus. */
export async function hasFocus(target: Locator): Promise<void> {
  await target.and(target.page().locator(":focus")).waitFor()
}

/** Fails where a page has to be scrolled sideways on a telephone. */
export async function assertFitsNarrowly(page: Page, what: string): Promise<void> {
  const wide = page.viewportSize()
  await page.setViewportSize({ width: 360, height: 800 })
  await page.getByRole("button", { name: /menu/i }).first().waitFor()
  await page.evaluate("new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))")
  await assertFits(page, what)
  if (wide !== null) await page.setViewportSize(wide)
}

/** The text in a block of code, which is a region of that name. */
export async function codeIn(within: Page | Locator, label: string): Promise<string> {
  return (await within.getByRole("region", { name: label, exact: true }).textContent()) ?? ""
}

/** Whether one of a request's signatures was made with a secret, by Standard Webhooks' own library. */
export function isSignedWith(secret: string, { headers, body }: Received): boolean {
  const at = new Date(Number(headers["webhook-timestamp"]) * 1_000)
  const expected = new Webhook(secret).sign(headers["webhook-id"] ?? "", at, body.toString())
  return (headers["webhook-signature"] ?? "").split(" ").includes(expected)
}
