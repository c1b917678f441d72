/** A project with something in each of its tables, all of which bears its mark: what two tenants are told apart by. */
import { Browser } from "./browser.ts"
import type { Endpoint } from "./endpoint.ts"
import { items } from "./items.ts"
import { join, PASSWORD, tokenIn } from "./people.ts"
import type { Answer, Json, Program } from "./program.ts"

export interface FullProject {
  /** Stands in every text of it, and in no other project's. */
  readonly mark: string
  readonly id: string
  /** Its first key. */
  readonly key: string
  readonly owner: Browser
  /** One of each kind, by what it is. */
  readonly ids: Readonly<Record<Kind, string>>
  readonly profile: string
  ask(method: string, path: string, body?: unknown, headers?: Record<string, string>): Promise<Answer>
  call(method: string, path: string, body?: unknown, headers?: Record<string, string>): Promise<Json>
}

export type Kind =
  | "integration"
  | "paused integration"
  | "inbox"
  | "event"
  | "delivery"
  | "blocking delivery"
  | "recovery"
  | "event type"
  | "key"
  | "project"
  | "erasure"
  | "session"
  | "invitation"
  | "person"
  | "app"

/** Makes one. Deliveries to `bad` fail for good, those to `good` arrive, those of its paused integration wait. */
export async function fillProject(
  program: Program,
  mark: string,
  { good, bad }: { readonly good: Endpoint; readonly bad: Endpoint },
): Promise<FullProject> {
  const made = await program.call("POST", "/v1/projects", { name: `${mark} shop` })
  const key = String(made.key)
  const ask: FullProject["ask"] = (method, path, body, headers = {}) =>
    program.ask(method, path, body, { authorization: `Bearer ${key}`, ...headers })
  const call: FullProject["call"] = async (method, path, body, headers) => {
    const answer = await ask(method, path, body, headers)
    if (answer.status >= 300) throw new Error(`${method} ${path} was answered with ${answer.status}: ${answer.text}`)
    return answer.body
  }
  const again = { "idempotency-key": `${mark}-call` }
  const app = await call("POST", "/v1/apps", { name: `${mark}-app`, title: `${mark} app` }, again)
  const profile = `${mark}-profile`
  // While nothing is private: of what is refused later less is kept.
  await ask("POST", "/v1/events", { type: "", note: `${mark}-refused ${profile}` })
  await call("PUT", `/v1/event-types/${mark}.paid`, { description: mark, private_fields: ["/hidden"] })
  const webhook = (url: string, more: object = {}) => ({
    name: `${mark} crm`,
    config: { production: { url, authorization: `Bearer ${mark}-token` }, verification: "none" },
    ...more,
  })
  const integration = (await call("POST", "/v1/integrations", webhook(good.url()), again)).id
  await call("PATCH", `/v1/integrations/${integration}`, { name: `${mark} crm, renamed` })
  const policy = { ordered: true, ordered_on_failure: "stop", retry_delays_ms: [] }
  const failing = (await call("POST", "/v1/integrations", webhook(bad.url(), { policy }))).id
  const paused = (await call("POST", "/v1/integrations", webhook(good.url()))).id
  await call("POST", `/v1/integrations/${paused}/pause`)
  const inbox = (await call("POST", `/v1/integrations/${integration}/duplicate-to-inbox`)).integration?.id
  await call("POST", `/v1/integrations/${inbox}/enable`)
  await call("POST", `/v1/integrations/${integration}/verify`)
  const about = {
    type: `${mark}.paid`,
    app: `${mark}-app`,
    profile_id: profile,
    device_id: `${mark}-device`,
    source_record: `${mark}-record`,
    ordering_key: `${mark}-key`,
    data: { secret: `${mark}-data`, hidden: `${mark}-hidden` },
  }
  const { id: event } = await call("POST", "/v1/events", { ...about, id: `${mark}-own` }, again)
  await call("POST", "/v1/events", { ...about, profile_id: `${mark}-other` })
  const listed = async (path: string): Promise<Json[]> => items((await call("GET", path)).data)
  await program.until(`all of ${mark} has gone where it goes`, async () => {
    const open = await listed(`/v1/deliveries?status=delivered&event=${event}`)
    const blocking = await listed(`/v1/deliveries?integration=${failing}&status=failed`)
    return open.length >= 2 && blocking.length > 0 && (await listed("/v1/rejections")).length > 0
  })
  const [delivery] = await listed(`/v1/deliveries?integration=${integration}&event=${event}`)
  const [blocking] = await listed(`/v1/deliveries?integration=${failing}&status=failed`)
  const from = new Date(program.now - 3_600_000).toISOString()
  const recovery = await call("POST", "/v1/recoveries", { from, integrations: paused, statuses: ["missing"] })
  const other = await call("POST", "/v1/api-keys", { name: `${mark} key`, app: `${mark}-app`, scopes: ["ingest"] })
  const owner = new Browser(program)
  const { url } = await call("POST", "/v1/setup-link")
  const who = { email: `owner@${mark}.example`, name: mark, password: PASSWORD }
  await owner.call("POST", "/v1/setup", { token: tokenIn(url), ...who })
  const viewer = await join(owner, program, `viewer@${mark}.example`, "viewer")
  const invited = { email: `guest@${mark}.example`, role: "viewer" }
  const invitation = await owner.call("POST", "/v1/invitations", invited)
  const [session] = items((await viewer.call("GET", "/v1/sessions")).data)
  const { person } = await viewer.call("GET", "/v1/session")
  const erasure = await call("POST", "/v1/erasures", { profile_id: `${mark}-nobody` })
  return {
    mark,
    id: String(made.id),
    key,
    owner,
    profile,
    ask,
    call,
    ids: {
      integration: String(integration),
      "paused integration": String(paused),
      inbox: String(inbox),
      event: String(event),
      delivery: String(delivery?.id),
      "blocking delivery": String(blocking?.id),
      recovery: String(recovery.id),
      "event type": `${mark}.paid`,
      key: String(other.id),
      project: String(made.id),
      erasure: String(erasure.id),
      session: String(session?.id),
      invitation: String(invitation.id),
      person: String(person?.id),
      app: String(app.name),
    },
  }
}
