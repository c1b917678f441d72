/** One kind of destination, as data and pure functions. It says what to send; it never sends. */
import type { TSchema } from "typebox"
import type { Facts } from "../domain/delivery.ts"
import type { Environment, Event } from "../domain/event.ts"
import type { Answer, Exchange, OutboundRequest, SigningKey } from "../domain/exchange.ts"
import type { IntegrationId } from "../domain/id.ts"
import type { ReasonCode } from "../domain/reason.ts"

/** The `config` of an integration, secrets opened. */
export type Settings = Readonly<Record<string, unknown>>

/** What a connector needs to know of a delivery to build its request. */
export interface Subject {
  readonly event: Event
  /** `evt_…`: the message id of every attempt. */
  readonly messageId: string
  readonly integration: {
    readonly id: IntegrationId
    readonly revision: number
    /** The keys that sign now: the current one, then those that a rotation left valid for a while (SW-11). */
    readonly signingKeys: readonly SigningKey[]
  }
  /** The event's name as this integration's owner wants it. */
  readonly name: string
  readonly environment: Environment
}

export type Build =
  | { readonly kind: "send"; readonly request: OutboundRequest }
  | { readonly kind: "withhold"; readonly reason: ReasonCode; readonly facts: Facts }
  | { readonly kind: "fail"; readonly reason: ReasonCode; readonly facts: Facts }

/** A mistake in settings that the schema cannot see: where (JSON pointer into `config`) and a sentence. */
export interface SettingsFault {
  readonly pointer: string
  readonly message: string
}

/** One kind of destination. Its functions are given settings that the schema has passed; `build` those that `check` has. */
export interface Connector<Own = Settings> {
  readonly name: string
  readonly title: string
  /** Validates `config`, draws its form, documents it. Fields with `secret: true` are stored apart, sealed. */
  readonly settings: TSchema
  /**
   * What the schema cannot say: URLs, header names, secrets, certificates. Empty when all is well. `now`, in ms since 1970,
   * where settings are new: then what has run out is a fault too.
   */
  check(settings: Own, now?: number): readonly SettingsFault[]
  /** The environments that these settings have an endpoint for. */
  environments(settings: Own): readonly Environment[]
  /** Works out once what all deliveries under these settings have in common. */
  prepare(settings: Own): Prepared
  /** Absent where endpoints need not show that they are there. */
  readonly verification?: EndpointVerification<Own>
}

/** A connector with the settings of one revision. */
export interface Prepared {
  /**
   * The request of a delivery, complete but for `User-Agent` and `webhook-attempt`, which differ from attempt to attempt
   * and are added when it is sent. Pure: the same subject gives the same bytes, so that a retry can be rebuilt.
   */
  build(subject: Subject): Build
  /** The id that the destination gave the record, at most 256 characters; null where the answer holds none. */
  destinationRecord(answer: Answer): string | null
}

/** What an endpoint is asked for before it gets events. `none`: nothing. */
export type VerificationRule = "json" | "status" | "none"

/** How endpoints show that they are there and listen. */
export interface EndpointVerification<Own = Settings> {
  rule(settings: Own): VerificationRule
  /** The request that verifies an endpoint; null where there is no such endpoint, or nothing to verify. */
  request(settings: Own, environment: Environment, message: VerificationMessage): Build | null
  /** Whether what came of the request is what the rule asks for. */
  verdict(rule: VerificationRule, exchange: Exchange): Verdict
  /**
   * What was verified, as a text that changes when the endpoint has to be verified again; null without an endpoint. It
   * covers secrets and is kept in clear, so the caller hashes it with a key: a bare hash of a password can be guessed.
   */
  fingerprint(settings: Own, environment: Environment, keyedHash: (text: string) => string): string | null
}

/** What signs a verification. */
export interface VerificationMessage {
  readonly id: string
  readonly integration: IntegrationId
  readonly signingKeys: readonly SigningKey[]
}

/** `missed`: no answer came at all, its status is no 2xx, or its body is no JSON. The message is for a person. */
export type Verdict =
  | { readonly passed: true }
  | { readonly passed: false; readonly missed: "answer" | "status" | "json"; readonly message: string }
