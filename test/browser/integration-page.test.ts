/** An integration in use: its example is run, its events are watched, its secret is rotated, its settings changed, and it is stopped and removed. */
import assert from "node:assert/strict"
import { execFile } from "node:child_process"
import { cpSync, symlinkSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { test } from "node:test"
import { promisify } from "node:util"
import { assertAccessible, Dashboard } from "../help/dashboard.ts"
import { Endpoint } from "../help/endpoint.ts"
import {
  assertFitsNarrowly,
  assertMarked,
  codeIn,
  hasFocus,
  isSignedWith,
  openTab,
  stepsOf,
} from "../help/integration-pages.ts"
import { createWebhook, newSecret, temporaryFolder, testKey } from "../help/waybill.ts"

const root = join(import.meta.dirname, "../..")
const run = promisify(execFile)
const env = { PATH: process.env["PATH"], WAYBILL_API_KEY: testKey }

test("an engineer watches events arrive, rotates the secret, changes settings, and stops and removes an integration", async t => {
  const dashboard = await Dashboard.ofOwner(t)
  const { page, waybill } = dashboard
  const step = stepsOf(t)
  await using shop = await Endpoint.open({ body: '{"id":"shop-7"}' })
  const secret = newSecret()
  const id = await createWebhook(waybill, {
    name: "Shop backend",
    url: shop.url(),
    secret,
    events: { default: "on", types: { "trial_*": { enabled: false } } },
  })
  const path = `/v1/integrations/${id}`
  const send = (type: string) => dashboard.call("POST", "/v1/events", { type, source_record: `record of ${type}` })
  const rows = page.getByRole("table", { name: "Last events" }).getByRole("row")
  const menu = page.getByRole("button", { name: "Actions" })

  await step("the page says what it is, and its example in curl fires it when it is run", async () => {
    await dashboard.visit(`/integrations/${id}`)
    await page.getByText(`Production: ${shop.url()}`).waitFor()
    await page.getByText("All, but 1 of their own").waitFor()
    await assertAccessible(page, "an integration to which nothing was sent yet")
    await run("bash", ["-c", await codeIn(page, "Example in curl")], { env })
    await shop.received(1)
    await page.getByRole("tab", { name: "curl" }).focus()
    await page.keyboard.press("ArrowRight")
    // Within the package itself, which may be imported by its name there, beside the packages that it needs.
    const folder = temporaryFolder(t)
    cpSync(join(root, "sdk/src"), join(folder, "src"), { recursive: true })
    cpSync(join(root, "sdk/package.json"), join(folder, "package.json"))
    symlinkSync(join(root, "dashboard/node_modules"), join(folder, "node_modules"))
    writeFileSync(join(folder, "example.mts"), await codeIn(page, "Example in TypeScript"))
    await run(process.execPath, [join(folder, "example.mts")], { env })
    const sent = (await shop.received(2)).map(({ body }) => JSON.parse(body.toString()))
    assert.deepEqual(sent[0].data, sent[1].data)
    assert.equal(sent[0].type, sent[1].type)
  })

  await step("events are seen as they come, also those that are not sent, and can be held still", async () => {
    await openTab(page, "Events")
    await page.getByText("Live: new events come in at the top.").waitFor()
    await rows.nth(2).waitFor()
    await send("order_paid")
    await rows.nth(1).getByText("record of order_paid").waitFor()
    await rows.nth(1).getByText("Delivered").waitFor()
    await send("trial_started")
    await rows.nth(1).getByText("record of trial_started").waitFor()
    await rows.nth(1).getByRole("button").hover()
    await page.getByRole("dialog", { name: "Why" }).getByText("What to do:").waitFor()
    await page.mouse.move(0, 0)
    await assertAccessible(page, "the last events of an integration")
    const pause = page.getByRole("button", { name: "Pause", exact: true })
    await pause.click()
    await page.getByText("Paused: what comes in now is not shown.").waitFor()
    await send("order_refunded")
    await shop.received(4)
    assert.equal(await rows.count(), 5)
    await page.getByRole("button", { name: "Go on" }).click()
    await rows.nth(1).getByText("record of order_refunded").waitFor()
    await assertFitsNarrowly(page, "the last events of an integration")
  })

  await step("a new secret is shown once, and both sign until the old one ends", async () => {
    await openTab(page, "Secret")
    const open = page.getByRole("button", { name: "Rotate the secret" })
    await open.click()
    const dialog = page.getByRole("dialog", { name: "Rotate the secret?" })
    await page.keyboard.press("Escape")
    await dialog.waitFor({ state: "detached" })
    await hasFocus(open)
    await page.keyboard.press("Enter")
    const own = dialog.getByRole("textbox", { name: "A secret of your own" })
    await own.fill("too short")
    await dialog.getByRole("button", { name: "Rotate it" }).click()
    await assertMarked(own, /whsec_/)
    await assertAccessible(page, "the question before a secret is rotated, with a fault")
    await own.fill("")
    await dialog.getByRole("button", { name: "Rotate it" }).click()
    const once = page.getByRole("status").filter({ hasText: "The new signing secret" })
    const fresh = /whsec_[\w+/]+=*/.exec((await once.textContent()) ?? "")?.[0] ?? ""
    assert.equal(await page.getByRole("table", { name: "Signing keys" }).getByRole("row").count(), 3)
    await assertAccessible(page, "a secret that is shown once")
    await send("order_paid")
    const request = await shop.request(5)
    assert.ok(isSignedWith(secret, request) && isSignedWith(fresh, request), "both secrets sign")
    await openTab(page, "Overview")
    await openTab(page, "Secret")
    await page.getByRole("table", { name: "Signing keys" }).waitFor()
    assert.equal(await page.getByText(fresh).count(), 0)
  })

  await step("settings are changed, and what somebody else did meanwhile is not undone unseen", async () => {
    await openTab(page, "Settings")
    const name = page.getByRole("textbox", { name: "Name", exact: true })
    await name.fill("Shop of ours")
    await dashboard.call("PATCH", path, { apps: ["com.shop.ios"] })
    await page.getByRole("button", { name: "Save", exact: true }).click()
    await page.getByText("Somebody else changed it meanwhile").waitFor()
    assert.equal(await name.inputValue(), "Shop of ours")
    await assertAccessible(page, "settings that somebody else changed meanwhile")
    await page.getByRole("button", { name: "Load it as it is now" }).click()
    await page.getByText("com.shop.ios").waitFor()
    await name.fill("Shop of ours")
    await page.getByRole("textbox", { name: "Name", exact: true }).press("Enter")
    await page.getByRole("heading", { level: 1, name: "Shop of ours" }).waitFor()
    const kept = (await dashboard.call("GET", path)) as { apps: string[]; name: string }
    assert.deepEqual([kept.name, kept.apps], ["Shop of ours", ["com.shop.ios"]])
    await openTab(page, "Changes")
    const changes = page.getByRole("table", { name: "Changes of revision 3" })
    await changes.getByRole("row").filter({ hasText: /name/i }).getByRole("cell", { name: "Shop of ours" }).waitFor()
    await page.getByRole("table", { name: "Changes of revision 2" }).getByText(/apps/i).waitFor()
    await assertAccessible(page, "the changes of an integration")
    await page.getByRole("link", { name: "audit log", exact: true }).click()
    const log = page.getByRole("table", { name: "Changes, newest first" })
    await log.getByRole("row").filter({ hasText: "integration.created" }).waitFor()
    assert.equal(await page.getByLabel("To what").inputValue(), id)
    await page.goBack()
    await changes.waitFor()
    await dashboard.call("PATCH", path, { apps: [] })
  })

  await step("it is paused and resumed after a question that Escape takes back, and nothing is lost", async () => {
    await menu.focus()
    await page.keyboard.press("Enter")
    await page.getByRole("menuitem", { name: "Pause" }).focus()
    await page.keyboard.press("Enter")
    await hasFocus(page.getByRole("button", { name: "Leave it" }))
    await assertAccessible(page, "the question before an integration is paused")
    await page.keyboard.press("Escape")
    await page.getByRole("dialog").waitFor({ state: "detached" })
    await hasFocus(menu)
    await ask("Pause", "Pause it?", "Pause")
    await page.getByText("Paused", { exact: true }).waitFor()
    await hasFocus(menu)
    await send("order_paid")
    await openTab(page, "Overview")
    await page.getByText("1 delivery waits").waitFor()
    assert.equal(shop.requests.length, 5)
    await ask("Resume", "Resume it?", "Resume")
    await shop.received(6)
  })

  await step("switched off it gets nothing, and removed it is gone from the list", async () => {
    await ask("Switch off", "Switch it off?", "Switch off")
    await page.getByText("Off", { exact: true }).first().waitFor()
    await send("order_paid")
    await openTab(page, "Recovery")
    await page.getByText(/It is switched off\. Switch it on first/).waitFor()
    await assertAccessible(page, "the recovery of an integration that is off")
    await ask("Remove", "Remove it for good?", "Remove")
    await page.getByText("No integrations yet").waitFor()
    assert.equal(shop.requests.length, 6)
    const { data } = (await dashboard.call("GET", "/v1/integrations")) as { data: unknown[] }
    assert.deepEqual(data, [])
  })

  /** Chooses what is to be done in the menu and says yes to the question. */
  async function ask(item: string, title: string, yes: string): Promise<void> {
    await menu.click()
    await page.getByRole("menuitem", { name: item, exact: true }).click()
    const dialog = page.getByRole("dialog", { name: title })
    await dialog.getByRole("button", { name: yes, exact: true }).click()
    await dialog.waitFor({ state: "detached" })
  }
})
