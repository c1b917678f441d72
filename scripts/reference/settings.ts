/** The page of settings, from the table in src/config.ts. */
import { type Setting, settings } from "../../src/config.ts"
import { code, pageHead, table, text } from "./markdown.ts"

const intro = `All settings are optional. Each is an environment variable and a flag of \`waybill serve\`; the flag wins, an empty value
counts as unset. A wrong value, or a variable that begins with \`WAYBILL_\` and is not listed here, stops the start with a
sentence that says so; nothing is changed on disk then.

The commands that talk to a running server read two variables: \`WAYBILL_URL\` (default \`http://127.0.0.1:8080\`) and
\`WAYBILL_API_KEY\`.`

/** The page as Markdown. */
export function settingsPage(): string {
  const rows = Object.values(settings).map(({ variable, flag, value, fallback, sentence }: Setting) => [
    code(variable),
    code(`${flag} ${value}`.trimEnd()),
    fallback === "" ? "unset" : code(fallback),
    text(sentence),
  ])
  return `${pageHead("Settings", "src/config.ts", intro)}\n${table(["variable", "flag", "default", "what it does"], rows)}`
}
