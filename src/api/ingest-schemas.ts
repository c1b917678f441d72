/** Bodies of ingest, for the OpenAPI document: what the readers in src/sources take. A test holds the two together. */
import { Type } from "typebox"
import { AppName } from "./apps.ts"
import { Environment } from "./schemas.ts"

const Key = (description: string) => Type.Optional(Type.String({ minLength: 1, maxLength: 256, description }))

/** One event in Waybill's own form. */
export const EventBody = Type.Object(
  {
    type: Type.String({
      pattern: "^[!-~]{1,128}$",
      "x-hint": "must be 1 to 128 printable ASCII characters without space",
      examples: ["subscription_renewed"],
    }),
    data: Type.Optional(Type.Unknown({ description: "Any JSON value; kept and sent byte for byte." })),
    id: Key("Your own id of the event, unique per source: a repeat is recognised by it."),
    occurred_at: Type.Optional(
      Type.String({ format: "date-time", description: "When it happened; now where it is left out." }),
    ),
    environment: Type.Optional(Environment),
    app: Type.Optional(AppName),
    profile_id: Key("The customer behind the event."),
    device_id: Key("The device that it came from."),
    source_record: Key("The record in the source system."),
    ordering_key: Key("Events with the same key belong in one order."),
    historical: Type.Optional(Type.Boolean({ description: "Imported history: stored for search, delivered nowhere." })),
  },
  { additionalProperties: false },
)

/** Up to 1,000 events. */
export const BatchBody = Type.Object(
  { events: Type.Array(EventBody, { maxItems: 1_000 }) },
  { additionalProperties: false },
)
