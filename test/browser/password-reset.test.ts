/** A forgotten password: from the sign-in to the mailed link and in again, with a real mail server. */
import assert from "node:assert/strict"
import { test } from "node:test"
import { assertAccessible, Dashboard, owner } from "../help/dashboard.ts"
import { bodyOf, MailServer } from "../help/mail-server.ts"

const NEXT = "another horse battery"

test("somebody who has forgotten their password gets in again by themselves", async t => {
  await using mails = await MailServer.open()
  const dashboard = await Dashboard.ofOwner(t, { env: { WAYBILL_SMTP_URL: `smtp://127.0.0.1:${mails.port}` } })
  const page = await dashboard.window()
  await page.goto(`${dashboard.waybill.url}/sign-in`)
  await page.getByRole("link", { name: "Forgot your password?" }).click()
  await assertAccessible(page, "the page that asks for a new password")
  await page.getByLabel("E-mail").fill(owner.email)
  await page.getByRole("button", { name: "Mail me a link" }).click()
  await page.getByText("a link for a new one is on its way").waitFor()
  const [mail] = await mails.received(1)
  assert.ok(mail)
  const [link = ""] = /http:\/\/\S+\/password-reset\?token=[\w-]+/.exec(bodyOf(mail)) ?? []
  await page.goto(link)
  await assertAccessible(page, "the page of a mailed link")
  await page.getByLabel("New password").fill("short")
  await page.getByRole("button", { name: "Set the new password" }).click()
  await page.getByText("any will do, long beats odd").waitFor()
  await page.getByLabel("New password").fill(NEXT)
  await page.getByRole("button", { name: "Set the new password" }).click()
  await page.getByText("you are signed out now").waitFor()
  await dashboard.signIn(page, { email: owner.email, password: NEXT })
  // The link works once.
  await page.goto(link)
  await page.getByLabel("New password").fill("a third horse battery")
  await page.getByRole("button", { name: "Set the new password" }).click()
  await page.getByRole("alert").waitFor()
  // The window that was signed in before has to sign in again.
  await dashboard.page.goto(`${dashboard.waybill.url}/events`)
  await dashboard.page.getByRole("heading", { name: "Sign in to Waybill" }).waitFor()
})
