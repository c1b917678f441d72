/** Who and what may do something here: keys of programs, people by invitation, their sessions, and the log of all of it. */
import assert from "node:assert/strict"
import { test } from "node:test"
import { request } from "undici"
import { assertAccessible, Dashboard, owner } from "../help/dashboard.ts"
import type { Reachable } from "../help/waybill.ts"

function bearer(token: string) {
  return { authorization: `Bearer ${token}` }
}

/** The status with which an event is taken or refused that comes with a key. */
async function sendWith(key: string, { url }: Reachable): Promise<number> {
  const { statusCode, body } = await request(`${url}/v1/events`, {
    method: "POST",
    headers: { ...bearer(key), "content-type": "application/json" },
    body: JSON.stringify({ type: "order.paid", data: { amount: 12.5 } }),
  })
  await body.dump()
  return statusCode
}

test("an owner makes a key that is shown once and works, replaces it without a gap, revokes it, and reads in the log who did so", async t => {
  const dashboard = await Dashboard.ofOwner(t)
  const { page, waybill } = dashboard
  await dashboard.visit("/api-keys")
  const keys = page.getByRole("table", { name: "API keys" })
  await page.getByRole("button", { name: "Make a key" }).click()
  const dialog = page.getByRole("dialog")
  await dialog.getByLabel("Name").fill("Billing service")
  await assertAccessible(page, "the form of a new key")
  await dialog.getByRole("button", { name: "Make the key" }).click()
  const shown = async (): Promise<string> => {
    const said = await dialog.getByRole("status").filter({ hasText: "It is shown this once" }).innerText()
    return /wb_live_\w+/.exec(said)?.[0] ?? ""
  }
  const first = await shown()
  await assertAccessible(page, "a key that is shown this once")
  await dialog.getByRole("button", { name: "I have copied it" }).click()
  await dialog.waitFor({ state: "hidden" })
  const row = keys.getByRole("row").filter({ hasText: "Billing service" })
  await row.getByText("Never").first().waitFor()
  assert.equal(await sendWith(first, waybill), 202, "the key works")
  await page.reload()
  await row.getByText("In use").waitFor()
  assert.equal((await page.content()).includes(first), false, "a key is not shown again")

  await row.getByRole("button", { name: "Change or replace Billing service" }).click()
  await page.getByRole("menuitem", { name: "Replace by a new key" }).click()
  await assertAccessible(page, "the form that replaces a key")
  await dialog.getByRole("button", { name: "Make the new key" }).click()
  const second = await shown()
  assert.notEqual(second, first)
  await dialog.getByRole("button", { name: "I have copied it" }).click()
  await dialog.waitFor({ state: "hidden" })
  assert.deepEqual(
    [await sendWith(first, waybill), await sendWith(second, waybill)],
    [202, 202],
    "for a day both are good",
  )
  await page.reload()
  await row.filter({ hasText: "Ends soon" }).waitFor()
  await row.filter({ hasText: "In use" }).getByRole("button", { name: "Revoke: Billing service" }).click()
  await assertAccessible(page, "the question before a key is revoked")
  await dialog.getByRole("button", { name: "Revoke it now" }).click()
  await dialog.waitFor({ state: "hidden" })
  assert.equal(await sendWith(second, waybill), 401, "a revoked key is refused")
  await row.filter({ hasText: "Ends soon" }).waitFor()
  await page.getByLabel("Show those that have ended, too").check()
  await row.filter({ hasText: "Revoked" }).waitFor()
  await assertAccessible(page, "keys, ended ones too")

  // A token of the portal is ended here as well.
  await dashboard.call("POST", "/v1/apps", { name: "acme" })
  const { url } = (await dashboard.call("POST", "/v1/portal-tokens", { app: "acme" })) as { readonly url: string }
  const token = new URL(url).hash.replace(/^#token=/, "")
  const portal = async () => (await fetch(`${waybill.url}/v1/portal`, { headers: bearer(token) })).status
  assert.equal(await portal(), 200)
  await page.reload()
  await page.getByRole("button", { name: /^Revoke: the token .* for acme$/ }).click()
  await assertAccessible(page, "the question before a token of the portal is revoked")
  await dialog.getByRole("button", { name: "Revoke it now" }).click()
  await dialog.waitFor({ state: "hidden" })
  await page.getByRole("table", { name: "Tokens of the portal that are good" }).waitFor({ state: "detached" })
  assert.equal(await portal(), 401, "a revoked token opens nothing")

  await dashboard.visit("/audit-log")
  const log = page.getByRole("table", { name: "Changes, newest first" })
  const revoked = log.getByRole("row").filter({ hasText: "api_key.revoked" })
  await revoked.filter({ hasText: owner.name }).waitFor()
  await revoked.getByRole("button", { name: /^More on/ }).click()
  await page.getByRole("table", { name: "Before and after" }).waitFor()
  await assertAccessible(page, "an opened entry of the audit log")
  assert.equal((await page.content()).includes(second), false, "no key stands in the log")
})

test("an owner invites a colleague by a link, changes what they may do, and removes them, who is signed out at once", async t => {
  const dashboard = await Dashboard.ofOwner(t)
  const { page } = dashboard
  await dashboard.visit("/people")
  await page.getByRole("button", { name: "Invite somebody" }).click()
  const dialog = page.getByRole("dialog")
  await dialog.getByLabel("E-mail").fill("sam@shop.example")
  await assertAccessible(page, "the form of an invitation")
  await dialog.getByRole("button", { name: "Make the invitation" }).click()
  const said = await dialog.getByRole("status").filter({ hasText: "It is shown this once" }).innerText()
  const link = /http:\S+\/invitation\?token=\S+/.exec(said)?.[0] ?? ""
  await assertAccessible(page, "the link of an invitation")
  await dialog.getByRole("button", { name: "Done" }).click()
  await page.getByRole("table", { name: "Invitations" }).getByText("Open").waitFor()

  const sam = await dashboard.window()
  await sam.goto(link)
  await sam.getByRole("heading", { level: 1 }).waitFor()
  await assertAccessible(sam, "the page of an invitation")
  await sam.getByLabel("Your name").fill("Sam Support")
  await sam.getByRole("textbox", { name: "Password" }).fill(owner.password)
  await sam.getByRole("button", { name: "Join the project" }).click()
  await sam.getByRole("heading", { level: 1, name: "Overview" }).waitFor()
  assert.equal(await sam.getByRole("link", { name: "API keys" }).count(), 0, "support has no page of keys in the menu")
  await dashboard.visit("/api-keys", sam)
  await sam.getByText("Your role does not show this").waitFor()
  await sam.getByText(/You are support in .*Ask an owner or admin/).waitFor()
  await assertAccessible(sam, "a page that one may not see")

  await page.reload()
  const row = page
    .getByRole("table", { name: "People of the project" })
    .getByRole("row")
    .filter({ hasText: "Sam Support" })
  await row.getByRole("combobox", { name: "Role of Sam Support" }).click()
  await page.getByRole("option", { name: "admin" }).click()
  await row.getByRole("combobox", { name: "Role of Sam Support" }).and(page.locator("[value=admin]")).waitFor()
  // Another role is another session.
  await sam.reload()
  await sam.getByRole("heading", { level: 1, name: "Sign in to Waybill" }).waitFor()
  await dashboard.signIn(sam, { email: "sam@shop.example", password: owner.password })
  await dashboard.visit("/api-keys", sam)
  await sam.getByRole("table", { name: "API keys" }).waitFor()

  await row.getByRole("button", { name: "Remove: Sam Support" }).click()
  await assertAccessible(page, "the question before somebody is removed")
  await dialog.getByRole("button", { name: "Remove them" }).click()
  await row.waitFor({ state: "hidden" })
  await sam.getByRole("link", { name: "Apps" }).click()
  await sam.getByRole("heading", { level: 1, name: "Sign in to Waybill" }).waitFor()
  await sam.getByLabel("E-mail").fill("sam@shop.example")
  await sam.getByRole("textbox", { name: "Password" }).fill(owner.password)
  await sam.getByRole("button", { name: "Sign in", exact: true }).click()
  await sam.getByRole("alert").waitFor()
  await assertAccessible(sam, "a sign-in that is refused")
})

test("somebody changes their password and signs out everywhere: the other windows are asked to sign in", async t => {
  const dashboard = await Dashboard.ofOwner(t)
  const { page } = dashboard
  const other = await dashboard.window()
  await dashboard.signIn(other, owner)
  await dashboard.visit("/account")
  const sessions = page.getByRole("table", { name: "Your sessions" }).getByRole("row")
  await sessions.nth(2).waitFor()
  await page.getByLabel("The password of now").fill("not my password")
  await page.getByLabel("The new one").fill("a longer battery, a staple")
  await page.getByRole("button", { name: "Change the password" }).click()
  await page
    .getByRole("alert")
    .filter({ hasText: /password/i })
    .waitFor()
  await assertAccessible(page, "a password that is wrong")
  await page.getByLabel("The password of now").fill(owner.password)
  await page.getByLabel("The new one").fill("a longer battery, a staple")
  await page.getByRole("button", { name: "Change the password" }).click()
  await page.getByText("The password is changed. Your other sessions have ended.").waitFor()
  await other.reload()
  await other.getByRole("heading", { level: 1, name: "Sign in to Waybill" }).waitFor()
  await dashboard.signIn(other, { ...owner, password: "a longer battery, a staple" })

  await page.getByRole("button", { name: "Sign out everywhere" }).click()
  await assertAccessible(page, "the question before one is signed out everywhere")
  await page.getByRole("dialog").getByRole("button", { name: "Sign out everywhere" }).click()
  await page.getByRole("heading", { level: 1, name: "Sign in to Waybill" }).waitFor()
  await other.reload()
  await other.getByRole("heading", { level: 1, name: "Sign in to Waybill" }).waitFor()
})
