/** `GET /v1/connectors`: the kinds of destinations, with all that a form for a new integration is drawn from. */
import type { FastifyInstance } from "fastify"
import { type Static, type TSchema, Type } from "typebox"
import { connectors } from "../connectors/index.ts"
import {
  type PresetName,
  policyToJson,
  presetNames,
  presets,
  presetVerification,
  presetWords,
} from "../domain/policy.ts"
import { EventRules, Options, PolicyIn, PolicyOut } from "./integration-schemas.ts"
import { responses } from "./schemas.ts"

const SchemaView = (description: string) =>
  Type.Unsafe<Record<string, unknown>>({ type: "object", additionalProperties: true, description })

const ConnectorView = Type.Object({
  name: Type.String({ description: "What `connector` of an integration says.", examples: ["webhook"] }),
  title: Type.String(),
  description: Type.String({ description: "What it does, in a sentence." }),
  docs: Type.String({ description: "Where its settings are described.", examples: ["docs/reference/connectors.md"] }),
  verifies: Type.Boolean({ description: "Whether its endpoints have to show that they are there." }),
  settings: SchemaView(
    "JSON Schema of `config`. Secrets have `secret: true`; `x-not-yet` names what is refused, and why.",
  ),
})

const PresetView = Type.Object({
  name: Type.Enum([...presetNames]),
  title: Type.String(),
  description: Type.String({ description: "Whose ways they are, and for what they are right." }),
  verification: Type.String({ description: "The `config.verification` that goes with it, where none is given." }),
  policy: PolicyOut,
})

const CatalogueView = Type.Object({
  data: Type.Array(ConnectorView, { description: "In the order in which people are offered them." }),
  presets: Type.Array(PresetView, { description: "Policies to begin with, the default first." }),
  schemas: Type.Object(
    {
      events: SchemaView("Of `events`."),
      options: SchemaView("Of `options`."),
      policy: SchemaView("Of `policy`."),
    },
    { description: "JSON Schemas of the parts of an integration that are the same for all connectors." },
  ),
  next_cursor: Type.Null(),
})

export function connectorRoutes(server: FastifyInstance): void {
  const catalogue = makeCatalogue()
  server.get(
    "/v1/connectors",
    {
      config: { scope: "integrations:read", portal: true },
      schema: {
        operationId: "listConnectors",
        summary: "Shows the connectors with their settings, and the presets of policies",
        tags: ["integrations"],
        response: responses({ 200: CatalogueView }, 401),
      },
    },
    async () => catalogue,
  )
}

function makeCatalogue(): Static<typeof CatalogueView> {
  return {
    data: connectors.map(({ name, title, settings, verification }) => ({
      name,
      title,
      description: String(plain(settings)["description"] ?? ""),
      docs: `docs/reference/connectors.md#${name}`,
      verifies: verification !== undefined,
      settings: plain(settings),
    })),
    presets: presetNames.map(viewOfPreset),
    schemas: { events: plain(EventRules), options: plain(Options), policy: plain(PolicyIn) },
    next_cursor: null,
  }
}

function viewOfPreset(name: PresetName): Static<typeof PresetView> {
  const policy = policyToJson(presets[name])
  return {
    name,
    ...presetWords[name],
    verification: presetVerification[name],
    policy: { ...policy, retry_delays_ms: [...policy.retry_delays_ms] },
  }
}

/** As JSON: without what TypeBox keeps beside it. */
function plain(schema: TSchema): Record<string, unknown> {
  return JSON.parse(JSON.stringify(schema)) as Record<string, unknown>
}
