/** The page of an event: all that came in, went out and came back, where the time went, and the proof of who sent it. */
import assert from "node:assert/strict"
import { execFile } from "node:child_process"
import { createHmac, createPublicKey, verify as verifies, type webcrypto } from "node:crypto"
import { readFileSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { type TestContext, test } from "node:test"
import { promisify } from "node:util"
import type { Page } from "playwright-core"
import { assertAccessible, assertFits, Dashboard } from "../help/dashboard.ts"
import { Endpoint, type Received } from "../help/endpoint.ts"
import { call, createWebhook, newSecret, openWaybill, temporaryFolder } from "../help/waybill.ts"

const run = promisify(execFile)
const DAY_MS = 86_400_000

/** Numbers that parsing and printing would change, and a character that turns the text around it. */
const data = '{"price":1.0,"order":12345678901234567890,"note":"naïve \\u202e<b>bold</b>"}'

test("an engineer reads what went wrong with an event from end to end, takes it along, and sends it again", async t => {
  const dashboard = await Dashboard.ofOwner(t)
  const { page, waybill } = dashboard
  await page.context().grantPermissions(["clipboard-read", "clipboard-write"])
  await using printer = await Endpoint.open({
    status: 500,
    headers: { "x-trace": "t-1" },
    body: '{"error":"out of ink"}',
  })
  await using archive = await Endpoint.open()
  const secret = newSecret()
  const policy = { preset: "standard", retry_delays_ms: [3_600_000, 7_200_000, 10_800_000] }
  await createWebhook(waybill, { name: "Printer", url: printer.url(), secret, policy })
  await createWebhook(waybill, { name: "Archive", url: archive.url(), secret: newSecret() })
  const { id } = (await dashboard.call("POST", "/v1/events", `{"type":"order.paid","id":"o-1","data":${data}}`)) as {
    id: string
  }
  await printer.received(1)
  await archive.received(1)
  await dashboard.visit(`/events/${id}`)

  // What came in: as it came, pretty, to copy and as a file.
  const cameIn = page.getByRole("region", { name: "What came in" })
  await cameIn.getByText('"price": 1.0,').waitFor()
  await cameIn.getByText("As it came").click()
  await cameIn.getByText('{"price":1.0,"order":12345678901234567890,"note":"naïve ').waitFor()
  assert.equal(await cameIn.getByText("bold", { exact: true }).count(), 0, "nothing of an event is markup")
  await cameIn.getByRole("button", { name: "Copy" }).click()
  assert.deepEqual(JSON.parse(await clipboard(page)), JSON.parse(data))
  assert.match(await clipboard(page), /"price":1\.0,"order":12345678901234567890/)
  const downloading = page.waitForEvent("download")
  await cameIn.getByRole("button", { name: "Download" }).click()
  const file = await downloading
  assert.equal(file.suggestedFilename(), `${id}.json`)
  assert.equal(readFileSync(await file.path(), "utf8"), await clipboard(page))

  // Its journey, in the order of time, with what is still to come.
  const journey = page.getByRole("region", { name: "Journey" })
  await journey.getByText("Printer: next attempt").waitFor()
  const steps = await journey.getByText(/^(Received|Processing|Delivered to|Printer:)/).allInnerTexts()
  assert.deepEqual([steps[0], steps[1], steps.at(-1)], ["Received", "Processing", "Printer: next attempt"])
  assert.deepEqual(steps.slice(2, -1).sort(), ["Delivered to Archive", "Printer: attempt 1"])

  // The attempt: answer, request, where the time went, and the rest of the plan.
  const here = page.getByRole("region", { name: "At each integration" })
  await here.getByText("answered 500").first().waitFor()
  await here.getByText("Status 500").waitFor()
  await here.getByRole("cell", { name: "x-trace" }).waitFor()
  await here.getByText('"error": "out of ink"').waitFor()
  for (const phase of ["connecting", "waiting for the answer", "reading the answer"]) {
    await here.getByText(new RegExp(`^[\\d.]+ m?s ${phase}$`)).waitFor()
  }
  await here.getByRole("button", { name: /^As long as it fails, it is tried 2 more times after the next one/ }).click()
  const plan = here.getByRole("table", { name: "The rest of the retry plan" })
  await plan.getByRole("row", { name: /2 h/ }).waitFor()
  await plan.getByRole("row", { name: /3 h/ }).waitFor()
  await assertAccessible(page, "the page of an event, with an answer")
  const request = await printer.request(1)
  await here.getByRole("tab", { name: "Request" }).click()
  const [webhookId = ""] = [request.headers["webhook-id"]]
  await here.getByRole("cell", { name: webhookId, exact: true }).waitFor()
  await assertAccessible(page, "the page of an event, with a request")

  // Copied as curl, the same request comes once more.
  await here.getByRole("button", { name: "Copy as curl" }).click()
  const { stdout } = await run("sh", ["-c", await clipboard(page)])
  assert.match(stdout, /500[\s\S]*out of ink/)
  const again = await printer.request(2)
  assert.deepEqual([again.method, again.path, again.body], [request.method, request.path, request.body])
  assert.equal(again.headers["webhook-signature"], request.headers["webhook-signature"])

  // The signature: over what, and how its receiver checks it. The snippet is run as it stands.
  await here.getByRole("tab", { name: "Signature" }).click()
  await here.getByRole("button", { name: "Copy the base string" }).click()
  const mac = createHmac("sha256", Buffer.from(secret.slice("whsec_".length), "base64"))
  const signature = mac.update(await clipboard(page)).digest("base64")
  assert.equal(request.headers["webhook-signature"], `v1,${signature}`)
  await here.getByRole("button", { name: "Copy the snippet" }).click()
  assert.deepEqual(await verify(t, await clipboard(page), request, secret), [true, false])
  await assertAccessible(page, "the page of an event, with a signature")

  // The event itself as curl, for whoever tries their own sender: a new event comes of it.
  await page.getByRole("button", { name: "Copy as curl" }).first().click()
  const made = await run("sh", ["-c", await clipboard(page)], { env: { ...process.env, WAYBILL_API_KEY: waybill.key } })
  assert.match(made.stdout, /202/)
  assert.ok((await archive.request(2)).body.includes('"price":1.0,"order":12345678901234567890'))
  await printer.received(3)

  // Mended, it is sent now; and to the other one again, where somebody wants that.
  printer.play({})
  await here.getByRole("button", { name: "Retry now" }).click()
  assert.equal((await printer.request(4)).headers["webhook-id"], webhookId)
  await here.getByRole("button", { name: "Printer Delivered" }).waitFor()
  await journey.getByText("Delivered to Printer").waitFor()
  await page.getByRole("button", { name: "Replay to …" }).click()
  await page.getByRole("menuitem", { name: "Archive Delivered" }).click()
  const repeated = await archive.request(3)
  assert.equal(repeated.headers["webhook-id"], archive.requests[0]?.headers["webhook-id"])

  // On a wide screen elsewhere: times are those of the reader's zone, as ISO on focus.
  const timezoneId = "Asia/Kathmandu"
  const storageState = await page.context().storageState()
  const far = await dashboard.window({ width: 1_920, height: 1_080, timezoneId, storageState })
  await dashboard.visit(new URL(page.url()).pathname, far)
  const time = far.getByRole("region", { name: "Journey" }).locator("time").first()
  const at = (await time.getAttribute("datetime")) ?? ""
  const there = new Intl.DateTimeFormat("en-US", { timeStyle: "medium", timeZone: timezoneId }).format(new Date(at))
  assert.ok((await time.innerText()).includes(there.replace(/ .M$/, "")), `${await time.innerText()}, not ${there}`)
  await time.focus()
  await far.getByText(`${at} · shown in Asia/`).waitFor()
  await assertFits(far, "the page of an event on a wide screen")

  // On a phone, in the dark.
  await page.setViewportSize({ width: 360, height: 740 })
  await page.emulateMedia({ colorScheme: "dark" })
  await assertFits(page, "the page of an event")
  await assertAccessible(page, "the page of an event on a phone, in the dark")
})

test("what is gone or hidden says so, since when, and what would help; signatures by key pairs verify, too", async t => {
  await using archive = await Endpoint.open()
  const dataDir = join(temporaryFolder(t), "data")
  // Eight days ago: payloads are kept for seven.
  const before = await openWaybill(t, { dataDir, now: () => Date.now() - 8 * DAY_MS })
  await createWebhook(before, { name: "Archive", url: archive.url(), secret: newSecret() })
  const old = (await call(before, "POST", "/v1/events", { type: "order.paid", data: { n: 1 } })) as { id: string }
  await archive.received(1)
  await before.stop()

  const dashboard = await Dashboard.ofOwner(t, { dataDir })
  const { page } = dashboard
  await page.context().grantPermissions(["clipboard-read", "clipboard-write"])
  await dashboard.visit(`/events/${old.id}`)
  await page.getByText("Payload expired on").waitFor()
  await page.getByText("to send it again, the source has to send it anew").waitFor()
  assert.ok(await page.getByRole("button", { name: "Replay to …" }).isDisabled())
  await assertAccessible(page, "the page of an event whose payload has expired")
  await dashboard.visit("/events/evt_01j9zq4kx2m")
  await page.getByText("Not found").waitFor()
  await assertAccessible(page, "the page of an event that is not there")

  const made = (await dashboard.call("POST", "/v1/integrations", {
    name: "Notary",
    config: { production: { url: archive.url("/notary") }, verification: "none", signature: { scheme: "v1a" } },
  })) as {
    signing_keys: { public_key: string }[]
  }
  const registry = (await dashboard.call("POST", "/v1/integrations", {
    name: "Registry",
    config: {
      production: { url: archive.url("/registry") },
      verification: "none",
      signature: { scheme: "rfc9421" },
    },
  })) as { id: string }
  const event = (await dashboard.call("POST", "/v1/events", { type: "deed.signed", data: { n: 2 } })) as { id: string }
  await archive.received(4)
  const request = archive.requests.find(({ path }) => path === "/notary")
  assert.ok(request !== undefined)
  await dashboard.visit(`/events/${event.id}`)
  await page.getByRole("button", { name: "Notary Delivered" }).click()
  await page.getByRole("tab", { name: "Signature" }).click()
  await page.getByText("v1a, Ed25519").waitFor()
  await page.getByRole("button", { name: "Copy the snippet" }).click()
  assert.deepEqual(await verify(t, await clipboard(page), request, made.signing_keys[0]?.public_key ?? ""), [
    true,
    false,
  ])

  // A signed HTTP message: over what is shown, by the key of the document that it names.
  const message = archive.requests.find(({ path }) => path === "/registry")?.headers
  await page.getByRole("button", { name: "Registry Delivered" }).click()
  await page.getByRole("tab", { name: "Signature" }).last().click()
  await page.getByText("Signed as an HTTP message (RFC 9421)").waitFor()
  await page.getByRole("button", { name: "Copy the base string" }).last().click()
  const { keys } = (await dashboard.call("GET", `/v1/integrations/${registry.id}/jwks`)) as { keys: Named[] }
  const [, keyId] = /keyid="([^"]+)"/.exec(message?.["signature-input"] ?? "") ?? []
  const key = createPublicKey({ key: keys.find(({ kid }) => kid === keyId) ?? {}, format: "jwk" })
  const [, signature = ""] = /:([^:]+):/.exec(message?.["signature"] ?? "") ?? []
  assert.ok(verifies(null, Buffer.from(await clipboard(page)), key, Buffer.from(signature, "base64")))

  // Who may not read payloads is told so, and whom to ask.
  const viewer = await dashboard.ofPerson("vera@shop.example", "viewer")
  await dashboard.visit(`/events/${event.id}`, viewer)
  await viewer.getByText("The payload is hidden").waitFor()
  await viewer.getByRole("button", { name: "Notary Delivered" }).click()
  await viewer.getByText("Request and answer are hidden").waitFor()
  await viewer.getByText("Your role does not retry deliveries").waitFor()
  assert.equal(await viewer.getByRole("button", { name: "Replay to …" }).count(), 0)
  await assertAccessible(viewer, "the page of an event whose payload is hidden")
})

type Named = webcrypto.JsonWebKey & { readonly kid: string }

function clipboard(page: Page): Promise<string> {
  return page.evaluate("navigator.clipboard.readText()")
}

/** What a snippet says, run in Node as it stands, of a request as it came and of the same with another body. */
async function verify(t: TestContext, snippet: string, { headers, body }: Received, key: string): Promise<unknown> {
  const path = join(temporaryFolder(t), "verify.mjs")
  const given = [headers, body.toString("base64"), key].map(each => JSON.stringify(each))
  writeFileSync(
    path,
    `${snippet}
const [headers, body, key] = [${given.join(", ")}]
const raw = Buffer.from(body, "base64")
console.log(JSON.stringify([isGenuine(headers, raw, key), isGenuine(headers, Buffer.concat([raw, raw]), key)]))`,
  )
  const { stdout } = await run(process.execPath, [path])
  return JSON.parse(stdout)
}
