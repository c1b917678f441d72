/** The page of verdicts, from the table in src/domain: a section for each code, to which a diagnosis links. */

import { MINUTE_MS } from "../../src/domain/duration.ts"
import { limits } from "../../src/domain/finding.ts"
import { fill } from "../../src/domain/sentence.ts"
import { type VerdictCode, type VerdictRow, verdictCodes, verdictTable } from "../../src/domain/verdict-table.ts"
import { code, pageHead, table, text } from "./markdown.ts"

const intro = `A diagnosis (\`GET /v1/integrations/{id}/diagnosis\`, \`waybill integrations diagnose\`) gives one of these verdicts: the one that
weighs most, first in this list, and beside it what else holds. Its sentences are filled with the facts of the case, which stand under
\`evidence\` as well; here they read as they do without any.

| colour | meaning |
| --- | --- |
| plain | all is well |
| grey | nothing to do, but know it |
| amber | look at it |
| red | someone has to act |`

/** What makes each verdict hold. */
const rules: Readonly<Record<VerdictCode, string>> = {
  own_machine:
    "Since anything was last reached, all attempts failed before there was a connection; at least two hosts that had worked began to fail within 10 min of each other. Or the system itself says that it cannot send.",
  switched_off: "The integration is off.",
  missing_data: `Events of the last 24 hours were withheld as \`missing_data\`, and nothing later got through: all, or at least ${limits.withheld.count} and ${limits.withheld.share * 100} %.`,
  withheld: "The same for any other reason that someone has to act on.",
  everything_failing: `Not one success in at least ${limits.all.attempts} attempts at ${limits.all.events} events over ${limits.all.forMs / MINUTE_MS} min; or in ${limits.all.fewAttempts} at ${limits.all.fewEvents} events over ${limits.all.fewForMs / MINUTE_MS / 60} h, or ever.`,
  stuck_in_processing: `Something has been due for more than ${limits.stuckMs / MINUTE_MS} min. What waits by rule is never stuck: paused, resting, held by a rate, behind another of its ordering key.`,
  several_in_a_row: `The last ${limits.row.attempts} attempts at ${limits.row.events} events, or ${limits.row.attemptsAtFewer} at fewer, failed with the same reason, status and message.`,
  failure_spike: `In an hour of the last ${limits.spike.lookBackHours} at least ${limits.spike.errors} attempts and ${limits.spike.share * 100} % of them failed, ${limits.spike.timesUsual} times as many as in the week before. It is over after two hours without, or once the last ${limits.spike.calm} attempts got through.`,
  backlog_growing: `At least ${limits.backlog.waiting} deliveries wait, and half of them are more than ${limits.backlog.hours} hours ago.`,
  same_hour_daily: `At the same hour (UTC) of ${limits.daily.days} days in a row at least ${limits.daily.errors} attempts and ${limits.daily.share * 100} % of them failed, at other hours less than a quarter of that share.`,
  no_event_arrived:
    "For a whole hour or longer no event came, though at these hours of at least three other days events did, on four of five of them, and on the same weekday of other weeks. A quiet night or Sunday is none.",
  none_matched: `The same while events did come in; or ${limits.unmatched} came in and none has ever been for this integration.`,
  paused: "The integration is paused.",
  unused: "No event has come for it in three weeks.",
  scattered_failures: "Some attempts of the last 24 hours failed, and none of the above holds.",
  healthy: "None of the above holds.",
}

/** The page as Markdown; the anchor of a section is the verdict's code. */
export function verdictsPage(): string {
  const index = table(
    ["verdict", "title", "colour", "when"],
    verdictCodes.map(verdict => {
      const row = verdictTable[verdict]
      return [`[${code(verdict)}](#${verdict})`, text(fill(row.title, {})), coloursOf(row), text(rules[verdict])]
    }),
  )
  return [pageHead("Verdicts", "src/domain/verdict-table.ts", intro), index, ...verdictCodes.map(section)].join("\n")
}

function section(verdict: VerdictCode): string {
  const { variants = {}, ...row }: VerdictRow = verdictTable[verdict]
  const questions = row.questions.map(question => `- ${text(question)}`).join("\n")
  const cases = Object.entries(variants).map(([value, wording]) => {
    const own = Object.keys(wording).some(key => key !== "title" && key !== "colour")
    const all = { ...row, ...wording }
    return `\n### ${code(`case ${value}`)}: ${text(fill(all.title, {}))}${own ? `\n\n${sentences(all)}` : ""}\n`
  })
  const head = `## ${code(verdict)}\n\n**${text(fill(row.title, {}))}.** ${sentences(row)}\n`
  return `${head}${questions === "" ? "" : `\n${questions}\n`}\n- Colour: ${coloursOf({ ...row, variants })}\n- When: ${text(rules[verdict])}\n${cases.join("")}`
}

function sentences({ what, causes, advice }: Pick<VerdictRow, "what" | "causes" | "advice">): string {
  const part = (template: string) => text(fill(template, {}))
  return [
    part(what),
    ...(causes === "" ? [] : [`*Likely causes:* ${part(causes)}`]),
    `*What to do:* ${part(advice)}`,
  ].join("\n\n")
}

function coloursOf({ colour, variants = {} }: VerdictRow): string {
  const others = Object.values(variants).flatMap(variant => variant.colour ?? [])
  return [...new Set([colour, ...others])].join(" or ")
}
