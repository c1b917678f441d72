/** What the test of the API's document asks as a person who is signed in, and on the ways there. */
import { DatabaseSync } from "node:sqlite"
import { askForNewPassword } from "./asking-for-a-password.ts"
import { Browser } from "./browser.ts"
import type { Operation } from "./document.ts"
import { CLIENT, LocalProvider, signInAt } from "./identity-provider.ts"
import { PASSWORD, tokenIn } from "./people.ts"
import { Program } from "./program.ts"
import { stablePort } from "./waybill.ts"

interface Given {
  readonly path?: Readonly<Record<string, string>>
  readonly body?: unknown
  readonly text?: string
  readonly contentType?: string
  readonly key?: null
  readonly headers?: Readonly<Record<string, string>>
}
type Ask = (id: string, given: Given) => Promise<unknown>

const EMAIL = "ada@shop.example"

/** People of a Waybill, and what operations about them are asked with. */
export interface Asker {
  /** Ids by the beginning of a path. */
  readonly ids: Readonly<Record<string, string>>
  /** What is wrong with an operation that a session alone reaches. */
  askWrongly(operation: Operation): Promise<void>
  /** Those operations once more, while nothing can be written. */
  askUnavailable(): Promise<void>
}

/** Asks all that goes well, and what contradicts what is there. `turn`: turns the clock on, in ms. */
export async function askAsPerson(at: { readonly url: string }, ask: Ask, turn: (ms: number) => void): Promise<Asker> {
  const browser = new Browser(at)
  const as = () => ({
    key: null,
    headers: {
      cookie: `waybill=${browser.cookies.get("waybill")}`,
      "x-csrf-token": String(browser.csrf),
      "sec-fetch-site": "same-origin",
    },
  })
  const credentials = { email: EMAIL, password: PASSWORD }
  const signIn = async () => {
    await browser.call("POST", "/v1/session", credentials)
  }
  const { url } = (await ask("createSetupLink", {})) as { url: string }
  const owner = { token: tokenIn(url), ...credentials, name: "Ada" }
  const { person, project } = (await ask("setUp", { body: owner })) as {
    person: { id: string }
    project: { id: string }
  }
  await ask("setUp", { body: owner })
  await ask("setUp", { body: { ...owner, token: "none" } })
  await ask("createSetupLink", {})
  await ask("signIn", { body: credentials })
  await ask("signIn", { body: { ...credentials, password: "another one" } })
  await signIn()
  await ask("askForPasswordReset", { body: { email: EMAIL } })
  await ask("getSession", as())
  await ask("listSessions", as())
  await ask("workInProject", { ...as(), body: { project: "prj_00000000000" } })
  await browser.call("PUT", "/v1/session/project", { project: project.id })
  await ask("workInProject", { ...as(), body: { project: project.id } })
  await signIn()
  const passwords = { current_password: PASSWORD, new_password: PASSWORD }
  await ask("changePassword", { ...as(), body: { ...passwords, current_password: "another one" } })
  await ask("changePassword", { ...as(), body: passwords })
  await signIn()
  const invite = async (email: string) =>
    (await ask("createInvitation", { body: { email, role: "viewer" } })) as { id: string; url: string }
  const guest = { token: tokenIn((await invite("grace@shop.example")).url), password: PASSWORD, name: "Grace" }
  await ask("acceptInvitation", { body: guest })
  await ask("acceptInvitation", { body: guest })
  await ask("acceptInvitation", { body: { ...guest, token: "none" } })
  const known = await invite("grace@shop.example")
  if (known.id !== undefined) throw new Error("Grace was invited twice.")
  const revoked = await invite("late@shop.example")
  await ask("revokeInvitation", { path: { id: revoked.id } })
  const { data: invitations } = (await ask("listInvitations", {})) as { data: { id: string; state: string }[] }
  await ask("revokeInvitation", { path: { id: invitations.find(({ state }) => state === "used")?.id ?? "" } })
  const { data: people } = (await ask("listPeople", {})) as { data: { id: string; email: string }[] }
  const grace = { id: people.find(({ email }) => email !== EMAIL)?.id ?? "" }
  await ask("changePerson", { path: grace, body: { role: "support" } })
  await ask("changePerson", { ...as(), path: { id: person.id }, body: { role: "admin" } })
  await ask("removePerson", { ...as(), path: { id: person.id } })
  await ask("changePerson", { path: { id: "per_00000000000" }, body: { role: "support" } })
  for (const [read, change, path, more] of [
    ["getPerson", "changePerson", grace, { body: { role: "viewer" } }],
    ["getPerson", "removePerson", grace, {}],
    ["getInvitation", "revokeInvitation", { id: revoked.id }, {}],
  ] as const) {
    await ask(read, { path })
    await ask(read, { path, headers: { "if-none-match": "*" } })
    await ask(read, { path, headers: { "if-none-match": "no tag" } })
    await ask(change, { path, ...more, headers: { "if-match": '"old"' } })
  }
  await ask("removePerson", { path: grace })
  // Whose invitation asks for a password that is known here.
  const further = await invite("grace@shop.example")
  await ask("acceptInvitation", { body: { token: tokenIn(further.url), password: "another one of hers" } })
  const second = (await ask("createProject", { body: { name: "second" } })) as { key: string }
  const made = await fetch(`${at.url}/v1/setup-link`, {
    method: "POST",
    headers: { authorization: `Bearer ${second.key}` },
  })
  const link = (await made.json()) as { url: string }
  await ask("setUp", { body: { ...owner, token: tokenIn(link.url), password: "another one of hers" } })
  for (const id of ["signIn", "setUp", "acceptInvitation"]) {
    const body = { signIn: credentials, setUp: owner, acceptInvitation: guest }[id]
    await ask(id, { body, headers: { "sec-fetch-site": "cross-site" } })
  }
  const { data: sessions } = (await ask("listSessions", as())) as { data: { id: string; current: boolean }[] }
  await ask("endSession", { ...as(), path: { id: sessions.find(({ current }) => !current)?.id ?? "" } })
  await ask("endSession", { ...as(), path: { id: "ses_00000000000" } })
  await ask("signOut", as())
  await signIn()
  await ask("signOutEverywhere", as())
  // Guesses, until no more are taken.
  for (let i = 0; i < 50; i++) await ask("setUp", { body: { ...owner, token: `guess ${i}` } })
  await ask("signIn", { body: credentials })
  await ask("acceptInvitation", { body: { ...guest, token: "none" } })
  turn(16 * 60_000)
  await signIn()
  return {
    ids: { "/v1/people/": grace.id, "/v1/invitations/": revoked.id },
    askWrongly: async ({ id, method, statuses, takesBody }) => {
      if (method === "GET") return
      const path = { id: "x".repeat(100) }
      await ask(id, { ...as(), path, text: "{" })
      await ask(id, { ...as(), path: { id: "ses_00000000000" }, text: `{"type":"${"x".repeat(5_300_000)}"}` })
      await ask(id, { ...as(), path, text: "{}", contentType: "text/plain" })
      if (statuses.includes(422)) await ask(id, { ...as(), path, ...(takesBody ? { body: { nonsense: 1 } } : {}) })
      const { headers } = as()
      await ask(id, { path, key: null, headers: { ...headers, "x-csrf-token": "another" } })
    },
    askUnavailable: async () => {
      await Promise.all([
        ask("signOut", as()),
        ask("signOutEverywhere", as()),
        ask("endSession", { ...as(), path: { id: "ses_00000000000" } }),
        ask("workInProject", { ...as(), body: { project: project.id } }),
        ask("changePassword", { ...as(), body: passwords }),
        ask("signIn", { body: credentials }),
        ask("setUp", { body: { ...owner, token: "none" } }),
        ask("acceptInvitation", { body: { ...guest, token: "none" } }),
      ])
    },
  }
}

/** Signs in elsewhere, and asks for a new password, in every way that there is; `seen` hears of each answer. The answers are held against the document. */
export async function askElsewhere(seen: (id: string, status: number) => void): Promise<void> {
  const port = await stablePort()
  const publicUrl = `http://127.0.0.1:${port}`
  const callback = "/v1/session/oidc/callback"
  await using provider = await LocalProvider.open(publicUrl + callback)
  const settings = { oidcIssuer: provider.issuer, oidcClientId: CLIENT.id, oidcClientSecret: CLIENT.secret }
  await using program = await Program.open({ now: Date.now, publicUrl, settings: { port: String(port), ...settings } })
  const { url } = await program.call("POST", "/v1/setup-link")
  const owner = { token: tokenIn(url), email: EMAIL, name: "Ada", password: PASSWORD }
  await new Browser(program).call("POST", "/v1/setup", owner)
  provider.account = { sub: "ada", email: EMAIL, email_verified: true }
  const come = async (browser: Browser, meanwhile: () => void | Promise<void> = () => {}): Promise<void> => {
    const begun = await browser.ask("GET", "/v1/session/oidc")
    seen("signInElsewhere", begun.status)
    const location = begun.headers.get("location")
    // Led back to the sign-in, where the provider is not there.
    if (!location?.startsWith(provider.issuer)) return
    const back = await signInAt(provider, location)
    await meanwhile()
    seen("comeBackSignedIn", (await browser.ask("GET", back)).status)
  }
  await come(new Browser(program))
  seen("comeBackSignedIn", (await new Browser(program).ask("GET", callback)).status)
  const rival = new DatabaseSync(`${program.dataDir}/waybill.db`)
  await come(new Browser(program), () => rival.exec("begin immediate"))
  rival.exec("rollback")
  rival.close()
  const last = new Browser(program)
  const begun = String((await last.ask("GET", "/v1/session/oidc")).headers.get("location"))
  await come(new Browser(program), async () => {
    for (let i = 0; i < 51; i++) await new Browser(program).ask("POST", "/v1/setup", { ...owner, token: `guess ${i}` })
  })
  await program.leave("delete from sign_in_limit")
  const back = await signInAt(provider, begun)
  await provider.leave()
  seen("comeBackSignedIn", (await last.ask("GET", back)).status)
  await using plain = await Program.open()
  for (const [id, path] of [
    ["signInElsewhere", "/v1/session/oidc"],
    ["comeBackSignedIn", callback],
  ] as const) {
    seen(id, (await new Browser(plain).ask("GET", path)).status)
  }
  await askForNewPassword(seen)
  await using lonely = await Program.open({ settings: { oidcIssuer: "http://127.0.0.1:9", oidcClientId: "x" } })
  await come(new Browser(lonely))
}
