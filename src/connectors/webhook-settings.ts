/** The settings of a webhook: their schema, from which form, validation and documents come, and what it cannot say. */
import Type, { type Static } from "typebox"
import { type Environment, environments } from "../domain/event.ts"
import type { SigningKey } from "../domain/exchange.ts"
import { parsePointer, pointerTo } from "../domain/json-pointer.ts"
import { authSchema, checkAuth } from "./auth-settings.ts"
import type { SettingsFault } from "./connector.ts"
import { headerNameFault, headerValueFault, isHeaderName, isSignatureHeader } from "./header-rules.ts"
import { checkTls, tlsSchema } from "./tls-settings.ts"
import { MAX_URL_CHARACTERS, urlFault } from "./url-rules.ts"

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
      auth: Type.Optional(authSchema),
      tls: Type.Optional(tlsSchema),
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
        scheme: Type.Enum(["v1", "v1a", "rfc9421", "none"], {
          title: "Scheme",
          description:
            "Standard Webhooks: v1 is symmetric (HMAC-SHA256), v1a asymmetric (Ed25519). rfc9421 signs the HTTP message, none signs nothing.",
        }),
        algorithm: Type.Optional(
          Type.Enum(["ed25519", "hmac-sha256"], {
            title: "Algorithm",
            // No default, as the other schemes have no such choice.
            description:
              "For rfc9421 only: ed25519 with a whsk_ key, hmac-sha256 with a whsec_ secret. Left out: ed25519.",
          }),
        ),
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

/** What kind of key the settings sign with; null where they sign nothing. */
export function keySchemeOf({ signature }: Pick<WebhookSettings, "signature">): SigningKey["scheme"] | null {
  const { scheme = "v1", algorithm = "ed25519" } = signature ?? {}
  switch (scheme) {
    case "none":
      return null
    case "rfc9421":
      return algorithm === "ed25519" ? "v1a" : "v1"
    case "v1":
    case "v1a":
      return scheme
  }
}

/** What the schema cannot say of webhook settings that it has passed, at `now` if it is given; empty when all is well. */
export function checkWebhookSettings(settings: WebhookSettings, now?: number): SettingsFault[] {
  const faults = environments.flatMap(environment => checkEndpoint(settings, environment, now))
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
  const { scheme = "v1", algorithm } = settings.signature ?? {}
  if (algorithm !== undefined && scheme !== "rfc9421") {
    const message = `Only the scheme rfc9421 has a choice of algorithm; ${scheme} has its own. Leave it out.`
    faults.push({ pointer: "/signature/algorithm", message })
  }
  return faults
}

/** What is wrong with the endpoint of one environment, or nothing where there is none. */
export function checkEndpoint(settings: WebhookSettings, environment: Environment, now?: number): SettingsFault[] {
  const endpoint = settings[environment]
  if (endpoint === undefined) return []
  const at = pointerTo("", environment)
  const faults: SettingsFault[] = []
  const report = (pointer: string, message: string | null): void => {
    if (message !== null) faults.push({ pointer, message })
  }
  report(`${at}/url`, urlFault(endpoint.url))
  if (endpoint.authorization !== undefined) report(`${at}/authorization`, authorizationFault(endpoint.authorization))
  const { auth, tls } = endpoint
  if (auth !== undefined) {
    const twice = "Both authorization and auth are set, and a request has one Authorization. Set one of them to null."
    report(`${at}/auth`, endpoint.authorization === undefined ? null : twice)
    for (const { pointer, message } of checkAuth(auth)) report(`${at}/auth${pointer}`, message)
  }
  if (tls !== undefined) {
    const plain = "The URL is an http one, which has no TLS. Begin it with https://, or leave tls out."
    report(`${at}/tls`, /^http:/i.test(endpoint.url) ? plain : null)
    for (const { pointer, message } of checkTls(tls, now)) report(`${at}/tls${pointer}`, message)
  }
  const seen = new Set<string>()
  for (const [name, value] of Object.entries(endpoint.headers ?? {})) {
    const pointer = pointerTo(`${at}/headers`, name)
    const isRepeated = seen.has(name.toLowerCase())
    report(
      pointer,
      isRepeated ? `The header ${name} is there twice; the case of its letters tells nothing apart.` : null,
    )
    const isSigned = settings.signature?.scheme === "rfc9421" && isSignatureHeader(name)
    const taken = `The header ${name} carries the signature of the scheme rfc9421; Waybill sets it itself.`
    report(pointer, headerNameFault(name) ?? (isSigned ? taken : valueFault(name, value)))
    seen.add(name.toLowerCase())
  }
  return faults
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
