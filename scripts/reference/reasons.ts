/** The page of reasons, from the table in src/domain: a section for each code, to which answers of the API link. */
import {
  type ClassMatch,
  type ColourRule,
  factMeanings,
  type ReasonCode,
  type ReasonRow,
  reasonCodes,
  type TriedAgain,
  type Wording,
} from "../../src/domain/reason.ts"
import { reasonTable } from "../../src/domain/reason-table.ts"
import { fill } from "../../src/domain/sentence.ts"
import { code, pageHead, table, text } from "./markdown.ts"

const intro = `Every delivery that has not been delivered, and every event that was withheld from an integration, carries one of these
reasons. Answers of the API fill its sentences with the facts of the case: the host, the status, the field, the next attempt.
Here they stand as they read without any.

| colour | meaning |
| --- | --- |
| plain | on its way |
| grey | nothing to do |
| amber | Waybill is still trying |
| red | someone has to act |`

const colours: Readonly<Record<ColourRule, string>> = {
  plain: "plain",
  grey: "grey",
  amber: "amber",
  red: "red",
  amber_then_red: "amber, red once it has failed",
  grey_then_red: "grey, red once it has failed",
}

const triedAgain: Readonly<Record<TriedAgain, string>> = {
  no: "no",
  yes: "yes",
  by_policy: "as the policy says",
  on_replay: "when a person retries it",
}

/** The page as Markdown; the anchor of a section is the reason's code. */
export function reasonsPage(): string {
  const index = table(
    ["reason", "title", "colour", "tried again by itself"],
    reasonCodes.map(reason => {
      const row = reasonTable[reason]
      return [`[${code(reason)}](#${reason})`, text(fill(row.title, {})), colours[row.colour], againOf(row)]
    }),
  )
  const facts = table(
    ["fact", "what it is"],
    Object.entries(factMeanings).map(([name, meaning]) => [code(name), text(meaning)]),
  )
  return [
    pageHead("Reasons", "src/domain/reason-*.ts", intro),
    index,
    ...reasonCodes.map(section),
    `## Facts\n\nWhat the sentences are filled with, where it is known.\n\n${facts}`,
  ].join("\n")
}

function section(reason: ReasonCode): string {
  const row: ReasonRow = reasonTable[reason]
  const lines = [
    `- Colour: ${colours[row.colour]}`,
    `- Tried again by itself: ${againOf(row)}`,
    ...(row.classes.length > 0 ? [`- Error classes: ${row.classes.map(classText).join(", ")}`] : []),
    ...settingLine(row),
  ]
  const words = `${sentences(row)}\n\n${lines.join("\n")}\n`
  return `## ${code(reason)}\n\n**${text(fill(row.title, {}))}.** ${words}${variants(row)}`
}

function againOf({ triedAgain: again }: ReasonRow): string {
  return again === null ? "–" : triedAgain[again]
}

function sentences({ what, causes, advice }: Wording): string {
  const part = (template: string) => text(fill(template, {}))
  return `${part(what)}\n\n*Likely causes:* ${part(causes)}\n\n*What to do:* ${part(advice)}`
}

/** Better words where a fact says more. */
function variants({ variants: found, ...row }: ReasonRow): string {
  if (found === undefined) return ""
  return Object.entries(found.wordings)
    .map(([value, wording]) => {
      const { title, ...rest } = { ...row, ...wording }
      const own = Object.keys(wording).some(key => key !== "title") ? `\n\n${sentences({ title, ...rest })}` : ""
      return `\n### ${code(`${found.by} ${value}`)}: ${text(fill(title, {}))}${own}\n`
    })
    .join("")
}

function settingLine({ setting }: ReasonRow): string[] {
  return setting === null
    ? []
    : [`- Mended in the integration at: ${code(fill(setting, { environment: "production" }))}`]
}

function classText(match: ClassMatch): string {
  return typeof match === "string" ? code(match) : `${code(match.class)} (${match.phases.join(", ")})`
}
