/** Setting up an integration: found in the catalogue, filled in, mended where it was wrong, seen to answer, and tried with a real event. */
import assert from "node:assert/strict"
import { test } from "node:test"
import type { Page } from "playwright-core"
import { assertAccessible, Dashboard } from "../help/dashboard.ts"
import { Endpoint } from "../help/endpoint.ts"
import { assertFitsNarrowly, assertMarked, codeIn, hasFocus, isSignedWith, stepsOf } from "../help/integration-pages.ts"

const AUTHORIZATION = "Bearer of-the-sandbox"

test("an engineer sets up an integration, sees its endpoint answer, and sends it a real event after reading what will go out", async t => {
  const dashboard = await Dashboard.ofOwner(t)
  const { page } = dashboard
  await using shop = await Endpoint.open({ body: "<h1>It works!</h1>", headers: { "content-type": "text/html" } })
  const step = stepsOf(t)
  let secret = ""

  await step("the catalogue is found from the empty list and searched", async () => {
    await dashboard.visit("/integrations")
    await page.getByText("Events come in and go nowhere.").waitFor()
    await assertAccessible(page, "the list with no integration")
    await page.getByRole("link", { name: "Set up an integration" }).click()
    const search = page.getByLabel("Search the catalogue")
    await search.fill("nothing like it")
    await page.getByText("Nothing of that name").waitFor()
    await search.fill("webh")
    await page.getByRole("link", { name: /^Webhook/ }).waitFor()
    assert.equal(await page.getByRole("link", { name: /^Inbox/ }).count(), 0)
    await assertAccessible(page, "the catalogue")
    await page.getByRole("link", { name: /^Webhook/ }).click()
  })

  const sandbox = page.getByRole("group", { name: "Sandbox endpoint" })
  const production = page.getByRole("group", { name: "Production endpoint" })
  const url = sandbox.getByRole("textbox", { name: "URL" })

  await step("the form says where to begin, and what each preset means", async () => {
    await page.getByText("Try the sandbox endpoint first").waitFor()
    assert.equal(await page.getByText("Without it the receiver cannot tell who calls").count(), 2)
    await page.getByText(/^Tried again 9 times, after 5 s, 5 min/).waitFor()
    await page.getByRole("radio", { name: /As Particle does it/ }).click()
    await page.getByText("Tried again 2 times, after 30 s, 1 min", { exact: false }).waitFor()
    await page.getByRole("radio", { name: /Standard Webhooks/ }).click()
    await page.getByText(/^Tried again 9 times/).waitFor()
  })

  await step("what is wrong is told at its field, and the first of them has the focus", async () => {
    const name = page.getByRole("textbox", { name: "Name", exact: true })
    const save = page.getByRole("button", { name: "Save and verify" })
    await save.click()
    await hasFocus(name)
    await assertMarked(name, /`name` must have at least 1 character/)
    await name.fill("Shop backend")
    await save.click()
    await hasFocus(production.getByRole("textbox", { name: "URL" }))
    await assertMarked(production.getByRole("textbox", { name: "URL" }), /`config\.production\.url` is missing/)
    await production.getByRole("switch", { name: "Set production endpoint" }).click({ force: true })
    await url.fill("ftp://shop.example/hook")
    await sandbox.getByRole("textbox", { name: "Authorization" }).fill("Bearer ключ")
    await sandbox.getByRole("textbox", { name: "Name of another one" }).fill("Host")
    await sandbox.getByRole("button", { name: "Add to Headers" }).click()
    await sandbox.getByRole("textbox", { name: "Host", exact: true }).fill("other.example")
    await save.click()
    await hasFocus(url)
    await assertMarked(url, /Waybill sends to http and https URLs/)
    await assertMarked(sandbox.getByRole("textbox", { name: "Authorization" }), /ASCII/)
    await assertMarked(
      sandbox.getByRole("textbox", { name: "Host", exact: true }),
      /The header Host belongs to the connection/,
    )
    await assertAccessible(page, "the form with faults")
    assert.equal(shop.requests.length, 0)
  })

  await step("it is saved when it is right, and the answer that was not is shown whole", async () => {
    await url.fill(shop.url())
    await sandbox.getByRole("textbox", { name: "Authorization" }).fill(AUTHORIZATION)
    assert.equal(await page.getByText("Without it the receiver cannot tell who calls").count(), 0)
    await sandbox.getByRole("button", { name: "Remove Host" }).click()
    await sandbox.getByRole("textbox", { name: "Name of another one" }).fill("x-team")
    await page.keyboard.press("Enter")
    await sandbox.getByRole("textbox", { name: "x-team", exact: true }).fill("billing")
    await page.getByRole("button", { name: "Save and verify" }).click()
    await page.getByText("“Shop backend” is saved, but an endpoint did not answer as it should.").waitFor()
    const asked = await shop.request(1)
    assert.deepEqual([asked.method, asked.body.toString(), asked.headers["x-team"]], ["POST", "{}", "billing"])
    assert.equal(asked.headers["authorization"], AUTHORIZATION)
    assert.equal(await codeIn(page, "Answer of sandbox"), "<h1>It works!</h1>")
    await page.getByText("Not verified", { exact: true }).waitFor()
    await page.getByText(/mend the endpoint, then verify again/).waitFor()
    secret = await secretIn(page)
    assert.ok(isSignedWith(secret, asked), "the secret that is shown signs")
    await assertAccessible(page, "an integration that is saved and not verified")
    await assertFitsNarrowly(page, "an integration that is saved and not verified")
  })

  await step("mended, it is verified with a button", async () => {
    shop.play({ body: '{"ok":true}' })
    await page.getByRole("button", { name: "Verify again" }).click()
    await page.getByText("“Shop backend” is saved and gets events from now on.").waitFor()
    await page.getByText("Verified", { exact: true }).waitFor()
    await page.getByRole("button", { name: "Its whole answer" }).click()
    assert.match(await codeIn(page, "Answer of sandbox"), /"ok": true/)
  })

  await step("nothing is sent before it was shown, and what was shown is what the receiver gets", async () => {
    // Digits that no floating-point number holds, and letters of more than one byte.
    const event = '{"type":"order_paid","environment":"sandbox","data":{"amount":9007199254740993.10,"name":"Zoë"}}'
    await dashboard.call("POST", "/v1/events", event)
    await shop.received(3)
    await page.getByRole("link", { name: "Send a test event" }).click()
    const send = page.getByRole("button", { name: "Send it" })
    await page.getByText("Nothing goes out before you have seen it.").waitFor()
    await page.getByText("A real past event").click()
    await page.getByRole("combobox", { name: "Event", exact: true }).click()
    await page.getByRole("option", { name: /^order_paid/ }).click()
    assert.equal(await send.isDisabled(), true)
    await page.getByRole("button", { name: "Show what would be sent" }).click()
    await page.getByRole("heading", { name: "What would be sent" }).waitFor()
    await page.getByText(`POST ${shop.url()}`).waitFor()
    await page.getByRole("listitem").filter({ hasText: "authorization: secret, not shown" }).waitFor()
    await page.getByText("As it came").click()
    const shown = await codeIn(page, "What would be sent")
    const names = await namesOfHeaders(page)
    await assertAccessible(page, "a test event that is about to be sent")
    assert.equal(shop.requests.length, 3)
    await send.click()
    const got = await shop.request(4)
    assert.equal(withoutMoment(got.body.toString()), withoutMoment(shown))
    assert.match(shown, /"amount":9007199254740993\.10,"name":"Zoë"/)
    assert.match(shown, /"test":true/)
    const ofConnection = ["host", "connection", "content-length", "transfer-encoding"]
    const ofEvent = Object.keys(got.headers).filter(name => !ofConnection.includes(name))
    assert.deepEqual(names.filter(name => !ofConnection.includes(name)).sort(), ofEvent.sort())
    assert.ok(isSignedWith(secret, got))
    await page.getByRole("heading", { name: "What came back" }).waitFor()
    assert.match(await codeIn(page, "Answer"), /"ok": true/)
    await assertAccessible(page, "a test event that was sent")
  })
})

/** The secret that is shown once. */
async function secretIn(page: Page): Promise<string> {
  const text = await page.getByRole("status").filter({ hasText: "The signing secret" }).textContent()
  return /whsec_[\w+/]+=*/.exec(text ?? "")?.[0] ?? ""
}

async function namesOfHeaders(page: Page): Promise<string[]> {
  const lines = await page
    .getByRole("listitem")
    .filter({ hasText: /^[\w-]+: / })
    .allTextContents()
  return lines.map(line => line.slice(0, line.indexOf(":")).toLowerCase())
}

/** A body without its id and times, which are those of the moment in which it is sent. */
function withoutMoment(body: string): string {
  return body.replace(/evt_\w+/g, "evt_").replace(/"\d{4}-\d\d-\d\dT[\d:.]+Z"/g, '"then"')
}
