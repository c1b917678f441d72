/** Sign-in with OpenID Connect, at a real provider on loopback: who gets in, who does not, and every way to be refused. */
import assert from "node:assert/strict"
import { after, afterEach, before, describe, test } from "node:test"
import { type SignInFault, signInFaultCodes, signInFaults } from "../../src/domain/sign-in-fault.ts"
import { Browser } from "../help/browser.ts"
import { CLIENT, LocalProvider, signInAt } from "../help/identity-provider.ts"
import { items } from "../help/items.ts"
import { join, newestChanges, PASSWORD, setUp } from "../help/people.ts"
import { type Answer, Program } from "../help/program.ts"
import { stablePort } from "../help/waybill.ts"

const CALLBACK = "/v1/session/oidc/callback"

let program: Program
let owner: Browser
let provider: LocalProvider
before(async () => {
  const port = await stablePort()
  const publicUrl = `http://127.0.0.1:${port}`
  provider = await LocalProvider.open(publicUrl + CALLBACK)
  program = await Program.open({
    // The library looks at the machine's own clock.
    now: Date.now,
    publicUrl,
    settings: {
      port: String(port),
      oidcIssuer: provider.issuer,
      oidcClientId: CLIENT.id,
      oidcClientSecret: CLIENT.secret,
    },
  })
  owner = await setUp(program)
})
after(() => program[Symbol.asyncDispose]())
after(() => provider[Symbol.asyncDispose]())
afterEach(() => {
  provider.account = null
})

/** Begins in a browser and comes back from the provider; gives the answer to that. */
async function signIn(browser: Browser, change: (url: string) => string = url => url): Promise<Answer> {
  const begun = await browser.ask("GET", "/v1/session/oidc")
  assert.equal(begun.status, 302)
  const back = await signInAt(provider, String(begun.headers.get("location")))
  return browser.ask("GET", change(back))
}

/** Where a browser is led that is not let in: the sign-in, with a code alone. */
function assertLedBack({ status, headers }: Answer, fault: SignInFault, url = program.url): void {
  assert.deepEqual([status, headers.get("location")], [302, `${url}/sign-in?error=${fault}`])
}

describe("the way there", () => {
  test("asks for a code with state, nonce and PKCE, all new each time, and remembers them sealed", async () => {
    const browsers = [new Browser(program), new Browser(program)]
    const urls = await Promise.all(
      browsers.map(
        async browser => new URL(String((await browser.ask("GET", "/v1/session/oidc")).headers.get("location"))),
      ),
    )
    const [first, second] = urls.map(url => url.searchParams)
    assert.deepEqual(
      [first?.get("response_type"), first?.get("code_challenge_method"), first?.get("redirect_uri")],
      ["code", "S256", program.url + CALLBACK],
    )
    for (const name of ["state", "nonce", "code_challenge"]) {
      assert.ok(String(first?.get(name)).length >= 32, name)
      assert.notEqual(first?.get(name), second?.get(name))
    }
    const { name, value, attributes = [] } = browsers[0]?.lastSet ?? {}
    assert.equal(name, "waybill-oidc")
    assert.ok(attributes.includes("httponly") && attributes.includes("samesite=lax"))
    assert.ok(!decodeURIComponent(String(value)).includes(String(first?.get("state"))))
  })
})

describe("who comes back", () => {
  test("invited under the address that the provider has verified is let in as what the invitation says", async () => {
    await owner.call("POST", "/v1/invitations", { email: "grace@shop.example", role: "developer" })
    provider.account = { sub: "grace-1", email: "Grace@shop.example", email_verified: true, name: "Grace" }
    const browser = new Browser(program)
    const answer = await signIn(browser)
    assert.deepEqual([answer.status, answer.headers.get("location")], [302, `${program.url}/`])
    const { person, project } = await browser.call("GET", "/v1/session")
    assert.deepEqual([person?.name, project?.role], ["Grace", "developer"])
    assert.deepEqual([...browser.cookies.keys()], ["waybill"], "what was remembered for the way is gone")
    assert.deepEqual(await newestChanges(program, 2), ["invitation.accepted", "session.created"])
    assert.equal(
      (await new Browser(program).signIn("grace@shop.example", PASSWORD)).status,
      401,
      "there is no password",
    )
  })

  test("known by the provider's own name for them is let in again, whatever their address is by now", async () => {
    provider.account = { sub: "grace-1", email: "grace.hopper@other.example", email_verified: true }
    const browser = new Browser(program)
    assert.equal((await signIn(browser)).status, 302)
    assert.equal((await browser.call("GET", "/v1/session")).person?.email, "Grace@shop.example")
    const set = await browser.ask("PUT", "/v1/session/password", { new_password: PASSWORD })
    assert.equal(set.status, 200, "who has no password yet may choose one")
    assert.equal((await new Browser(program).signIn("grace@shop.example", PASSWORD)).status, 201)
  })

  test("with a name of emoji alone has that name, and one without any has the address", async () => {
    for (const [sub, name, shown] of [
      ["fox-1", "🦊", "🦊"],
      ["fox-2", "\u0000", "fox-2@shop.example"],
    ] as const) {
      const email = `${sub}@shop.example`
      await owner.call("POST", "/v1/invitations", { email, role: "viewer" })
      provider.account = { sub, email, email_verified: true, name }
      const browser = new Browser(program)
      assert.equal((await signIn(browser)).status, 302)
      assert.equal((await browser.call("GET", "/v1/session")).person?.name, shown)
    }
  })

  test("known here by a verified address keeps the password", async () => {
    provider.account = { sub: "ada-1", email: "ada@shop.example", email_verified: true }
    assert.equal((await signIn(new Browser(program))).status, 302)
    assert.equal((await owner.ask("GET", "/v1/session")).status, 200)
    assert.equal((await new Browser(program).signIn("ada@shop.example", PASSWORD)).status, 201)
  })

  test("takes an account over that somebody else may have made under their address: its password and sessions end", async () => {
    const squatter = await join(owner, program, "victim@shop.example", "viewer")
    provider.account = { sub: "victim-1", email: "victim@shop.example", email_verified: true }
    const browser = new Browser(program)
    assert.equal((await signIn(browser)).status, 302)
    assert.equal((await browser.ask("GET", "/v1/session")).status, 200)
    assert.equal((await squatter.ask("GET", "/v1/session")).status, 401)
    assert.equal((await squatter.signIn("victim@shop.example", PASSWORD)).status, 401)
  })

  const refusals: readonly [who: string, account: LocalProvider["account"], fault: SignInFault][] = [
    ["not invited", { sub: "x-1", email: "mallory@shop.example", email_verified: true }, "uninvited"],
    [
      "with an address that is not verified",
      { sub: "x-2", email: "ada@shop.example", email_verified: false },
      "not_verified",
    ],
    ["without an address", { sub: "x-3" }, "no_address"],
    [
      "under an account that is not the one of before",
      { sub: "grace-2", email: "grace@shop.example", email_verified: true },
      "another",
    ],
    ["having declined", null, "declined"],
  ]
  for (const [who, account, fault] of refusals) {
    test(`${who} is led back to the sign-in, which says why, and nobody is made`, async () => {
      const before = await program.rows("select id from person")
      provider.account = account
      const browser = new Browser(program)
      const answer = await signIn(browser)
      assertLedBack(answer, fault)
      assert.equal(browser.cookies.has("waybill"), false)
      assert.deepEqual(await program.rows("select id from person"), before)
    })
  }

  test("with what was begun in another browser, or with a state that was changed, is refused", async () => {
    provider.account = { sub: "ada-1", email: "ada@shop.example", email_verified: true }
    const mine = await new Browser(program).ask("GET", "/v1/session/oidc")
    const back = await signInAt(provider, String(mine.headers.get("location")))
    const victim = new Browser(program)
    const without = await victim.ask("GET", back)
    assertLedBack(without, "not_begun")
    await victim.ask("GET", "/v1/session/oidc")
    const mixed = await victim.ask("GET", back)
    assertLedBack(mixed, "not_begun")
    assert.equal(victim.cookies.has("waybill"), false)
    const changed = await signIn(new Browser(program), url => url.replace(/state=[^&]+/, "state=other"))
    assertLedBack(changed, "not_begun")
  })

  test("a second time with the same code is refused", async () => {
    provider.account = { sub: "ada-1", email: "ada@shop.example", email_verified: true }
    const browser = new Browser(program)
    const begun = await browser.ask("GET", "/v1/session/oidc")
    const errand = String(browser.cookies.get("waybill-oidc"))
    const back = await signInAt(provider, String(begun.headers.get("location")))
    assert.equal((await browser.ask("GET", back)).status, 302)
    const replay = new Browser(program)
    replay.cookies.set("waybill-oidc", errand)
    const answer = await replay.ask("GET", back)
    assertLedBack(answer, "code_refused")
  })
})

describe("a provider", () => {
  test("of other domains than those that may sign in is of no use", async () => {
    const port = await stablePort()
    const publicUrl = `http://127.0.0.1:${port}`
    await using narrow = await LocalProvider.open(publicUrl + CALLBACK)
    await using picky = await Program.open({
      now: Date.now,
      publicUrl,
      settings: {
        port: String(port),
        oidcIssuer: narrow.issuer,
        oidcClientId: CLIENT.id,
        oidcClientSecret: CLIENT.secret,
        oidcDomains: "shop.example, corp.example",
      },
    })
    await setUp(picky, "ada@else.example")
    narrow.account = { sub: "a", email: "ada@else.example", email_verified: true }
    const browser = new Browser(picky)
    const begun = await browser.ask("GET", "/v1/session/oidc")
    const answer = await browser.ask("GET", await signInAt(narrow, String(begun.headers.get("location"))))
    assertLedBack(answer, "other_domain", picky.url)
  })

  test("that is not there, or not who it says, is told as such, and others sign in with their password", async () => {
    const port = await stablePort()
    const settings = { oidcIssuer: `http://127.0.0.1:${port}`, oidcClientId: "x" }
    await using lonely = await Program.open({ settings })
    const answer = await new Browser(lonely).ask("GET", "/v1/session/oidc")
    assertLedBack(answer, "identity_provider", lonely.url)
    await setUp(lonely)
    await using wrong = await Program.open({
      settings: { ...settings, oidcIssuer: provider.issuer.replace("127.0.0.1", "localhost") },
    })
    assertLedBack(await new Browser(wrong).ask("GET", "/v1/session/oidc"), "identity_provider", wrong.url)
  })

  test("is reached past the guard by the operator's word alone", async () => {
    // Not bound to loopback, so that integrations do not reach it; the issuer is reached all the same.
    await using guarded = await Program.open({
      now: Date.now,
      host: "0.0.0.0",
      publicUrl: "http://127.0.0.1:1",
      settings: { oidcIssuer: provider.issuer, oidcClientId: CLIENT.id },
    })
    const port = new URL(guarded.url).port
    const answer = await new Browser({ url: `http://127.0.0.1:${port}` }).ask("GET", "/v1/session/oidc")
    assert.equal(answer.status, 302)
  })

  test("that is not set up is said so", async () => {
    await using plain = await Program.open()
    const answer = await new Browser(plain).ask("GET", "/v1/session/oidc")
    assert.deepEqual([answer.status, answer.body.code], [404, "not_found"])
    assert.match(String(answer.body.detail), /WAYBILL_OIDC_ISSUER/)
    assert.equal((await new Browser(plain).call("GET", "/v1/sign-in")).oidc, null)
  })

  test("that is set up is named to whoever has not signed in yet", async () => {
    const ways = await new Browser(program).call("GET", "/v1/sign-in")
    assert.deepEqual([ways.password, ways.oidc], [true, { name: new URL(provider.issuer).host }])
  })
})

test("whoever comes back too often is led to the sign-in as well, and each fault has its words there", async () => {
  await using busy = await Program.open({
    settings: { oidcIssuer: provider.issuer, oidcClientId: CLIENT.id },
    now: Date.now,
  })
  const begun = new Browser(busy)
  const left = String((await begun.ask("GET", "/v1/session/oidc")).headers.get("location"))
  const [state] = /state=[^&]+/.exec(left) ?? []
  for (let i = 0; i < 50; i++) {
    const guess = { token: `guess ${i}`, email: "a@shop.example", name: "A", password: PASSWORD }
    await new Browser(busy).ask("POST", "/v1/setup", guess)
  }
  assertLedBack(await begun.ask("GET", `${CALLBACK}?code=x&${state}`), "too_often", busy.url)
  const { faults } = await begun.call("GET", "/v1/sign-in")
  assert.deepEqual(
    items(faults).map(({ code, message }) => [code, message]),
    signInFaultCodes.map(code => [code, signInFaults[code]]),
  )
})

test("people of several ways to sign in stand in one list", async () => {
  const people = items((await owner.call("GET", "/v1/people")).data).map(({ email }) => String(email))
  assert.deepEqual(people.toSorted(), [
    "Grace@shop.example",
    "ada@shop.example",
    "fox-1@shop.example",
    "fox-2@shop.example",
    "victim@shop.example",
  ])
})
