/**
 * Writes sdk/src/api.d.ts, the types of the API, from its OpenAPI document. `npm run sdk`; test/sdk.test.ts fails where the
 * document is another than the one that the types were made from. The generator is the SDK's own development dependency.
 */
import { spawnSync } from "node:child_process"
import { createHash } from "node:crypto"
import { existsSync, readFileSync, writeFileSync } from "node:fs"
import { join } from "node:path"

const root = join(import.meta.dirname, "..")
const folder = join(root, "sdk")
const document = join(root, "docs/reference/openapi.json")

/** The first line of the types: what they were made from. */
export function headOf(text: string): string {
  return `// Made by \`npm run sdk\` from the OpenAPI document with the SHA-256 ${createHash("sha256").update(text).digest("hex")}.\n`
}

if (import.meta.main) {
  if (!existsSync(join(folder, "node_modules/openapi-typescript"))) {
    run("npm", ["ci", "--no-audit", "--no-fund", "--loglevel=error"])
  }
  const made = join(folder, "src/api.d.ts")
  run(process.execPath, [join("node_modules/openapi-typescript/bin/cli.js"), document, "--output", made])
  writeFileSync(made, headOf(readFileSync(document, "utf8")) + readFileSync(made, "utf8"))
}

function run(command: string, args: readonly string[]): void {
  const { status } = spawnSync(command, args, { cwd: folder, stdio: ["ignore", "ignore", "inherit"] })
  if (status === 0) return
  console.error("The types could not be made: see above.")
  process.exit(1)
}
