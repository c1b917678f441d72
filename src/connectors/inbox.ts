/**
 * The inbox connector: a receiver inside Waybill that answers as told and shows what it got. Its requests are a webhook's,
 * byte for byte, and really go out over HTTP; only where they go is not a URL that anybody typed.
 */
import { parseScript } from "../domain/answer-script.ts"
import { environments } from "../domain/event.ts"
import { formatId } from "../domain/id.ts"
import { basicHeader } from "./auth-settings.ts"
import type { Connector, Prepared, Settings } from "./connector.ts"
import { asWebhook, checkInboxSettings, INBOX_URL, type InboxSettings, inboxSettings } from "./inbox-settings.ts"
import { webhook } from "./webhook.ts"
import type { WebhookSettings } from "./webhook-settings.ts"

export const inbox: Connector<InboxSettings> = {
  name: "inbox",
  title: "Inbox",
  settings: inboxSettings,
  check: checkInboxSettings,
  environments: settings => webhook.environments(asWebhook(settings)),
  prepare,
}

function prepare(settings: InboxSettings): Prepared {
  const { build, destinationRecord } = webhook.prepare(asWebhook(settings))
  return {
    build: subject => {
      const built = build(subject)
      if (built.kind !== "send") return built
      const { id } = subject.integration
      return { kind: "send", request: { ...built.request, url: INBOX_URL + formatId("int", id), inbox: id } }
    },
    destinationRecord,
  }
}

/** What an inbox answers with. */
export interface InboxAnswer {
  readonly status: number
  /** Statuses to answer with in turn in place of the one; empty for none. */
  readonly script: readonly number[]
  readonly delayMs: number
  readonly headers: Readonly<Record<string, string>>
  readonly body: string
}

/** The answer that an inbox was told to give. Its settings have passed schema and check. */
export function answerOf(settings: Settings): InboxAnswer {
  const { status = 200, script, delay_ms = 0, headers = {}, body = "{}" } = (settings as InboxSettings).answer ?? {}
  const reading = script === undefined ? null : parseScript(script)
  return { status, script: reading?.kind === "statuses" ? reading.statuses : [], delayMs: delay_ms, headers, body }
}

/** Names of the headers, in lower case, whose values are secrets of the integration. */
export function secretHeadersOf(settings: Settings): ReadonlySet<string> {
  const own = environments.flatMap(environment => Object.keys((settings as InboxSettings)[environment]?.headers ?? {}))
  return new Set(["authorization", ...own.map(name => name.toLowerCase())])
}

/** How an integration of these settings signs its requests. */
export function signatureOf(settings: Settings): NonNullable<InboxSettings["signature"]>["scheme"] {
  return (settings as InboxSettings).signature?.scheme ?? "v1"
}

/** The settings of an inbox that gets what a webhook's endpoints get; null where the connector sends something else. */
export function inboxInPlaceOf(connector: string, settings: Settings): Settings | null {
  if (connector !== webhook.name) return null
  const { verification: _, production, sandbox, ...request } = settings as WebhookSettings
  return { ...request, ...withoutUrl("production", production), ...withoutUrl("sandbox", sandbox) }
}

/** What is between Waybill and the endpoint, a token or a certificate, an inbox is not asked for; a password shows there. */
function withoutUrl(environment: string, endpoint: WebhookSettings["production"]): Settings {
  if (endpoint === undefined) return {}
  const { url: _, auth, tls: __, ...headers } = endpoint
  return { [environment]: auth?.kind === "basic" ? { authorization: basicHeader(auth).value, ...headers } : headers }
}
