/** The settings of an inbox: what goes with its requests, as a webhook has it, and what it answers to them. */
import Type, { type Static } from "typebox"
import { parseScript } from "../domain/answer-script.ts"
import type { Environment } from "../domain/event.ts"
import { pointerTo } from "../domain/json-pointer.ts"
import type { SettingsFault } from "./connector.ts"
import { answerHeaderFault } from "./header-rules.ts"
import { checkWebhookSettings, endpointHeaders, requestSettings, type WebhookSettings } from "./webhook-settings.ts"

const MAX_BODY_BYTES = 65_536
const MAX_HEADERS = 50
const MAX_DELAY_MS = 60_000

/** Stands in for the URL that an inbox has none of. A guard refuses the name, should it ever be dialled. */
export const INBOX_URL = "http://inbox.waybill.internal/"

function senderSchema(environment: Environment) {
  return Type.Object(endpointHeaders, {
    title: `${environment === "production" ? "Production" : "Sandbox"} requests`,
    description: `What goes with each request of the ${environment} environment. An inbox that names neither environment gets the events of both.`,
    additionalProperties: false,
  })
}

const answerSchema = Type.Object(
  {
    status: Type.Optional(
      Type.Integer({
        title: "Status",
        description: "The status of each answer, from 200 to 599. A script goes before it.",
        minimum: 200,
        maximum: 599,
        default: 200,
      }),
    ),
    script: Type.Optional(
      Type.String({
        title: "Script",
        description:
          "Statuses to answer with in turn, such as 500, 500, 200; the last one stays. Another script, or an emptied inbox, begins anew.",
        maxLength: 600,
      }),
    ),
    delay_ms: Type.Optional(
      Type.Integer({
        title: "Delay",
        description: "How long each answer is kept back, in ms. A stop of Waybill ends the wait.",
        minimum: 0,
        maximum: MAX_DELAY_MS,
        default: 0,
      }),
    ),
    headers: Type.Optional(
      Type.Unsafe<Readonly<Record<string, string>>>({
        title: "Headers",
        description:
          "Headers of each answer by name, such as Retry-After. Content-Type is application/json where it is not among them.",
        type: "object",
        maxProperties: MAX_HEADERS,
        additionalProperties: Type.String({
          title: "Value",
          description: "Printable ASCII without a space at either end.",
          maxLength: 4_096,
        }),
      }),
    ),
    body: Type.Optional(
      Type.String({
        title: "Body",
        description: "The body of each answer, at most 64 KiB in UTF-8.",
        maxLength: MAX_BODY_BYTES,
        default: "{}",
      }),
    ),
  },
  {
    title: "Answer",
    description: "What every request is answered with.",
    default: {},
    additionalProperties: false,
  },
)

export const inboxSettings = Type.Object(
  {
    answer: Type.Optional(answerSchema),
    production: Type.Optional(senderSchema("production")),
    sandbox: Type.Optional(senderSchema("sandbox")),
    ...requestSettings,
  },
  {
    title: "Inbox",
    description:
      "Sends each event, over HTTP, to a receiver inside Waybill that answers as told and shows what it got, so that Waybill and an endpoint can be told apart.",
    additionalProperties: false,
  },
)

export type InboxSettings = Static<typeof inboxSettings>

/** What the schema cannot say of inbox settings that it has passed; empty when all is well. */
export function checkInboxSettings(settings: InboxSettings): SettingsFault[] {
  return [...checkWebhookSettings(asWebhook(settings)), ...checkAnswer(settings.answer ?? {})]
}

/** The settings of a webhook whose requests are those of this inbox. */
export function asWebhook({ answer: _, production, sandbox, ...request }: InboxSettings): WebhookSettings {
  const isForBoth = production === undefined && sandbox === undefined
  return {
    ...request,
    ...(isForBoth || production !== undefined ? { production: { ...production, url: INBOX_URL } } : {}),
    ...(isForBoth || sandbox !== undefined ? { sandbox: { ...sandbox, url: INBOX_URL } } : {}),
  }
}

function checkAnswer({ script, headers, body }: Static<typeof answerSchema>): SettingsFault[] {
  const faults: SettingsFault[] = []
  const report = (pointer: string, message: string | null): void => {
    if (message !== null) faults.push({ pointer: `/answer${pointer}`, message })
  }
  const reading = script === undefined ? null : parseScript(script)
  report("/script", reading?.kind === "fault" ? reading.message : null)
  if (body !== undefined && Buffer.byteLength(body) > MAX_BODY_BYTES) {
    report("/body", `The body has ${Buffer.byteLength(body).toLocaleString("en")} bytes in UTF-8; 65,536 are the most.`)
  }
  const seen = new Set<string>()
  for (const [name, value] of Object.entries(headers ?? {})) {
    const isRepeated = seen.has(name.toLowerCase())
    const twice = `The header ${name} is there twice; the case of its letters tells nothing apart.`
    report(pointerTo("/headers", name), isRepeated ? twice : answerHeaderFault(name, value))
    seen.add(name.toLowerCase())
  }
  return faults
}
