/** The webhook connector: each event by POST to a URL of the owner's own, in the format of the owner's choice, signed. */
import { type Environment, environments } from "../domain/event.ts"
import type { Answer, Credentials, Header, RequestSignature, SigningKey } from "../domain/exchange.ts"
import { binaryCloudEvent, STRUCTURED_MEDIA_TYPE, structuredCloudEvent, waybillBody } from "../domain/format.ts"
import { parsePointer } from "../domain/json-pointer.ts"
import { basicHeader, grantOf } from "./auth-settings.ts"
import type { Build, Connector, Prepared, Subject, VerificationMessage } from "./connector.ts"
import { recordInBody, recordInHeader } from "./destination-record.ts"
import { headerValueFault } from "./header-rules.ts"
import { identityOf } from "./tls-settings.ts"
import {
  checkEndpoint,
  checkWebhookSettings,
  keySchemeOf,
  type WebhookSettings,
  webhookSettings,
} from "./webhook-settings.ts"
import { verdictOfVerification } from "./webhook-verification.ts"

export const webhook: Connector<WebhookSettings> = {
  name: "webhook",
  title: "Webhook",
  settings: webhookSettings,
  check: checkWebhookSettings,
  environments: settings => environments.filter(environment => settings[environment] !== undefined),
  prepare,
  verification: {
    rule: settings => settings.verification ?? "json",
    request: verificationRequest,
    verdict: verdictOfVerification,
    fingerprint: fingerprintOfEndpoint,
  },
}

function prepare(settings: WebhookSettings): Prepared {
  const write: Readonly<Record<Environment, Write>> = {
    production: writerFor(settings, "production"),
    sandbox: writerFor(settings, "sandbox"),
  }
  return {
    build: subject => write[subject.environment](subject),
    destinationRecord: recordReader(settings),
  }
}

/** Writes the requests to one endpoint. */
type Write = (subject: Subject) => Build

function writerFor(settings: WebhookSettings, environment: Environment): Write {
  const target = targetOf(settings, environment)
  if ("kind" in target) return () => target
  if (settings.format !== "cloudevents") {
    const headers = [contentType("application/json"), ...target.headers]
    return subject => post(target, headers, waybillBody(subject), signingOf(subject))
  }
  if (settings.cloudevents_mode !== "binary") {
    const headers = [contentType(STRUCTURED_MEDIA_TYPE), ...target.headers]
    return subject => post(target, headers, structuredCloudEvent(subject), signingOf(subject))
  }
  return subject => postBinary(target, subject)
}

function postBinary(target: Target, subject: Subject): Build {
  const event = binaryCloudEvent(subject)
  const headers = [...event.headers, ...target.headers]
  if (event.contentType === null) return post(target, headers, event.body, signingOf(subject))
  // Of all that comes from an event, only this goes into a header without being encoded.
  const fault = headerValueFault(event.contentType)
  if (fault !== null) {
    const facts = {
      header: "content-type",
      environment: subject.environment,
      detail: `the event's content type ${fault}`,
    }
    return { kind: "fail", reason: "request_invalid", facts }
  }
  return post(target, [contentType(event.contentType), ...headers], event.body, signingOf(subject))
}

/** What all requests to one endpoint have in common. */
interface Target {
  readonly environment: Environment
  readonly url: string
  /** Authorization and the owner's further headers. */
  readonly headers: readonly Header[]
  /** Null where the endpoint asks for nothing but headers. */
  readonly credentials: Omit<Credentials, "holder"> | null
  /** The kind of key that signs; null where nothing does. */
  readonly scheme: SigningKey["scheme"] | null
  readonly form: Pick<RequestSignature, "form">
}

/** The target of an environment, or what becomes of its deliveries: there is none, or its settings are no good. */
function targetOf(settings: WebhookSettings, environment: Environment): Target | Build {
  const endpoint = settings[environment]
  if (endpoint === undefined) {
    return { kind: "withhold", reason: "filtered", facts: { cause: "no_endpoint", environment } }
  }
  // Checked on saving; again here, so that no setting of an older version reaches the wire unchecked (API-20).
  const [fault] = checkEndpoint(settings, environment)
  if (fault !== undefined) {
    const facts = { field: fault.pointer.slice(1).replaceAll("/", "."), environment, detail: fault.message }
    return { kind: "fail", reason: "request_invalid", facts }
  }
  const headers: Header[] = Object.entries(endpoint.headers ?? {}).map(([name, value]) => ({
    name,
    value,
    secret: true,
  }))
  if (endpoint.authorization !== undefined) {
    headers.unshift({ name: "authorization", value: endpoint.authorization, secret: true })
  }
  if (endpoint.auth?.kind === "basic") headers.unshift(basicHeader(endpoint.auth))
  const tls = endpoint.tls === undefined ? null : identityOf(endpoint.tls)
  const grant = endpoint.auth?.kind === "oauth2" ? grantOf(endpoint.auth) : null
  return {
    environment,
    url: new URL(endpoint.url).href,
    headers,
    credentials: tls === null && grant === null ? null : { tls, grant },
    scheme: keySchemeOf(settings),
    form: settings.signature?.scheme === "rfc9421" ? { form: "rfc9421" } : {},
  }
}

function contentType(value: string): Header {
  return { name: "content-type", value }
}

function signingOf({ messageId, integration }: Subject): VerificationMessage {
  return { id: messageId, integration: integration.id, signingKeys: integration.signingKeys }
}

/** A request, signed with all keys that are valid now; without a signature it still carries the message's id. */
function post(
  { url, scheme, form, environment, credentials }: Target,
  headers: readonly Header[],
  body: string | Uint8Array,
  { id, integration, signingKeys }: VerificationMessage,
): Build {
  const asked = credentials && { credentials: { holder: `${integration}/${environment}`, ...credentials } }
  const request = { kind: "http", method: "POST", url, headers, body, signature: null, ...asked } as const
  if (scheme === null) {
    return { kind: "send", request: { ...request, headers: [...headers, { name: "webhook-id", value: id }] } }
  }
  // After a change of scheme the old keys alone would make a signature that the receiver no longer looks for.
  if (!signingKeys.some(key => key.scheme === scheme)) {
    const facts = { field: `signing secret ${scheme}`, environment }
    return { kind: "withhold", reason: "missing_credentials", facts }
  }
  return { kind: "send", request: { ...request, signature: { id, keys: signingKeys, ...form } } }
}

function verificationRequest(
  settings: WebhookSettings,
  environment: Environment,
  message: VerificationMessage,
): Build | null {
  if (settings.verification === "none" || settings[environment] === undefined) return null
  const target = targetOf(settings, environment)
  return "kind" in target ? target : post(target, [contentType("application/json"), ...target.headers], "{}", message)
}

/** URL, headers and credentials, whatever their order and case: only these are verified. */
function fingerprintOfEndpoint(
  settings: WebhookSettings,
  environment: Environment,
  keyedHash: (text: string) => string,
): string | null {
  const endpoint = settings[environment]
  if (endpoint === undefined) return null
  const headers = Object.entries(endpoint.headers ?? {}).map(([name, value]) => [name.toLowerCase(), value])
  headers.sort(([a = ""], [b = ""]) => (a < b ? -1 : 1))
  const { auth, tls } = endpoint
  const url = URL.parse(endpoint.url)?.href ?? endpoint.url
  // Those without credentials stay as they were hashed before there were any.
  const credentials = auth === undefined && tls === undefined ? [] : [sorted(auth), sorted(tls)]
  return keyedHash(JSON.stringify([url, endpoint.authorization ?? null, headers, ...credentials]))
}

function sorted(fields: object = {}): readonly (readonly [name: string, value: unknown])[] {
  return Object.entries(fields).sort(([a], [b]) => (a < b ? -1 : 1))
}

function recordReader({ destination_record: record }: WebhookSettings): (answer: Answer) => string | null {
  const name = record?.header?.toLowerCase()
  if (name !== undefined) return answer => recordInHeader(answer, name)
  const path = record?.pointer === undefined ? null : parsePointer(record.pointer)
  return path === null ? () => null : answer => recordInBody(answer, path)
}
