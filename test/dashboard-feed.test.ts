/** The feed of events in the dashboard: what is shown of what comes, when, and what becomes of a row. */
import assert from "node:assert/strict"
import { test } from "node:test"
import { Drawings } from "../dashboard/src/parts/drawings.ts"
import { afterMove, Backlog, MOST_HELD, type Row } from "../dashboard/src/parts/feed-messages.ts"
import { colourOf, type ReasonCode, reasonCodes } from "../src/domain/reason.ts"

test("a tab that is hidden while a frame is awaited goes on taking in what comes, and has frames again once it is seen", t => {
  t.mock.timers.enable({ apis: ["setTimeout"] })
  const screen = new Page()
  let drawn = 0
  const drawings = new Drawings(() => drawn++, screen)
  drawings.ask()
  screen.turn("hidden")
  drawings.seenOtherwise()
  t.mock.timers.tick(1_000)
  assert.equal(drawn, 1, "by the clock, as no frame comes")
  drawings.ask()
  screen.turn("seen")
  drawings.seenOtherwise()
  t.mock.timers.tick(100)
  screen.frame()
  assert.equal(drawn, 2)
  t.mock.timers.tick(60_000)
  screen.frame()
  assert.equal(drawn, 2, "what was taken back does not come as well")
})

test("a tab that is hidden between two drawings loses none; one that has nothing to draw is left in peace", t => {
  t.mock.timers.enable({ apis: ["setTimeout"] })
  const screen = new Page()
  let drawn = 0
  const drawings = new Drawings(() => drawn++, screen)
  drawings.ask()
  screen.frame()
  drawings.ask()
  screen.turn("hidden")
  drawings.seenOtherwise()
  t.mock.timers.tick(1_000)
  assert.equal(drawn, 2)
  screen.turn("seen")
  drawings.seenOtherwise()
  t.mock.timers.tick(60_000)
  screen.frame()
  assert.equal(drawn, 2)
})

test("however long nothing is drawn, no more than so many messages are kept, the last ones, and the page knows", () => {
  const backlog = new Backlog<number>()
  for (let n = 0; n < MOST_HELD; n++) backlog.add(n)
  assert.equal(backlog.hasLost, false)
  for (let n = 0; n < 5; n++) backlog.add(MOST_HELD + n)
  assert.equal(backlog.hasLost, true)
  const due = backlog.take("none", () => true)
  assert.deepEqual([due.length, due[0], due.at(-1)], [MOST_HELD, 5, MOST_HELD + 4])
})

test("resumed further down, a row that is shown goes through what it missed while all was paused, and is not put back later", () => {
  const backlog = new Backlog<{ readonly event: string; readonly status?: string }>()
  const isOfShownRow = ({ event, status }: { readonly event: string; readonly status?: string }) =>
    event === "shown" && status !== undefined
  const missed = { event: "shown", status: "retrying" }
  const fresh = { event: "new" }
  const since = { event: "shown", status: "delivered" }
  backlog.add(missed)
  backlog.add(fresh)
  assert.deepEqual(backlog.take("all", isOfShownRow), [], "all is paused")
  backlog.add(since)
  assert.deepEqual(backlog.take("new", isOfShownRow), [missed, since], "in the order in which it happened")
  assert.deepEqual(backlog.held, [fresh])
  assert.deepEqual(backlog.take("none", isOfShownRow), [fresh], "the new event alone is left")
})

/** As `GET /v1/reasons` gives it with each reason. */
const colours = new Map<string, ReturnType<typeof colourOf>>(reasonCodes.map(code => [code, colourOf(code, "failed")]))
const colourOfCode = (code: string) => colours.get(code)

const shop = { integration: { id: "int_shop" } }
const crm = { integration: { id: "int_crm" } }
const delivered = { status: "delivered", reason: null }
const pending = { status: "pending", reason: null }

/** A withholding as the list gives it, with its reason; or as the stream does, with its code only. */
const asListed = (code: ReasonCode) => ({
  status: "withheld",
  reason: { colour: colourOf(code, "withheld") },
})
const asStreamed = (code: ReasonCode) => ({ status: "withheld", reason: null, withheld_for: code })

for (const [where, withheld] of [
  ["from the list", asListed],
  ["from the stream", asStreamed],
] as const) {
  const row: Row = {
    status: "failed",
    counts: { withheld_red: 1 },
    outcomes: [
      { ...shop, ...withheld("missing_data") },
      { ...crm, ...withheld("filtered") },
    ],
    outcomes_left_out: 0,
  }

  test(`an event that was withheld and then recovered is no longer shown as failed: ${where}`, () => {
    const recovered = afterMove(row, { ...shop, ...delivered }, colourOfCode)
    assert.deepEqual([recovered.status, recovered.counts.withheld_red], ["delivered", 0])
  })

  test(`an event that someone has to act on elsewhere stays failed: ${where}`, () => {
    const moved = afterMove(row, { ...crm, ...delivered }, colourOfCode)
    assert.deepEqual([moved.status, moved.counts.withheld_red], ["failed", 1])
  })
}

test("an event that is withheld only once it is tried is shown as failed, however often that is told, until it is delivered", () => {
  const row: Row = {
    status: "processing",
    counts: { withheld_red: 0 },
    outcomes: [{ ...shop, ...pending }],
    outcomes_left_out: 0,
  }
  const held = { ...shop, ...asListed("missing_data") }
  const once = afterMove(row, held, colourOfCode)
  const twice = afterMove(once, held, colourOfCode)
  assert.deepEqual([once.status, twice.status, twice.counts.withheld_red], ["failed", "failed", 1])
  assert.equal(afterMove(twice, { ...shop, ...delivered }, colourOfCode).status, "delivered")
})

/** A page in a browser: frames come where it is seen. */
class Page {
  #isSeen = true
  #frames = new Map<number, () => void>()
  #asked = 0
  readonly isHidden = () => !this.#isSeen
  readonly now = () => 0
  readonly cancelFrame = (frame: number) => void this.#frames.delete(frame)

  readonly requestFrame = (draw: () => void): number => {
    this.#frames.set(++this.#asked, draw)
    return this.#asked
  }

  turn(to: "seen" | "hidden"): void {
    this.#isSeen = to === "seen"
  }

  frame(): void {
    if (!this.#isSeen) return
    const frames = [...this.#frames.values()]
    this.#frames.clear()
    for (const draw of frames) draw()
  }
}
