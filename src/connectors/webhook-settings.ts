/** The settings of a webhook: their schema, from which form, validation and documents come, and what it cannot say. */
import Type, { type Static } from "typebox"
import { type Environment, environments } from "../domain/event.ts"
import { parsePointer, pointerTo } from "../domain/json-pointer.ts"
import type { SettingsFault } from "./connector.ts"
import { headerNameFault, headerValueFault, isHeaderName } from "./header-rules.ts"

const MAX_URL_CHARACTERS = 8_192
const MAX_VALUE_BYTES = 4_096
const MAX_HEADERS = 50

/** What goes with every request to an endpoint, secret as it is. */
export const endpointHeaders = {
  authorization: Type.Optional(
    Type.String({
      title: "Authorization",
      description:
        "The value of the Authorization header, sent exactly as typed. Printable ASCII. Leave it out to send none.",
      secret: true,
      maxLength: MAX_VALUE_BYTES,
    }),
  ),
  headers: Type.Optional(
    Type.Unsafe<Readonly<Record<string, string>>>({
      title: "Headers",
      description: "Further headers by name. Those that Waybill or the connection set themselves are refused.",
      type: "object",
      maxProperties: MAX_HEADERS,
      additionalProperties: Type.String({
        title: "Value",
        description: "Printable ASCII without a space at either end, at most 4,096 bytes.",
        secret: true,
        maxLength: MAX_VALUE_BYTES,
      }),
    }),
  ),
}

/** An endpoint, described for one environment. */
function endpointSchema(environment: Environment) {
  return Type.Object(
    {
      url: Type.String({
        title: "URL",
        description:
          "Where events are sent by POST: an http or https URL of at most 8 KiB, without user name and password.",
        minLength: 1,
        maxLength: MAX_URL_CHARACTERS,
      }),
      ...endpointHeaders,
    },
    {
      title: `${environment === "production" ? "Production" : "Sandbox"} endpoint`,
      description: `Gets the events of the ${environment} environment. Without it they are left out.`,
      additionalProperties: false,
    },
  )
}

/**
 * How requests are written and signed, and what is read from their answers. `x-not-yet` names values that are understood
 * but not built, each with the sentence that says so.
 */
export const requestSettings = {
  format: Type.Optional(
    Type.Enum(["waybill", "cloudevents"], {
      title: "Format",
      description: "How an event is written: waybill is {id, type, timestamp, data, …}, cloudevents a CloudEvent 1.0.",
      default: "waybill",
      "x-not-yet": {
        adapty: "Adapty's format is not built yet; use waybill or cloudevents.",
        revenuecat: "RevenueCat's format is not built yet; use waybill or cloudevents.",
        template: "Templates are not built yet; use waybill or cloudevents.",
      },
    }),
  ),
  cloudevents_mode: Type.Optional(
    Type.Enum(["structured", "binary"], {
      title: "CloudEvents mode",
      description:
        "For the format cloudevents: structured puts attributes and data into one JSON body, binary puts attributes into ce- headers and leaves the body to the data.",
      default: "structured",
    }),
  ),
  destination_record: Type.Optional(
    Type.Object(
      {
        pointer: Type.Optional(
          Type.String({
            title: "JSON pointer",
            description: "Where the id stands in an answer's JSON body, such as /data/id (RFC 6901).",
            maxLength: 1_024,
          }),
        ),
        header: Type.Optional(
          Type.String({
            title: "Header",
            description: "The answer's header that holds the id, such as x-record-id.",
          }),
        ),
      },
      {
        title: "Destination record",
        description:
          "Where the endpoint's answer tells the id that it gave the record: one of the two. It is taken from a successful answer and can be searched for.",
        minProperties: 1,
        maxProperties: 1,
        additionalProperties: false,
      },
    ),
  ),
  signature: Type.Optional(
    Type.Object(
      {
        scheme: Type.Enum(["v1", "v1a", "none"], {
          title: "Scheme",
          description:
            "Standard Webhooks: v1 is symmetric (HMAC-SHA256), v1a asymmetric (Ed25519), none signs nothing.",
        }),
      },
      {
        title: "Signature",
        description:
          "How requests are signed. The secret is not part of the settings: it is shown once and can be rotated.",
        default: { scheme: "v1" },
        additionalProperties: false,
      },
    ),
  ),
}

/** `verification` has no default here, because the policy's preset decides where it is left out. */
export const webhookSettings = Type.Object(
  {
    production: Type.Optional(endpointSchema("production")),
    sandbox: Type.Optional(endpointSchema("sandbox")),
    verification: Type.Optional(
      Type.Enum(["json", "status", "none"], {
        title: "Verification",
        description:
          "What an endpoint has to answer to POST {} before it gets events: json asks for a 2xx status and any valid JSON, status for any 2xx, none sends nothing. Left out, the policy's preset decides: json for most.",
        "x-not-yet": { cloudevents: "The CloudEvents handshake is not built yet; use json, status or none." },
      }),
    ),
    ...requestSettings,
  },
  { title: "Webhook", description: "Sends each event to a URL of your own.", additionalProperties: false },
)

export type WebhookSettings = Static<typeof webhookSettings>

/** What the schema cannot say of webhook settings that it has passed; empty when all is well. */
export function checkWebhookSettings(settings: WebhookSettings): SettingsFault[] {
  const faults = environments.flatMap(environment => checkEndpoint(settings, environment))
  if (environments.every(environment => settings[environment] === undefined)) {
    faults.push({ pointer: "", message: "Give an endpoint: production, sandbox or both." })
  }
  const { pointer, header } = settings.destination_record ?? {}
  if (pointer !== undefined && parsePointer(pointer) === null) {
    const message =
      "This is no JSON pointer: it begins with a slash, as in /data/id, and ~ is written ~0, / in a name ~1."
    faults.push({ pointer: "/destination_record/pointer", message })
  }
  if (header !== undefined && !isHeaderName(header)) {
    const message = "This is no header name: use letters, digits and hyphens, as in x-record-id."
    faults.push({ pointer: "/destination_record/header", message })
  }
  return faults
}

/** What is wrong with the endpoint of one environment, or nothing where there is none. */
export function checkEndpoint(settings: WebhookSettings, environment: Environment): SettingsFault[] {
  const endpoint = settings[environment]
  if (endpoint === undefined) return []
  const at = pointerTo("", environment)
  const faults: SettingsFault[] = []
  const report = (pointer: string, message: string | null): void => {
    if (message !== null) faults.push({ pointer, message })
  }
  report(`${at}/url`, urlFault(endpoint.url))
  if (endpoint.authorization !== undefined) report(`${at}/authorization`, authorizationFault(endpoint.authorization))
  const seen = new Set<string>()
  for (const [name, value] of Object.entries(endpoint.headers ?? {})) {
    const pointer = pointerTo(`${at}/headers`, name)
    const isRepeated = seen.has(name.toLowerCase())
    report(
      pointer,
      isRepeated ? `The header ${name} is there twice; the case of its letters tells nothing apart.` : null,
    )
    report(pointer, headerNameFault(name) ?? valueFault(name, value))
    seen.add(name.toLowerCase())
  }
  return faults
}

/** Where the URL leads is judged apart from this, since that depends on what the operator allows. */
function urlFault(text: string): string | null {
  if (text.includes("{{")) return "Templates such as {{variable}} are not built yet; give the URL as it is."
  // The URL parser would drop or mend these in silence.
  if (/[\s\u0000-\u001f\u007f]/.test(text)) {
    return "The URL holds a space, a line break or another control character. Take it out, or write %20 for a space."
  }
  if (!/^https?:\/\//i.test(text)) return "Waybill sends to http and https URLs. Begin the URL with https://."
  const url = URL.parse(text)
  if (url === null) return "This is no URL. Write it in full: https://crm.example/hook."
  if (url.username !== "" || url.password !== "" || /^https?:\/\/[^/?#]*@/i.test(text)) {
    return "The URL holds a user name or password. Put it into the Authorization value instead."
  }
  if (text.includes("#")) return "The part of the URL from # on is never sent. Leave it out."
  return url.href.length > MAX_URL_CHARACTERS
    ? "With its special characters encoded, the URL is longer than 8 KiB."
    : null
}

function authorizationFault(value: string): string | null {
  if (value.trim() === "") return "The Authorization value is blank. Leave the field out to send none."
  const fault = headerValueFault(value)
  return fault === null ? null : `The Authorization value ${fault}`
}

function valueFault(name: string, value: string): string | null {
  if (value.includes("{{"))
    return `Templates such as {{variable}} are not built yet; give the value of ${name} as it is.`
  const fault = headerValueFault(value)
  return fault === null ? null : `The value of ${name} ${fault}`
}
