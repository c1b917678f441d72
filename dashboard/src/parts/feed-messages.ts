/** What a feed makes of the stream's messages: which are shown now and which wait, and what a row is once a delivery has moved. */

/** What is held back: nothing; new rows, while those that are shown go on changing; or all of it. */
export type Hold = "none" | "new" | "all"

/** So many messages are kept that are not shown yet; where more come the oldest are dropped, and the list has to be read again. */
export const MOST_HELD = 20_000

/** Messages that have come and are not shown yet, in the order in which they came. */
export class Backlog<Message> {
  #messages: Message[] = []
  #hasLost = false

  /** Those that wait. */
  get held(): readonly Message[] {
    return this.#messages
  }

  /** Whether some were dropped. */
  get hasLost(): boolean {
    return this.#hasLost
  }

  add(message: Message): void {
    this.#messages.push(message)
    if (this.#messages.length <= MOST_HELD) return
    this.#messages.shift()
    this.#hasLost = true
  }

  /**
   * Gives those that are shown now; the others go on waiting. Where rows that are shown change on, all that waits for one
   * comes before what came for it since: it would be put over it later on.
   */
  take(hold: Hold, isOfShownRow: (message: Message) => boolean): readonly Message[] {
    if (hold === "all") return []
    const due: Message[] = []
    const held: Message[] = []
    for (const message of this.#messages) (hold === "none" || isOfShownRow(message) ? due : held).push(message)
    this.#messages = held
    return due
  }

  clear(): void {
    this.#messages = []
    this.#hasLost = false
  }
}

type Colour = "plain" | "grey" | "amber" | "red"

/** What became of an event at an integration, as far as a move asks. */
export interface Outcome {
  readonly integration: { readonly id: string }
  readonly status: string
  readonly reason: { readonly colour: Colour } | null
  /** The code of the reason of a withholding that came by the stream, which brings no more of it. */
  readonly withheld_for?: string | undefined
}

/** An event, as far as a move asks. */
export interface Row {
  readonly status: "received" | "processing" | "delivered" | "retrying" | "failed"
  readonly counts: { readonly withheld_red: number }
  readonly outcomes: readonly Outcome[]
  readonly outcomes_left_out: number
}

/** An event's row once one of its deliveries has moved. `colourOf` knows the colour of a withholding for a reason. */
export function afterMove<R extends Row>(
  row: R,
  moved: R["outcomes"][number],
  colourOf: (code: string) => Colour | undefined,
): R {
  const before = row.outcomes.find(({ integration }) => integration.id === moved.integration.id)
  const outcomes =
    before === undefined
      ? [...row.outcomes, moved]
      : row.outcomes.map(outcome => (outcome === before ? moved : outcome))
  // Of an event with so many integrations not all is known here that its status is made of.
  if (row.outcomes_left_out > 0) return { ...row, outcomes }
  const red = row.counts.withheld_red + countsRed(moved, colourOf) - countsRed(before, colourOf)
  const counts = { ...row.counts, withheld_red: Math.max(red, 0) }
  return { ...row, outcomes, counts, status: statusOf(outcomes, counts.withheld_red) }
}

/** As the server counts it (`countOf` in src/store/move.ts): a withholding that someone has to act on. */
function countsRed(outcome: Outcome | undefined, colourOf: (code: string) => Colour | undefined): 0 | 1 {
  if (outcome?.status !== "withheld") return 0
  const { reason, withheld_for: code } = outcome
  const colour = reason?.colour ?? (code === undefined ? undefined : colourOf(code))
  return colour === "red" ? 1 : 0
}

/** As the server tells it (`eventStatus` in src/domain/event.ts). */
function statusOf(outcomes: readonly Outcome[], withheldRed: number): Row["status"] {
  const has = (...statuses: readonly string[]) => outcomes.some(({ status }) => statuses.includes(status))
  if (withheldRed > 0 || has("failed")) return "failed"
  if (has("retrying", "skipped")) return "retrying"
  if (has("pending", "sending")) return "processing"
  return has("delivered") ? "delivered" : "received"
}
