/**
 * The diagnosis of an integration: of all verdicts that a picture of it shows, the one that weighs most, and what else
 * holds beside it. Pure, so that every rule is a series in a test.
 *
 *     picture → findings → the first of the table that is not explained by another → words
 */
import type { Facts } from "./delivery.ts"
import { everythingFailing, failureSpike, sameHourDaily, scatteredFailures, severalInARow } from "./failure-verdicts.ts"
import type { Finding } from "./finding.ts"
import type { Picture } from "./picture.ts"
import type { Colour } from "./reason.ts"
import { reasonCodes } from "./reason.ts"
import { reasonTable } from "./reason-table.ts"
import { fill } from "./sentence.ts"
import { type VerdictCode, type VerdictWording, verdictCodes, verdictTable } from "./verdict-table.ts"
import {
  backlogGrowing,
  healthy,
  missingData,
  noEventArrived,
  noneMatched,
  ownMachine,
  paused,
  stuckInProcessing,
  switchedOff,
  unused,
  withheld,
} from "./verdicts.ts"

/** A finding in words. */
export interface Verdict extends Finding {
  readonly colour: Colour
  readonly title: string
  readonly what: string
  readonly causes: string
  readonly advice: string
  readonly questions: readonly string[]
}

export interface Diagnosis {
  readonly verdict: Verdict
  /** What else holds, in the order of its weight. */
  readonly also: readonly Verdict[]
}

const judges: Readonly<Record<VerdictCode, (picture: Picture) => Finding | null>> = {
  own_machine: ownMachine,
  switched_off: switchedOff,
  missing_data: missingData,
  withheld,
  everything_failing: everythingFailing,
  stuck_in_processing: stuckInProcessing,
  several_in_a_row: severalInARow,
  failure_spike: failureSpike,
  backlog_growing: backlogGrowing,
  same_hour_daily: sameHourDaily,
  no_event_arrived: noEventArrived,
  none_matched: noneMatched,
  paused,
  unused,
  scattered_failures: scatteredFailures,
  healthy,
}

/** Signs of an endpoint that fails. */
const ofEndpoint: readonly VerdictCode[] = [
  "everything_failing",
  "several_in_a_row",
  "failure_spike",
  "stuck_in_processing",
  "backlog_growing",
]
/** What is said only where nothing else is. */
const calm: readonly VerdictCode[] = ["unused", "scattered_failures", "healthy"]

/** What a verdict explains, so that it need not be said as well. */
const explains: Readonly<Partial<Record<VerdictCode, readonly VerdictCode[]>>> = {
  own_machine: ofEndpoint,
  switched_off: [
    ...ofEndpoint,
    "missing_data",
    "withheld",
    "no_event_arrived",
    "none_matched",
    "paused",
    "same_hour_daily",
  ],
  everything_failing: ["several_in_a_row", "failure_spike"],
  several_in_a_row: ["failure_spike"],
  stuck_in_processing: ["backlog_growing"],
  paused: ["backlog_growing"],
}

/** What is wrong with an integration, if anything, in the order of its weight. */
export function diagnose(picture: Picture): Diagnosis {
  const found = verdictCodes.flatMap(code => judges[code](picture) ?? [])
  const codes = found.filter(({ case: of }) => of !== "over").map(({ code }) => code)
  const isExplained = ({ code }: Finding) => codes.some(other => explains[other]?.includes(code) === true)
  const kept = found.filter(finding => !isExplained(finding))
  const troubles = kept.filter(({ code, case: of }) => !calm.includes(code) && of !== "over")
  const overs = kept.filter(({ case: of }) => of === "over")
  // What failed within a spike that is over needs no second word.
  const quiet = kept.filter(({ code }) => calm.includes(code) && !(code === "scattered_failures" && overs.length > 0))
  const [first = healthy(picture), ...rest] = [...troubles, ...quiet.slice(0, troubles.length === 0 ? 1 : 0), ...overs]
  return { verdict: inWords(first), also: rest.map(inWords) }
}

/** A finding in the words of the table. */
export function inWords(finding: Finding): Verdict {
  const { variants, questions, colour, ...usual } = verdictTable[finding.code]
  const variant = finding.case === undefined ? undefined : variants?.[finding.case]
  const wording: VerdictWording = { ...usual, ...variant, ...wordsOfReason(finding) }
  const facts: Facts = finding.facts
  return {
    ...finding,
    colour: variant?.colour ?? colour,
    title: fill(wording.title, facts),
    what: fill(wording.what, facts),
    causes: fill(wording.causes, facts),
    advice: fill(wording.advice, facts),
    questions,
  }
}

/** What is withheld is explained by its reason. */
function wordsOfReason({ code, facts }: Finding): Partial<VerdictWording> {
  const reason = reasonCodes.find(one => one === facts["reason"])
  if (code !== "withheld" || reason === undefined) return {}
  const { causes, advice } = reasonTable[reason]
  return { causes, advice }
}
