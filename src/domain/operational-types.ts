/**
 * Operational events: what Waybill itself says of integrations and deliveries, as data. Their types, schemas and examples
 * stand in every project's catalogue and in the documentation; the engine fills them in (engine/operational.ts).
 */
import { type Static, Type } from "typebox"

/** The `source` of all of them. */
export const OPERATIONAL_SOURCE = "waybill"

const Id = (what: string, example: string) => Type.String({ description: what, examples: [example] })
const Time = Type.String({ format: "date-time" })
const orNull = <T extends ReturnType<typeof Type.String> | ReturnType<typeof Type.Integer>>(schema: T) =>
  Type.Union([schema, Type.Null()])
const Advice = Type.String({ description: "What to do, in a sentence or two." })

const integration = Type.Object({
  id: Id("The integration that it is about.", "int_01j9zq4kx2m"),
  name: Type.String(),
  connector: Type.String(),
})
const lastError = Type.Object({
  event: Id("The event whose delivery brought it about.", "evt_01j9zq4kx2m"),
  delivery: Id("That delivery.", "dlv_01j9zq4kx2m01j9zq4kx2m"),
  reason: Type.String({ description: "The code of the reason." }),
  status: orNull(Type.Integer({ description: "The status that the endpoint answered." })),
  what: Type.String({ description: "The reason in words." }),
})
const environment = Type.Enum(["production", "sandbox"])

const exampleIntegration = { id: "int_01j9zq4kx2m", name: "CRM", connector: "webhook" }
const exampleError = {
  event: "evt_01jd6tq8v0w",
  delivery: "dlv_01jd6tq8v0w01j9zq4kx2m",
  reason: "server_error",
  status: 503,
  what: "crm.example answered 503, service unavailable.",
}

/** Every operational event by its type. */
export const operationalTypes = {
  "waybill.integration.failing": {
    description:
      "Nothing has got through to an integration for long: its owner is warned, or nothing is retried by itself any more. Once each for a failing time, by the policy's long_failure.",
    schema: Type.Object({
      integration,
      consequence: Type.Enum(["warned", "retries_stopped"]),
      failing_since: Type.String({ format: "date-time", description: "The first error after the last success." }),
      last_success_at: orNull(Time),
      failed_attempts: Type.Integer({ description: "Since then; after a restart of Waybill it may be some too low." }),
      last_error: lastError,
      disabled_after_ms: orNull(
        Type.Integer({ description: "After so long without a success the integration is switched off; null: never." }),
      ),
      advice: Advice,
    }),
    example: {
      integration: exampleIntegration,
      consequence: "warned",
      failing_since: "2026-11-19T10:00:00.000Z",
      last_success_at: "2026-11-19T09:58:12.000Z",
      failed_attempts: 412,
      last_error: exampleError,
      disabled_after_ms: 432_000_000,
      advice: "Read the error, mend the endpoint or the integration's URL and credentials, and send it a test event.",
    },
  },
  "waybill.integration.disabled": {
    description: "An integration was switched off: by its endpoint (410), after a long failure, or by a person.",
    schema: Type.Object({
      integration,
      cause: Type.Enum(["gone", "long_failure", "person"]),
      by: orNull(Type.String({ description: "The API key of the person; null where Waybill did it." })),
      failing_since: orNull(Time),
      failed_attempts: orNull(Type.Integer()),
      last_error: Type.Union([lastError, Type.Null()]),
      advice: Advice,
    }),
    example: {
      integration: exampleIntegration,
      cause: "long_failure",
      by: null,
      failing_since: "2026-11-16T10:00:00.000Z",
      failed_attempts: 1_030,
      last_error: exampleError,
      advice: "Mend what made it fail, enable the integration, and replay what it missed with POST /v1/recoveries.",
    },
  },
  "waybill.integration.recovered": {
    description:
      "An integration is back: a delivery got through after a long failure that was told of, or its endpoint has woken up.",
    schema: Type.Object({
      integration,
      after: Type.Enum(["long_failure", "sleeping"]),
      since: Type.String({ format: "date-time", description: "When it had begun to fail, or to rest." }),
      failed_attempts: orNull(Type.Integer()),
      origin: orNull(Type.String({ description: "The origin that rested." })),
    }),
    example: {
      integration: exampleIntegration,
      after: "long_failure",
      since: "2026-11-19T10:00:00.000Z",
      failed_attempts: 412,
      origin: null,
    },
  },
  "waybill.integration.sleeping": {
    description:
      "Protection leaves an endpoint alone for a while, because lately it failed more often than it succeeded. One for each opening.",
    schema: Type.Object({
      integration,
      message: Type.String(),
      origin: Type.String({ description: "Scheme, host and port." }),
      errors: Type.Integer({ description: "Of the attempts that it was judged by." }),
      successes: Type.Integer(),
      probe_at: Type.String({ format: "date-time", description: "When one attempt is let through to try." }),
      advice: Advice,
    }),
    example: {
      integration: exampleIntegration,
      message: "Sleeping, too many errors, please wait and try again",
      origin: "https://crm.example",
      errors: 8,
      successes: 2,
      probe_at: "2026-11-21T10:00:05.000Z",
      advice: "Make sure that the server can take the volume that you send, or set max_per_second.",
    },
  },
  "waybill.integration.verified": {
    description: "An endpoint has passed verification.",
    schema: Type.Object({ integration, environment, rule: Type.String() }),
    example: { integration: exampleIntegration, environment: "production", rule: "json" },
  },
  "waybill.verification.failed": {
    description: "An endpoint has not passed verification, so its events are withheld.",
    schema: Type.Object({
      integration,
      environment,
      rule: Type.String(),
      message: Type.String({ description: "Which rule was missed, and how." }),
      advice: Advice,
    }),
    example: {
      integration: exampleIntegration,
      environment: "production",
      rule: "json",
      message: "The endpoint answered 200, but with an empty body.",
      advice:
        "Let the endpoint answer 2xx with any valid JSON, then verify it again and replay what was withheld with POST /v1/recoveries.",
    },
  },
  "waybill.delivery.failed": {
    description:
      "A delivery has failed for good. Stored only where an integration of the project asks for this type, since the history has the failed delivery already; deliveries that end because their integration was switched off or removed cause none.",
    schema: Type.Object({
      integration,
      event: Type.Object({
        id: Type.String(),
        type: Type.String(),
        external_id: orNull(Type.String()),
        source_record: orNull(Type.String()),
      }),
      delivery: Type.String(),
      attempts: Type.Integer(),
      reason: Type.String({ description: "The code of the reason." }),
      status: orNull(Type.Integer({ description: "The status that the endpoint answered last." })),
      what: Type.String({ description: "The reason in words." }),
      advice: Advice,
    }),
    example: {
      integration: exampleIntegration,
      event: { id: "evt_01jd6tq8v0w", type: "order.paid", external_id: "order-1842", source_record: null },
      delivery: "dlv_01jd6tq8v0w01j9zq4kx2m",
      attempts: 10,
      reason: "server_error",
      status: 503,
      what: "crm.example answered 503, service unavailable. This was try 10 of 10, so it is not tried again by itself.",
      advice: "See whether the server is up, and retry the delivery by hand.",
    },
  },
} as const

export type OperationalType = keyof typeof operationalTypes
/** What an operational event of a type carries. */
export type OperationalData<T extends OperationalType = OperationalType> = Static<
  (typeof operationalTypes)[T]["schema"]
>

export const operationalTypeNames = Object.keys(operationalTypes) as OperationalType[]

/** An event as its data tells it, with its type. */
export type OperationalEvent = {
  readonly [T in OperationalType]: { readonly type: T; readonly data: OperationalData<T> }
}[OperationalType]
