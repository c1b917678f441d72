/** The page of connectors: the settings of each, from its schema. */
import { connectors } from "../../src/connectors/index.ts"
import { code, pageHead, text } from "./markdown.ts"
import { fieldTable, plainSchema } from "./schema.ts"

const intro = `A connector is the code for one kind of destination. Its settings are the \`config\` of an integration. Fields marked *secret*
are stored apart, sealed, and read as \`{"set": true}\`; sending that back leaves the value as it is.`

/** The page as Markdown. */
export function connectorsPage(): string {
  const sections = connectors.map(({ name, title, settings }) => {
    const schema = plainSchema(settings)
    const description = text(schema.description ?? "")
    return `## ${title}\n\n${code(`"connector": "${name}"`)}. ${description}\n\n${fieldTable(schema, "input")}`
  })
  return [pageHead("Connectors", "src/connectors/", intro), ...sections].join("\n")
}
