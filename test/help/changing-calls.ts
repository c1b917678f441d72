/**
 * A call of each operation that changes something, which succeeds and changes it: what the audit log is held against. An
 * operation that is not here fails test/api/audit-log.test.ts, with a sentence that says so.
 */
import { mailedToken } from "./asking-for-a-password.ts"
import { Browser } from "./browser.ts"
import type { Endpoint } from "./endpoint.ts"
import type { MailServer } from "./mail-server.ts"
import { join, PASSWORD, tokenIn } from "./people.ts"
import type { Json, Program } from "./program.ts"

/** What the calls work on. */
export interface Scene {
  readonly program: Program
  /** Answers 200. */
  readonly good: Endpoint
  /** Answers 500. */
  readonly bad: Endpoint
  /** Takes the program's mails. */
  readonly mail: MailServer
  /** The browser of the owner of the program's project, who is made when first asked for. */
  owner(): Promise<Browser>
}

/** A call of an operation; method and path are those of the document. */
export interface ChangingCall {
  readonly path?: Readonly<Record<string, string>>
  readonly body?: unknown
  readonly headers?: Readonly<Record<string, string>>
  /** Who asks, where it is no key but a person. */
  readonly browser?: Browser
}

/** A call whose id is that of something that has just been made. */
const withId = (id: unknown, body?: unknown): ChangingCall => ({
  path: { id: String(id) },
  ...(body === undefined ? {} : { body }),
})

/** An integration, switched or told otherwise by further calls. */
async function integration({ program, good }: Scene, ...actions: readonly string[]): Promise<string> {
  const id = await program.integrate(good.url())
  for (const action of actions) await program.call("POST", `/v1/integrations/${id}/${action}`)
  return id
}

async function inbox(scene: Scene): Promise<unknown> {
  const path = `/v1/integrations/${await integration(scene)}/duplicate-to-inbox`
  return (await scene.program.call("POST", path)).integration?.id
}

/** The delivery of a new event of this type to an integration, once it is as it is to be. */
async function delivery(program: Program, to: string, type: string, query: string): Promise<unknown> {
  await program.send({ type, ordering_key: "k" })
  let found: Json | undefined
  await program.until(`a delivery with ${query}`, async () => {
    found = (await program.call("GET", `/v1/deliveries?integration=${to}&${query}`)).data?.[0]
    return found !== undefined
  })
  return found?.id
}

/** A recovery that does not end, as its integration is paused. */
async function recovery(scene: Scene, ...actions: readonly string[]): Promise<unknown> {
  const { program } = scene
  await program.send({ type: "before" })
  const integrations = await integration(scene, "pause")
  const from = new Date(program.now - 60_000).toISOString()
  const made = await program.call("POST", "/v1/recoveries", { from, integrations, statuses: ["missing"] })
  for (const action of actions) await program.call("POST", `/v1/recoveries/${made.id}/${action}`)
  return made.id
}

async function ownProject(program: Program): Promise<unknown> {
  return (await program.call("GET", "/v1/projects")).data?.[0]?.id
}

async function key(program: Program): Promise<unknown> {
  return (await program.call("POST", "/v1/api-keys", { name: "another" })).id
}

/** A project of its own, with its first key. */
async function emptyProject(program: Program): Promise<{ readonly authorization: string }> {
  return { authorization: `Bearer ${(await program.call("POST", "/v1/projects", { name: "empty" })).key}` }
}

let guests = 0

/** The browser of a new person of the owner's project. */
async function guest({ program, owner }: Scene): Promise<Browser> {
  return join(await owner(), program, `guest${guests++}@shop.example`, "viewer")
}

async function invitation({ owner }: Scene): Promise<Json> {
  const body = { email: `invited${guests++}@shop.example`, role: "viewer" }
  return (await owner()).call("POST", "/v1/invitations", body)
}

/** The id of the person whom a browser belongs to. */
const personOf = async (browser: Browser): Promise<unknown> => (await browser.call("GET", "/v1/session")).person?.id

const webhook = (url: string) => ({
  name: "made",
  config: { production: { url, authorization: "Bearer canary-authorization" }, verification: "json" },
})

/** By `operationId`. */
export const changingCalls: Readonly<Record<string, (scene: Scene) => ChangingCall | Promise<ChangingCall>>> = {
  createIntegration: ({ good }) => ({ body: webhook(good.url()) }),
  changeIntegration: async scene => withId(await integration(scene), { config: { verification: "json" } }),
  removeIntegration: async scene => withId(await integration(scene)),
  enableIntegration: async scene => withId(await integration(scene, "disable")),
  disableIntegration: async scene => withId(await integration(scene)),
  pauseIntegration: async scene => withId(await integration(scene)),
  resumeIntegration: async scene => withId(await integration(scene, "pause")),
  verifyIntegration: async ({ program, good }) => {
    const made = await program.call("POST", "/v1/integrations", webhook(good.url()))
    return withId(made.id)
  },
  rotateSecret: async scene => withId(await integration(scene), {}),
  testIntegration: async scene => withId(await integration(scene), {}),
  duplicateToInbox: async scene => withId(await integration(scene)),
  emptyInbox: async scene => withId(await inbox(scene)),
  retryDelivery: async scene =>
    withId(await delivery(scene.program, await integration(scene), "to.retry", "status=delivered")),
  releaseDelivery: async ({ program, bad }) => {
    const policy = { ordered: true, ordered_on_failure: "stop", retry_delays_ms: [] }
    return withId(
      await delivery(program, await program.integrate(bad.url(), { policy }), "to.release", "status=failed"),
    )
  },
  createRecovery: async scene => {
    const from = new Date(scene.program.now - 60_000).toISOString()
    return { body: { from, integrations: await integration(scene, "pause") } }
  },
  pauseRecovery: async scene => withId(await recovery(scene)),
  resumeRecovery: async scene => withId(await recovery(scene, "pause")),
  cancelRecovery: async scene => withId(await recovery(scene)),
  putEventType: () => ({ path: { name: "made.type" }, body: { description: "made" } }),
  removeEventType: async ({ program }) => {
    await program.call("PUT", "/v1/event-types/removed.type", {})
    return { path: { name: "removed.type" } }
  },
  createApp: () => ({ body: { name: "made-app" } }),
  createApiKey: () => ({ body: { name: "made" } }),
  changeApiKey: async ({ program }) => withId(await key(program), { name: "changed" }),
  rotateApiKey: async ({ program }) => withId(await key(program), {}),
  revokeApiKey: async ({ program }) => withId(await key(program)),
  createPortalToken: async ({ program }) => {
    await program.call("POST", "/v1/apps", { name: "framed" })
    return { body: { app: "framed" } }
  },
  revokePortalToken: async ({ program }) => {
    await program.call("POST", "/v1/apps", { name: "framed" })
    return withId((await program.call("POST", "/v1/portal-tokens", { app: "framed" })).id)
  },
  createProject: () => ({ body: { name: "made" } }),
  removeProject: async ({ program }) => {
    const { id, key } = await program.call("POST", "/v1/projects", { name: "removed" })
    return { ...withId(id, { name: "removed" }), headers: { authorization: `Bearer ${key}` } }
  },
  createErasure: () => ({ body: { profile_id: "somebody" } }),
  changeProject: async ({ program }) => withId(await ownProject(program), { name: "changed" }),
  setUp: async ({ program }) => {
    const link = await program.ask("POST", "/v1/setup-link", undefined, await emptyProject(program))
    const token = tokenIn(link.body.url)
    const body = { token, email: "other.owner@shop.example", name: "Grace", password: PASSWORD }
    return { body, browser: new Browser(program) }
  },
  createSetupLink: async ({ program }) => ({ headers: await emptyProject(program) }),
  signIn: async scene => {
    await scene.owner()
    return { body: { email: "ada@shop.example", password: PASSWORD }, browser: new Browser(scene.program) }
  },
  signOut: async scene => ({ browser: await guest(scene) }),
  workInProject: async ({ program }) => {
    const link = await program.ask("POST", "/v1/setup-link", undefined, await emptyProject(program))
    const browser = new Browser(program)
    const person = { email: "mover@shop.example", name: "Mover", password: PASSWORD }
    await browser.call("POST", "/v1/setup", { token: tokenIn(link.body.url), ...person })
    const { id } = await browser.call("POST", "/v1/projects", { name: "second" })
    return { body: { project: id }, browser }
  },
  changePassword: async scene => ({
    body: { current_password: PASSWORD, new_password: "another horse battery" },
    browser: await guest(scene),
  }),
  signOutEverywhere: async scene => ({ browser: await guest(scene) }),
  endSession: async scene => {
    const browser = await guest(scene)
    return { ...withId((await browser.call("GET", "/v1/sessions")).data?.[0]?.id), browser }
  },
  resetPassword: async scene => {
    const { person } = await (await guest(scene)).call("GET", "/v1/session")
    const browser = new Browser(scene.program)
    await browser.call("POST", "/v1/password-resets", { email: person?.email })
    const token = await mailedToken(scene.program, scene.mail, String(person?.email))
    return { body: { token, new_password: "another horse battery" }, browser }
  },
  createInvitation: async ({ owner }) => ({
    body: { email: "somebody@shop.example", role: "viewer" },
    browser: await owner(),
  }),
  revokeInvitation: async scene => ({ ...withId((await invitation(scene)).id), browser: await scene.owner() }),
  acceptInvitation: async scene => {
    const token = tokenIn((await invitation(scene)).url)
    return { body: { token, name: "Invited", password: PASSWORD }, browser: new Browser(scene.program) }
  },
  changePerson: async scene => ({
    ...withId(await personOf(await guest(scene)), { role: "support" }),
    browser: await scene.owner(),
  }),
  removePerson: async scene => ({ ...withId(await personOf(await guest(scene))), browser: await scene.owner() }),
}
