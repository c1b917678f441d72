/**
 * Writes docs/reference/ from the tables in the sources: settings, reasons, verdicts, policies, problems, connectors, who may do what, the API and
 * the command line. `npm run docs`; test/reference.test.ts fails where what is committed differs from what this gives.
 */
import { mkdirSync, writeFileSync } from "node:fs"
import { dirname, join } from "node:path"
import { makeProgram } from "../src/commands/program.ts"
import { Terminal } from "../src/commands/terminal.ts"
import { accessPage } from "./reference/access.ts"
import { apiPage, openapiDocument, openapiText } from "./reference/api.ts"
import { cliPage } from "./reference/cli.ts"
import { connectorsPage } from "./reference/connectors.ts"
import { operationalPage } from "./reference/operational.ts"
import { policiesPage } from "./reference/policies.ts"
import { problemsPage } from "./reference/problems.ts"
import { reasonsPage } from "./reference/reasons.ts"
import { settingsPage } from "./reference/settings.ts"
import { verdictsPage } from "./reference/verdicts.ts"

/** Every generated file by its path from the root of the tree, with its text. */
export async function referenceFiles(): Promise<ReadonlyMap<string, string>> {
  const document = await openapiDocument()
  return new Map([
    ["docs/reference/settings.md", settingsPage()],
    ["docs/reference/reasons.md", reasonsPage()],
    ["docs/reference/verdicts.md", verdictsPage()],
    ["docs/reference/policies.md", policiesPage()],
    ["docs/reference/operational-events.md", operationalPage()],
    ["docs/reference/connectors.md", connectorsPage()],
    ["docs/reference/problems.md", problemsPage()],
    ["docs/reference/access.md", accessPage(document)],
    ["docs/reference/api.md", apiPage(document)],
    ["docs/reference/openapi.json", openapiText(document)],
    ["docs/reference/cli.md", cliPage(makeProgram(new Terminal(() => 0)))],
  ])
}

if (import.meta.main) {
  for (const [path, text] of await referenceFiles()) {
    const file = join(import.meta.dirname, "..", path)
    mkdirSync(dirname(file), { recursive: true })
    writeFileSync(file, text)
    console.log(path)
  }
}
