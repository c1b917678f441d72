/** The shapes of `/v1/api-keys`. */
import { type Static, Type } from "typebox"
import { scopeNames } from "../domain/scope.ts"
import { AppName } from "./apps.ts"
import { MaxRequests } from "./rate-limit.ts"
import { Environment, KeptText, Nullable, Time } from "./schemas.ts"

const view = {
  id: Type.String({ examples: ["key_01j9zq4kx2m"] }),
  kind: Type.Enum(["secret", "portal"], { description: "portal: a token of the portal (docs/portal.md)." }),
  name: Type.String(),
  prefix: Type.String({
    description:
      "How it begins: `wb_live_sk_`, or `wb_test_sk_` where it is limited to sandbox. Older ones begin with `wb_live_`, tokens of the portal with `wb_pt_`.",
  }),
  last4: Type.String(),
  scopes: Type.Array(Type.String(), { description: "What it may do: docs/reference/access.md." }),
  app: Nullable(Type.String(), "The app whose events it sends and reads; null: all."),
  environment: Nullable(Environment, "The environment whose events it sends and reads; null: both."),
  source: Nullable(Type.String(), "The source whose events it sends and reads; null: all."),
  max_requests_per_minute: Nullable(Type.Integer(), "null: any number."),
  created_by: Nullable(Type.String(), "The API key or the person that made it; null for the first of a project."),
  created_at: Time,
  expires_at: Nullable(Time),
  revoked_at: Nullable(Time),
  last_used_at: Nullable(Type.String({ description: "To a few seconds." })),
  last_event_at: Nullable(Type.String({ description: "When it last sent an event, to a few seconds." })),
}

export const KeyView = Type.Object(view)
const key = Type.String({ description: "The key itself. It is shown this once." })
export const NewKeyView = Type.Object({ ...view, key })
export const RotatedKeyView = Type.Object({
  ...view,
  key,
  replaces: Type.Object({ id: Type.String(), expires_at: Time }, { description: "The old one, and when it ends." }),
})

const Name = KeptText({ minLength: 1, maxLength: 200 })
const End = Type.Optional(
  Nullable(Type.String({ format: "date-time" }), "When it ends; null: never. No later than the key that makes it."),
)
const quota = MaxRequests("null: any number.")

export const NewKey = Type.Object(
  {
    name: Name,
    kind: Type.Optional(
      Type.Unsafe<"secret">({
        type: "string",
        enum: ["secret"],
        default: "secret",
        "x-not-yet": {
          publishable: "Publishable keys are not built yet: make a secret key, and keep it out of apps and pages.",
          device: "Device keys are not built yet: make a secret key that is limited to an app, with the scope ingest.",
        },
      }),
    ),
    scopes: Type.Optional(
      Type.Array(Type.Enum([...scopeNames]), {
        maxItems: scopeNames.length,
        uniqueItems: true,
        description:
          '["ingest"] where it is left out. An empty list may see its project and how Waybill is doing, and nothing else.',
      }),
    ),
    app: Type.Optional(Nullable(AppName, "Limits it to events of an app, by its name.")),
    environment: Type.Optional(Nullable(Environment, "Limits it to events of an environment.")),
    source: Type.Optional(
      Nullable(
        KeptText({ minLength: 1, maxLength: 256 }),
        "Limits it to events of a source: `api`, or that of CloudEvents.",
      ),
    ),
    expires_at: End,
    max_requests_per_minute: quota,
  },
  { additionalProperties: false },
)
export type NewKey = Static<typeof NewKey>

export const ChangedKey = Type.Object(
  { name: Type.Optional(Name), expires_at: End, max_requests_per_minute: quota },
  { additionalProperties: false },
)
export type ChangedKey = Static<typeof ChangedKey>

export const RotateKey = Type.Object(
  {
    grace_seconds: Type.Optional(
      Type.Integer({
        minimum: 0,
        maximum: 2_592_000,
        default: 86_400,
        description: "How long the old one goes on, at most: no longer than it would have anyway. 0 ends it at once.",
      }),
    ),
    expires_at: End,
  },
  { additionalProperties: false },
)
export type RotateKey = Static<typeof RotateKey>
