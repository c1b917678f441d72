/** Ways to more than one was given: by keys that one makes, by links that one may make, by addresses that are not one's own. */
import assert from "node:assert/strict"
import { describe, test } from "node:test"
import { Browser } from "../help/browser.ts"
import { CLIENT, LocalProvider, signInAt } from "../help/identity-provider.ts"
import { join, PASSWORD, setUp, tokenIn } from "../help/people.ts"
import { type Json, Program } from "../help/program.ts"
import { stablePort } from "../help/waybill.ts"

const CALLBACK = "/v1/session/oidc/callback"

/** A program at which people sign in with this provider. */
async function withProvider(settings: object = {}): Promise<{ program: Program; provider: LocalProvider }> {
  const port = await stablePort()
  const publicUrl = `http://127.0.0.1:${port}`
  const provider = await LocalProvider.open(publicUrl + CALLBACK)
  const program = await Program.open({
    // The library looks at the machine's own clock.
    now: Date.now,
    publicUrl,
    settings: {
      port: String(port),
      oidcIssuer: provider.issuer,
      oidcClientId: CLIENT.id,
      oidcClientSecret: CLIENT.secret,
      ...settings,
    },
  })
  return { program, provider }
}

async function signInElsewhere(provider: LocalProvider, browser: Browser, headers = {}): Promise<number> {
  const begun = await browser.ask("GET", "/v1/session/oidc")
  const back = await signInAt(provider, String(begun.headers.get("location")))
  const answer = await browser.ask("GET", back, undefined, headers)
  return /\/sign-in/.test(String(answer.headers.get("location"))) ? 401 : answer.status
}

const bearer = (made: Json) => ({ authorization: `Bearer ${made.key}` })

describe("the key of an admin who is no owner", () => {
  test("does not remove the project, nor does any that was made with it", async () => {
    await using program = await Program.open()
    const owner = await setUp(program)
    await owner.call("POST", "/v1/projects", { name: "another" })
    const admin = await join(owner, program, "admin@shop.example", "admin")
    const made = await admin.call("POST", "/v1/api-keys", { name: "mine", scopes: ["admin"] })
    const further = await program.ask("POST", "/v1/api-keys", { name: "its", scopes: ["admin"] }, bearer(made))
    const rotated = await admin.call("POST", `/v1/api-keys/${further.body.id}/rotate`, {})
    const { id } = (await owner.call("GET", "/v1/session")).project ?? {}
    for (const key of [made, further.body, rotated]) {
      const refused = await program.ask("DELETE", `/v1/projects/${id}`, { name: "default" }, bearer(key))
      assert.deepEqual([refused.status, refused.body.code], [403, "forbidden"])
      assert.match(String(refused.body.detail), /Only an owner removes a project/)
    }
    const own = await owner.call("POST", "/v1/api-keys", { name: "the owner's", scopes: ["admin"] })
    assert.equal((await program.ask("DELETE", `/v1/projects/${id}`, { name: "default" }, bearer(own))).status, 202)
  })

  test("makes projects, and removes those again as long as nobody owns them", async () => {
    await using program = await Program.open()
    const admin = await join(await setUp(program), program, "admin@shop.example", "admin")
    const made = await admin.call("POST", "/v1/api-keys", { name: "mine", scopes: ["admin"] })
    const { body: shop } = await program.ask("POST", "/v1/projects", { name: "shop" }, bearer(made))
    assert.equal((await program.ask("DELETE", `/v1/projects/${shop.id}`, { name: "shop" }, bearer(shop))).status, 202)
  })

  test("makes no set-up link that stands for somebody's address", async () => {
    const { program, provider } = await withProvider()
    await using _ = program
    await using __ = provider
    const owner = await setUp(program)
    const admin = await join(owner, program, "admin@shop.example", "admin")
    const made = await admin.call("POST", "/v1/api-keys", { name: "mine", scopes: ["admin"] })
    const { body: own } = await program.ask("POST", "/v1/projects", { name: "squat" }, bearer(made))
    const link = await program.ask("POST", "/v1/setup-link", undefined, bearer(own))
    const squatter = new Browser(program)
    const who = { email: "victim@shop.example", name: "Not the victim", password: PASSWORD }
    await squatter.call("POST", "/v1/setup", { token: tokenIn(link.body.url), ...who })

    await owner.call("POST", "/v1/invitations", { email: "victim@shop.example", role: "developer" })
    provider.account = { sub: "victim-1", email: "victim@shop.example", email_verified: true }
    assert.equal(await signInElsewhere(provider, new Browser(program)), 302)
    assert.equal((await squatter.ask("GET", "/v1/session")).status, 401, "the squatter's session has ended")
    assert.equal((await squatter.signIn("victim@shop.example", PASSWORD)).status, 401, "and their password is gone")
  })
})

test("sixty people of one office sign in at their provider within minutes, and one with a password after them", async () => {
  const { program, provider } = await withProvider()
  await using _ = program
  await using __ = provider
  const owner = await setUp(program)
  await owner.call("POST", "/v1/invitations", { email: "office@shop.example", role: "viewer" })
  provider.account = { sub: "office", email: "office@shop.example", email_verified: true }
  for (let i = 0; i < 60; i++) assert.equal(await signInElsewhere(provider, new Browser(program)), 302, `sign-in ${i}`)
  assert.equal((await new Browser(program).signIn("ada@shop.example", PASSWORD)).status, 201)
})
