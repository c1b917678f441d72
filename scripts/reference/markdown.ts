/** Markdown from data: what comes from a table is text, so that nothing in it is taken for markup by accident. */

/** The top of a generated page. `source` is where to change what it says. */
export function pageHead(title: string, source: string, intro: string): string {
  return `<!-- Written by npm run docs from ${source}: change it there. -->\n# ${title}\n\n${intro}\n`
}

/** A table; cells are Markdown of one line. */
export function table(heads: readonly string[], rows: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]) => `| ${cells.map(inCell).join(" | ")} |\n`
  return line(heads) + line(heads.map(() => "---")) + rows.map(line).join("")
}

/** Text as code; nothing for the empty text. */
export function code(value: string | number): string {
  const given = String(value)
  if (given === "") return ""
  return given.includes("`") ? `\`\` ${given} \`\`` : `\`${given}\``
}

/** Plain text with what Markdown and HTML would act on taken for what it is. Code spans that it holds stay. */
export function text(plain: string): string {
  return plain
    .split(/(`[^`]*`)/)
    .map(part => (part.startsWith("`") ? part : part.replace(/[<>*\\]/g, found => escapes[found] ?? found)))
    .join("")
}

const escapes: Readonly<Record<string, string>> = { "<": "&lt;", ">": "&gt;", "*": "\\*", "\\": "\\\\" }

function inCell(cell: string): string {
  return cell.replaceAll("|", "\\|").replaceAll("\n", " ")
}
