/** `GET /v1/reasons`: every reason in words, to choose one by, to look one up, or to explain one in a language of one's own. */
import type { FastifyInstance } from "fastify"
import { type Static, Type } from "typebox"
import { colourOf, type ReasonRow, reasonCodes, triedAgainMeanings, type Wording } from "../domain/reason.ts"
import { reasonTable } from "../domain/reason-table.ts"
import { fill } from "../domain/sentence.ts"
import { ReasonView } from "./reasons.ts"
import { Nullable, responses } from "./schemas.ts"

const { code, title, colour, what, causes, advice } = ReasonView.properties
const words = { title, what, causes, advice }

const KnownReason = Type.Object({
  code,
  ...words,
  colour: Type.Enum(colour.enum, { description: "Of a delivery that is still on its way." }),
  colour_failed: Type.Enum(colour.enum, { description: "Of one that has failed, or that was withheld." }),
  tried_again: Nullable(
    Type.Enum(["no", "yes", "by_policy", "on_replay"]),
    "Whether Waybill makes another attempt by itself; null for what was not tried yet.",
  ),
  outlook: Type.String({ description: "The same in a sentence." }),
  variants: Type.Array(
    Type.Object({
      ...words,
      fact: Type.String({ description: "The fact that brings about these words …" }),
      value: Type.String({ description: "… where it is this." }),
    }),
    { description: "Better words where more is known." },
  ),
})

const ReasonsView = Type.Object({ data: Type.Array(KnownReason), next_cursor: Type.Null() })

export function reasonListRoutes(server: FastifyInstance): void {
  const list: Static<typeof ReasonsView> = { data: reasonCodes.map(viewOf), next_cursor: null }
  server.get(
    "/v1/reasons",
    {
      config: { scope: "any", portal: true },
      schema: {
        operationId: "listReasons",
        summary: "Says what each reason means and what to do about it",
        description: "The sentences stand here as they read without the facts of a case.",
        tags: ["deliveries"],
        response: responses({ 200: ReasonsView }, 401),
      },
    },
    async () => list,
  )
}

function viewOf(reason: (typeof reasonCodes)[number]): Static<typeof KnownReason> {
  const row: ReasonRow = reasonTable[reason]
  const variants = Object.entries(row.variants?.wordings ?? {})
  return {
    code: reason,
    ...inWords(row),
    colour: colourOf(reason, "retrying"),
    colour_failed: colourOf(reason, "failed"),
    tried_again: row.triedAgain,
    outlook: row.triedAgain === null ? "It goes out by itself." : triedAgainMeanings[row.triedAgain],
    variants: variants.map(([value, wording]) => ({
      fact: row.variants?.by ?? "",
      value,
      ...inWords({ ...row, ...wording }),
    })),
  }
}

function inWords(wording: Wording): Pick<Static<typeof KnownReason>, keyof typeof words> {
  return {
    title: fill(wording.title, {}),
    what: fill(wording.what, {}),
    causes: fill(wording.causes, {}),
    advice: fill(wording.advice, {}),
  }
}
