/** The page of operational events, from the table in src/domain: a section for each type. */
import { operationalTypeNames, operationalTypes } from "../../src/domain/operational-types.ts"
import { code, pageHead, text } from "./markdown.ts"
import { fieldTable, plainSchema } from "./schema.ts"

const intro = `What Waybill itself says of integrations and deliveries. An operational event is an event as any other: it stands in the history,
goes over the stream, and is delivered, signed, to every integration that asks for it by its type or by the prefix \`waybill.*\`.
\`default\` and a bare \`*\` never match it. Its \`source\` is \`waybill\`. How to set that up:
[Be told when something fails](../be-told.md).

Events that name an endpoint or a delivery carry its environment, all others \`production\`. \`waybill.delivery.failed\` carries the app
of the event that failed; the others carry none, so that an integration that is limited to some apps does not get them. The
\`ordering_key\` is the id of the integration that it is about.

They are accepted in the same commit as what caused them. What becomes of the delivery of an operational event causes no other one:
it stands in the history, and switching off for a 410 or a long failure happens all the same, and is mailed.`

/** The page as Markdown. */
export function operationalPage(): string {
  return [
    pageHead("Operational events", "src/domain/operational-types.ts", intro),
    ...operationalTypeNames.map(section),
  ].join("\n")
}

function section(type: (typeof operationalTypeNames)[number]): string {
  const { description, schema, example } = operationalTypes[type]
  const data = JSON.stringify(example, null, 2)
  return `## ${code(type)}\n\n${text(description)}\n\n${fieldTable(plainSchema(schema), "output")}\n\`\`\`json\n${data}\n\`\`\`\n`
}
