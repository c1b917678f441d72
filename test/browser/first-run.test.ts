/** The first minutes of a new Waybill: the link that it prints, the owner, and three steps to a delivered event. */
import assert from "node:assert/strict"
import { execFile } from "node:child_process"
import { test } from "node:test"
import { promisify } from "node:util"
import { assertAccessible, assertFits, Dashboard, owner } from "../help/dashboard.ts"
import { until } from "../help/system-ledger.ts"

/** Types what a page shows into a shell, as people do. */
async function type(line: string): Promise<string> {
  const { stdout } = await promisify(execFile)("sh", ["-c", line], { timeout: 15_000 })
  return stdout
}

test("who installs Waybill opens the link that it printed, becomes the owner, and sees three steps turn green as they happen", async t => {
  const dashboard = await Dashboard.open(t)
  const { page, waybill } = dashboard
  const printed = () => /^Make yourself the owner.*: (http:\S+)$/m.exec(waybill.output())?.[1]
  await until("a new Waybill prints the link", 5_000, () => printed() !== undefined)
  const link = printed() ?? ""

  await page.goto(link)
  await page.getByRole("heading", { level: 1, name: "Set Waybill up" }).waitFor()
  await assertAccessible(page, "the page of the set-up link")
  await page.getByLabel("Your name").fill(owner.name)
  await page.getByLabel("E-mail").fill(owner.email)
  await page.getByRole("textbox", { name: "Password" }).fill("short")
  await page.getByRole("button", { name: "Become the owner" }).click()
  await page.getByText(/At least 12 characters; any will do/).waitFor()
  await assertAccessible(page, "the set-up with a password that is too short")
  await page.getByRole("textbox", { name: "Password" }).fill(owner.password)
  await page.getByRole("button", { name: "Become the owner" }).click()

  await page.getByRole("heading", { name: "Three steps to a first delivered event" }).waitFor()
  const steps = page.getByRole("region", { name: "First steps" })
  const states = steps.getByRole("status").filter({ hasText: /^(Not yet|Done)$/ })
  const stand = async (...words: string[]): Promise<void> => {
    for (const [i, word] of words.entries()) await states.nth(i).filter({ hasText: word }).waitFor()
    assert.deepEqual(await states.allTextContents(), words)
  }
  await stand("Not yet", "Not yet", "Not yet")
  await assertAccessible(page, "the three steps, none done")

  // The line works as soon as it has a key; an event that came before its integration goes nowhere, and the page says so.
  await steps.getByRole("button", { name: "Make a key that sends events" }).click()
  const line = steps.getByRole("region", { name: "The line that sends an event" })
  await line.filter({ hasText: "wb_live_" }).waitFor()
  assert.match(await type(await line.innerText()), /"id":"evt_/)
  await stand("Not yet", "Done", "Not yet")
  await steps.getByText("The event goes nowhere: there is no integration yet.").waitFor()

  await steps.getByRole("button", { name: "Make an inbox" }).click()
  await stand("Done", "Done", "Not yet")
  assert.match(await line.innerText(), /wb_live_/, "the key stays where it is shown this once")
  await assertAccessible(page, "the three steps, two of them done")
  await page.setViewportSize({ width: 320, height: 740 })
  await assertFits(page, "the three steps at 320 px")
  await page.setViewportSize({ width: 1_280, height: 800 })

  assert.match(await type(await line.innerText()), /"id":"evt_/)
  await stand("Done", "Done", "Done")
  await steps.getByText("This Waybill works.").waitFor()
  await assertAccessible(page, "the three steps, all done")
  const { data } = (await dashboard.call("GET", "/v1/deliveries?status=delivered")) as {
    readonly data: readonly unknown[]
  }
  assert.equal(data.length, 1, "the second event was delivered, and only that")

  await page.reload()
  await page.getByText("Nothing needs you.").waitFor()
  assert.equal(await steps.count(), 0, "what is done is not shown again")
  // The link is used up, and says so.
  const other = await dashboard.window()
  await other.goto(link)
  await other.getByLabel("Your name").fill("Mallory")
  await other.getByLabel("E-mail").fill("mallory@shop.example")
  await other.getByRole("textbox", { name: "Password" }).fill(owner.password)
  await other.getByRole("button", { name: "Become the owner" }).click()
  await other
    .getByRole("alert")
    .filter({ hasText: /owner|used|link/i })
    .waitFor()
  await assertAccessible(other, "a set-up link that was used before")
})
