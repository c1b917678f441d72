/** What an integration looks like on its way in and out. */
import { type Static, Type } from "typebox"
import { presetNames } from "../domain/policy.ts"
import { AppName } from "./apps.ts"
import { troubleFields, troubleOut } from "./policy-schemas.ts"
import { ProtectionView } from "./protection-view.ts"
import { Environment, KeptText, Nullable, Time } from "./schemas.ts"

const later = (what: string) => `${what} is not built yet: leave it out.`

const EventRule = Type.Object(
  {
    enabled: Type.Optional(Type.Boolean()),
    name: Type.Optional(
      Type.String({ maxLength: 256, description: "The name it goes out under; blank switches the type off." }),
    ),
  },
  { additionalProperties: false },
)

/** Which event types go out, and under which name. */
export const EventRules = Type.Object(
  {
    default: Type.Optional(Type.Union([Type.Literal("on"), Type.Literal("off")], { default: "on" })),
    types: Type.Optional(
      Type.Record(Type.String(), EventRule, {
        maxProperties: 1_000,
        description:
          "By exact type, or by prefix as in `trial_*`. Exact beats the longest prefix, a prefix beats `default`.",
      }),
    ),
  },
  { additionalProperties: false },
)

/** The options of product.md: known, and refused until they are built. */
export const Options = Type.Object(
  {},
  {
    additionalProperties: false,
    "x-not-yet": {
      send_trial_price: later("The option send_trial_price"),
      exclude_historical: later("The option exclude_historical"),
      send_user_attributes: later("The option send_user_attributes"),
      send_attribution: later("The option send_attribution"),
      send_play_store_purchase_token: later("The option send_play_store_purchase_token"),
    },
  },
)

const Share = Type.Number({ minimum: 0, maximum: 0.5 })
const Jitter = Type.Union(
  [Share, Type.Object({ down: Share, up: Share, last_up: Type.Optional(Share) }, { additionalProperties: false })],
  {
    description:
      "The share by which a delay may be shorter or longer, 0 to 0.5: one number, or `down`, `up` and `last_up` (how much longer the last delay may be).",
  },
)

const policyFields = {
  preset: Type.Optional(
    Type.Union(
      presetNames.map(name => Type.Literal(name)),
      { default: "standard", description: "Where the fields come from that are left out here." },
    ),
  ),
  timeout_ms: Type.Optional(
    Type.Integer({
      minimum: 1_000,
      maximum: 120_000,
      description: "The time limit of an attempt, all in: looking up the name, connecting, TLS, the answer.",
    }),
  ),
  success: Type.Optional(
    Type.String({
      maxLength: 1_000,
      description: "Statuses that mean delivered, such as `200-299,304`.",
      examples: ["200-299"],
    }),
  ),
  stop: Type.Optional(
    Type.String({
      maxLength: 1_000,
      description: "Statuses after which nothing is retried; `none` for no status. All others are retried.",
      examples: ["410", "none"],
    }),
  ),
  on_gone: Type.Optional(
    Type.Union([Type.Literal("disable"), Type.Literal("as_status")], {
      description: "What a 410 does: `disable` switches the integration off, `as_status` takes it as any other status.",
    }),
  ),
  retry_delays_ms: Type.Optional(
    Type.Array(Type.Integer({ minimum: 0 }), {
      maxItems: 50,
      description:
        "The delay before each retry; there are as many retries as delays. Together they may not outlast the payload.",
    }),
  ),
  jitter: Type.Optional(Jitter),
  max_per_second: Type.Optional(
    Nullable(Type.Number({ exclusiveMinimum: 0, maximum: 100_000 }), "The most attempts in a second; null: no limit."),
  ),
  max_concurrent: Type.Optional(
    Type.Integer({ minimum: 1, maximum: 1_000, description: "The most requests under way at a time." }),
  ),
  keep_response_bytes: Type.Optional(
    Type.Integer({ minimum: 0, maximum: 131_072, description: "How much of an answer's body is kept." }),
  ),
}

/** A preset, and what is to differ from it. */
export const PolicyIn = Type.Object({ ...policyFields, ...troubleFields }, { additionalProperties: false })

/** Every field, whether it came from the preset or not. */
export const PolicyOut = Type.Object({
  preset: Type.String(),
  timeout_ms: Type.Integer(),
  success: Type.String(),
  stop: Type.String(),
  on_gone: Type.String(),
  retry_delays_ms: Type.Array(Type.Integer()),
  jitter: Type.Object({ down: Type.Number(), up: Type.Number(), last_up: Type.Number() }),
  max_per_second: Nullable(Type.Number()),
  max_concurrent: Type.Integer(),
  keep_response_bytes: Type.Integer(),
  ...troubleOut,
})

const Config = Type.Unsafe<Record<string, unknown>>({
  type: "object",
  description: 'The connector\'s settings, see docs/reference/connectors.md. Secrets read as {"set": true}.',
})
const Filter = Type.Unsafe<object>({
  type: "object",
  description: "eq, ne, in, exists, gt, gte, lt, lte, prefix, contains, and, or, not over fields of the event.",
  examples: [{ and: [{ eq: ["data.plan", "pro"] }, { gte: ["data.amount", 10] }] }],
})
const Name = KeptText({ minLength: 1, maxLength: 200 })
const Secret = Type.String({
  maxLength: 200,
  description: "A signing secret of your own: `whsec_…` (v1) or `whsk_…` (v1a). Made for you where it is left out.",
})

export const NewIntegration = Type.Object(
  {
    name: Name,
    connector: Type.String({ default: "webhook", maxLength: 64 }),
    enabled: Type.Optional(Type.Boolean({ default: true })),
    apps: Type.Optional(Type.Array(AppName, { maxItems: 1_000, description: "Limits it to these apps; empty: all." })),
    config: Config,
    events: Type.Optional(EventRules),
    filter: Type.Optional(Nullable(Filter)),
    options: Type.Optional(Options),
    policy: Type.Optional(PolicyIn),
    secret: Type.Optional(Secret),
  },
  { additionalProperties: false },
)
export type NewIntegration = Static<typeof NewIntegration>

/** A JSON merge patch (RFC 7396): null takes a field away. Its parts are held against the full schemas once merged. */
export const IntegrationPatch = Type.Object(
  {
    name: Type.Optional(Name),
    apps: Type.Optional(Nullable(Type.Array(AppName, { maxItems: 1_000 }))),
    config: Type.Optional(Config),
    events: Type.Optional(Nullable(Type.Unsafe<object>({ type: "object" }))),
    filter: Type.Optional(Nullable(Filter)),
    options: Type.Optional(Nullable(Options)),
    policy: Type.Optional(Nullable(Type.Unsafe<object>({ type: "object" }))),
  },
  {
    additionalProperties: false,
    "x-not-yet": {
      connector: "The connector of an integration cannot be changed: make a new integration.",
      enabled: "Use POST …/enable and POST …/disable, which also say who did it.",
      secret: "Use POST …/rotate-secret, which keeps the old secret valid for a while.",
    },
  },
)
export type IntegrationPatch = Static<typeof IntegrationPatch>

export const VerificationView = Type.Object({
  state: Type.Enum(["verified", "failed", "pending", "not_required"]),
  rule: Type.String(),
  checked_at: Nullable(Time),
  message: Nullable(Type.String({ description: "Which rule was missed." })),
  answer: Type.Unknown({ description: "The whole answer: status, headers, body; or the error that came instead." }),
})

export const IntegrationView = Type.Object({
  id: Type.String(),
  name: Type.String(),
  connector: Type.String(),
  revision: Type.Integer(),
  enabled: Type.Boolean(),
  paused: Type.Boolean(),
  disabled: Nullable(
    Type.Object({
      by: Type.String({ description: "`person` or `waybill`." }),
      reason: Nullable(Type.String({ description: "Code of a reason, such as `gone`." })),
      at: Nullable(Time),
    }),
    "Who switched it off; null while it is on.",
  ),
  apps: Type.Array(Type.String(), { description: "Empty: all." }),
  config: Type.Object({}, { additionalProperties: true }),
  events: Type.Object({ default: Type.String(), types: Type.Object({}, { additionalProperties: true }) }),
  filter: Nullable(Type.Object({}, { additionalProperties: true })),
  options: Type.Object({}, { additionalProperties: true }),
  policy: PolicyOut,
  protection: Type.Optional(ProtectionView),
  verification: Type.Partial(Type.Object({ production: VerificationView, sandbox: VerificationView })),
  signing_keys: Type.Array(
    Type.Object({
      number: Type.Integer(),
      scheme: Type.String({ description: "`v1`: a symmetric key, `v1a`: an asymmetric one." }),
      kid: Type.String({ description: "What it is called in `keyid` of RFC 9421 and in the JWKS document." }),
      public_key: Nullable(Type.String()),
      created_at: Time,
      expires_at: Nullable(Time),
    }),
  ),
  created_at: Time,
  updated_at: Time,
  secret: Type.Optional(Type.String({ description: "Shown once: when it is made or rotated." })),
})

export const RevisionView = Type.Object({
  revision: Type.Integer(),
  at: Time,
  by: Type.Object({ kind: Type.String(), id: Nullable(Type.String()) }),
  changes: Type.Array(Type.Object({ pointer: Type.String(), from: Type.Unknown(), to: Type.Unknown() }), {
    description: "What differs from the revision before; secrets are masked.",
  }),
})

export const RotateSecret = Type.Object(
  {
    secret: Type.Optional(Secret),
    grace_seconds: Type.Optional(
      Type.Integer({
        minimum: 0,
        maximum: 604_800,
        default: 86_400,
        description: "How long the old secret signs too.",
      }),
    ),
  },
  { additionalProperties: false },
)
export type RotateSecret = Static<typeof RotateSecret>

export const TestEvent = Type.Object(
  {
    event: Type.Optional(Type.String({ description: "An event of the past to send again, as a test: `evt_…`." })),
    type: Type.Optional(
      Type.String({ pattern: "^[!-~]{1,128}$", "x-hint": "must be 1 to 128 printable ASCII characters without space" }),
    ),
    data: Type.Optional(Type.Unknown()),
    environment: Type.Optional(Environment),
    dry_run: Type.Optional(
      Type.Boolean({
        default: false,
        description: "Only shows what would be sent: nothing goes out, nothing is kept.",
      }),
    ),
  },
  { additionalProperties: false },
)
export type TestEvent = Static<typeof TestEvent>
