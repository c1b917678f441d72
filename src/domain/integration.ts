/** An integration: a configured destination of a project, as the engine and the router know it. */
import type { Environment } from "./event.ts"
import type { ExactJson } from "./exact-json.ts"
import type { AppId, IntegrationId, ProjectId } from "./id.ts"
import type { Policy } from "./policy.ts"

/** Which event types go out, and under which name. An exact type beats the longest prefix, a prefix beats `default`. */
export interface EventRules {
  readonly default: "on" | "off"
  /** Keys are a type, or a prefix that ends in `*`. */
  readonly types: Readonly<Record<string, EventRule>>
}
export interface EventRule {
  readonly enabled?: boolean
  readonly name?: string
}

/** How far an endpoint has shown that it is there and listens. `not_required` where the rule is `none`. */
export type VerificationState = "verified" | "failed" | "pending" | "not_required"

/** Who switched it off: nobody, a person, or Waybill itself (`gone`, …), which events then show as withheld. */
export type DisabledBy = "person" | "waybill"

export interface Integration {
  readonly id: IntegrationId
  readonly project: ProjectId
  readonly name: string
  readonly connector: string
  readonly revision: number
  readonly enabled: boolean
  readonly disabledBy: DisabledBy | null
  readonly paused: boolean
  /** Empty: all apps. */
  readonly apps: readonly AppId[]
  /** The connector's own settings, secrets opened; shape by the connector's schema. */
  readonly settings: Readonly<Record<string, unknown>>
  readonly events: EventRules
  /** The JSON filter as its owner wrote it, numbers exact; null passes everything. */
  readonly filter: ExactJson | null
  readonly policy: Policy
  readonly verification: Readonly<Record<Environment, VerificationState>>
  readonly createdAt: number
}
