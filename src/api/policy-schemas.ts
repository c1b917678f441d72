/** The fields of a policy for an endpoint in trouble, on their way in and out. The others stand in integration-schemas.ts. */
import { type TSchema, Type } from "typebox"
import { DAY_MS, HOUR_MS } from "../domain/duration.ts"
import { Nullable } from "./schemas.ts"

const restFields = {
  enabled: Type.Boolean({ description: "Whether the endpoint is left alone while it fails." }),
  window_ms: Type.Integer({
    minimum: 1_000,
    maximum: HOUR_MS,
    description: "Attempts that ended longer ago are not judged by.",
  }),
  min_attempts: Type.Integer({
    minimum: 1,
    maximum: 1_000,
    description: "Fewer attempts than this within the window judge nothing.",
  }),
  rest_ms: Type.Integer({
    minimum: 100,
    maximum: HOUR_MS,
    description: "The rest before the first probe. It doubles while probes fail.",
  }),
  longest_rest_ms: Type.Integer({ minimum: 100, maximum: HOUR_MS, description: "No rest is longer than this." }),
  on_skip: Type.Union([Type.Literal("wait"), Type.Literal("use_retry")], {
    description:
      "`wait`: what is held back uses up no retry and goes, oldest first, when the endpoint is back. `use_retry`: each skip counts as a try of the schedule, as Particle does it.",
  }),
}

const after = (what: string) =>
  Nullable(Type.Integer({ minimum: 60_000, maximum: 30 * DAY_MS }), `${what} Null: never.`)

const longFields = {
  warn_after_ms: after("The owner is told after so long without a success."),
  disable_after_ms: after("The integration is switched off after so long without a success."),
  stop_retries_after_ms: after(
    "After so long without a success nothing is retried by itself until one delivery succeeds (`no_recent_success`).",
  ),
}

/** What may be given: each part by itself, and in it each field. */
export const troubleFields = {
  protection: Type.Optional(
    Type.Object(optional(restFields), {
      additionalProperties: false,
      description: "Leaves an endpoint alone while its recent attempts hold more errors than successes.",
    }),
  ),
  long_failure: Type.Optional(
    Type.Object(optional(longFields), {
      additionalProperties: false,
      description: "What follows when nothing gets through for long, counted from the first failure after a success.",
    }),
  ),
  ordered: Type.Optional(
    Type.Boolean({ description: "Events with an `ordering_key` are delivered one after another, per key." }),
  ),
  ordered_on_failure: Type.Optional(
    Type.Union([Type.Literal("skip"), Type.Literal("stop")], {
      description:
        "What becomes of those behind one that failed for good: `skip` goes on with the next, `stop` holds the key until someone retries or releases it.",
    }),
  ),
  budget: Type.Optional(
    Nullable(
      Type.String({ minLength: 1, maxLength: 64, pattern: "^[A-Za-z0-9._-]+$" }),
      "Integrations that name the same budget share the rate that the other side grants to one account, learned from 429 and its rate limit headers.",
    ),
  ),
}

/** Every field, whether it came from the preset or not. */
export const troubleOut = {
  protection: Type.Object(restFields),
  long_failure: Type.Object(longFields),
  ordered: Type.Boolean(),
  ordered_on_failure: Type.String(),
  budget: Nullable(Type.String()),
}

function optional(fields: Readonly<Record<string, TSchema>>): Record<string, TSchema> {
  return Object.fromEntries(Object.entries(fields).map(([name, field]) => [name, Type.Optional(field)]))
}
