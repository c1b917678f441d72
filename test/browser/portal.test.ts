/** A customer looks at their own deliveries within the owner's site: framed from another origin, with a token for one app. */
import assert from "node:assert/strict"
import { once } from "node:events"
import { createServer, type Server } from "node:http"
import type { AddressInfo } from "node:net"
import { test } from "node:test"
import { assertAccessible, Dashboard } from "../help/dashboard.ts"
import { Endpoint } from "../help/endpoint.ts"
import { newSecret } from "../help/waybill.ts"

interface Token {
  readonly id: string
  readonly token: string
  readonly url: string
}

test("a customer sees their own events in the owner's site, in the owner's name and colour, and goes on with the next token", async t => {
  const dashboard = await Dashboard.open(t)
  await using acme = await Endpoint.open({ status: 404, body: "no such order" })
  await using other = await Endpoint.open()
  let token: Token | undefined
  const given: string[] = []
  const site = await serve(t, async path => {
    if (path !== "/token") return siteOf(dashboard.waybill.url, token?.url ?? "")
    token = await newToken()
    given.push(token.id)
    return JSON.stringify({ token: token.token })
  })
  const origin = `http://127.0.0.1:${(site.address() as AddressInfo).port}`

  const { data } = (await dashboard.call("GET", "/v1/projects")) as { data: readonly { id: string }[] }
  const portal = { name: "Shopwise", color: "#1c2b6b", frame_origins: [origin] }
  await dashboard.call("PATCH", `/v1/projects/${data[0]?.id}`, { portal })
  for (const [name, endpoint] of [
    ["acme", acme],
    ["globex", other],
  ] as const) {
    await dashboard.call("POST", "/v1/apps", { name, title: `The shop ${name}` })
    await dashboard.call("POST", "/v1/integrations", {
      name: `CRM of ${name}`,
      apps: [name],
      secret: newSecret(),
      config: { production: { url: endpoint.url() }, verification: "none" },
      policy: { preset: "standard", retry_delays_ms: [] },
    })
    await dashboard.call("POST", "/v1/events", { type: "order.created", app: name, profile_id: `of-${name}`, data: {} })
  }
  await acme.received(1)
  await other.received(1)
  token = await newToken()

  const { page } = dashboard
  await page.goto(origin)
  const frame = page.frameLocator("iframe")
  await frame.getByRole("banner").getByText("Shopwise").waitFor()
  await frame.getByRole("banner").getByText("The shop acme").waitFor()
  const colour = await frame.getByRole("banner").evaluate(band => getComputedStyle(band as never).backgroundColor)
  assert.equal(colour, "rgb(28, 43, 107)")
  await frame.getByRole("row").filter({ hasText: "of-acme" }).waitFor()
  assert.equal(await frame.getByText("globex").count(), 0)
  assert.equal(await frame.getByRole("link", { name: "API keys" }).count(), 0)
  const address = page.frames()[1]?.url() ?? ""
  assert.ok(address.endsWith("/events"), `the token is not in the address: ${address}`)
  assert.deepEqual(await page.context().cookies(), [])
  await assertAccessible(page, "the portal's feed")

  await t.test("reads why an event did not arrive", async () => {
    await frame.getByRole("row").filter({ hasText: "of-acme" }).getByRole("link").first().click()
    await frame.getByText("there is nothing at this address").waitFor()
    await frame.getByText("no such order").first().waitFor()
    assert.equal(await frame.getByRole("button", { name: "Retry now" }).count(), 0, "the token may not")
    await assertAccessible(page, "an event in the portal")
  })

  await t.test("sees the integration, and none of another customer", async () => {
    await frame.getByRole("link", { name: "Integrations" }).click()
    await frame.getByRole("link", { name: "CRM of acme" }).click()
    await frame.getByRole("heading", { level: 1, name: "CRM of acme" }).waitFor()
    assert.equal(await frame.getByText("globex").count(), 0)
    await assertAccessible(page, "an integration in the portal")
  })

  await t.test("goes on when the site gives the next token in place of one that has ended", async () => {
    const ended = token?.id
    await dashboard.call("DELETE", `/v1/portal-tokens/${ended}`)
    await frame.getByRole("link", { name: "Events" }).click()
    await page.getByText("The site was asked for a token").waitFor()
    await frame.getByRole("row").filter({ hasText: "of-acme" }).waitFor()
    assert.equal(given.length, 1)
  })

  await t.test("stays where it is when the site gives a token that is none", async () => {
    for (const none of ["nothing", "wb_live_sk_nothing", `wb_pt_${"0".repeat(36)}`]) {
      const asked = none.startsWith("wb_pt_")
        ? page.waitForResponse(answer => answer.url().endsWith("/v1/portal") && answer.status() === 401)
        : undefined
      await page.evaluate(give, none)
      await asked
    }
    await frame.getByRole("link", { name: "Integrations" }).click()
    await frame.getByRole("link", { name: "CRM of acme" }).waitFor()
    assert.equal(await frame.getByText("This view has ended").count(), 0)
  })

  await t.test("is asked for no password at any address of the portal", async () => {
    const { url } = await newToken()
    for (const place of ["sign-in", "setup", "password-reset", "invitation"]) {
      await page.goto(url.replace("#", `/${place}#`))
      await page.getByText("This address leads nowhere").waitFor()
      assert.equal(await page.locator("input").count(), 0, place)
    }
  })

  await t.test("is told calmly that it is over where the site gives none", async () => {
    const alone = await newToken()
    await dashboard.call("DELETE", `/v1/portal-tokens/${alone.id}`)
    await page.goto(alone.url)
    await page.getByRole("status").getByRole("heading").waitFor()
    await assertAccessible(page, "a portal whose time is over")
  })

  await t.test("is framed by nobody whom the owner did not name", async () => {
    const policy =
      (await fetch(token?.url ?? "", { headers: { accept: "text/html" } })).headers.get("content-security-policy") ?? ""
    assert.match(policy, new RegExp(`frame-ancestors ${origin};`))
  })

  async function newToken(): Promise<Token> {
    return (await dashboard.call("POST", "/v1/portal-tokens", { app: "acme" })) as Token
  }
})

/** A page of the owner's site, as docs/portal.md has it. */
function siteOf(waybill: string, url: string): string {
  return `<!doctype html><html lang="en"><title>Shopwise admin</title><main><h1>Shopwise admin</h1><p id="said"></p>
<iframe id="deliveries" title="Deliveries" src="${url}" style="width: 100%; height: 700px; border: 0"></iframe></main>
<script>
  const frame = document.getElementById("deliveries")
  addEventListener("message", async ({ source, origin, data }) => {
    if (source !== frame.contentWindow || origin !== "${waybill}") return
    if (data.type !== "waybill:token-expiring" && data.type !== "waybill:token-expired") return
    document.getElementById("said").textContent = "The site was asked for a token."
    const { token } = await (await fetch("/token")).json()
    frame.contentWindow.postMessage({ type: "waybill:token", token }, "${waybill}")
  })
</script></html>`
}

/** A site on a port of its own; it ends with the test. */
async function serve(t: { after(end: () => void): void }, answer: (path: string) => Promise<string>): Promise<Server> {
  const server = createServer((request, response) => {
    void answer(request.url ?? "/").then(text => response.setHeader("content-type", "text/html").end(text))
  })
  server.listen(0, "127.0.0.1")
  await once(server, "listening")
  t.after(() => {
    server.closeAllConnections()
    server.close()
  })
  return server
}

/** Of the page, in functions that run there. */
declare const getComputedStyle: (element: never) => { readonly backgroundColor: string }
declare const document: {
  querySelector(selector: "iframe"): {
    readonly src: string
    contentWindow: { postMessage(data: object, origin: string): void }
  }
}

/** Gives the portal a token, as the site that frames it does. */
function give(token: string): void {
  const { src, contentWindow } = document.querySelector("iframe")
  contentWindow.postMessage({ type: "waybill:token", token }, new URL(src).origin)
}
