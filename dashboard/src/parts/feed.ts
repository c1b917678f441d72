/**
 * What comes while one looks on: the stream's events as rows, newest first, and what their attempts change in rows that are
 * shown already. Messages are taken in together, not one by one, so that hundreds a second cost no more than a few renderings.
 */
import { follow, type StreamMessage, WaybillProblem } from "waybill-sdk"
import { type Answer, credential, noticeEnd } from "../waybill.ts"
import { Drawings } from "./drawings.ts"
import { afterMove, Backlog, type Hold } from "./feed-messages.ts"
import type { OutcomeView } from "./outcome.tsx"
import type { ReasonView } from "./reason.tsx"

type Listed = Answer<"/v1/events">["data"][number]

/** An event of the feed, from a page of the list or from the stream. */
export type FeedEvent = Omit<Listed, "outcomes" | "outcomes_left_out"> & {
  /** Of a withholding that came by the stream, `withheld_for` is the code of the reason. */
  readonly outcomes: readonly (OutcomeView & { readonly withheld_for?: string })[]
  readonly outcomes_left_out: number
}

/** What of the stream's messages is read here; they are described in docs/reference/api.md. */
interface EventMessage extends Omit<Listed, "destination_records"> {
  readonly integrations: readonly string[]
  readonly withheld: readonly { readonly integration: string; readonly reason: string }[]
}
interface MoveMessage {
  readonly reason?: ReasonView | null
  readonly delivery: { readonly status: string }
  readonly integration: OutcomeView["integration"]
  readonly event: { readonly id: string }
}

/** What the page's own filters look at. */
export type FilteredBy = Pick<Listed, "status" | "source_record" | "external_id" | "received_at">

export interface FeedState {
  /** `closed`: it will not be tried again. */
  readonly connection: "connecting" | "open" | "broken" | "closed"
  readonly problem: WaybillProblem | null
  /** Those that came since it was opened, newest first. */
  readonly arrived: readonly FeedEvent[]
  /** Rows from before that have changed since, by id. */
  readonly changed: ReadonlyMap<string, FeedEvent>
  /** More came than are kept, so what lies between these and older pages is missing here. */
  readonly hasGap: boolean
  /** Events that have come and are held back. */
  readonly waiting: number
}

/** So many rows are kept. */
const MOST_ROWS = 2_000

const start: FeedState = {
  connection: "connecting",
  problem: null,
  arrived: [],
  changed: new Map(),
  hasGap: false,
  waiting: 0,
}

/** What the feed looks up. */
export interface Known {
  /** A row that came with a page of the list. */
  readonly find: (id: string) => FeedEvent | undefined
  readonly nameOf: (integration: string) => string | null
  /** The colour of a withholding for a reason; undefined while it is not known. */
  readonly colourOf: (reason: string) => ReasonView["colour"] | undefined
  /** Whether an event fits the page's own filters. */
  readonly fits: (event: FilteredBy) => boolean
}

export class Feed {
  #state: FeedState = start
  readonly #backlog = new Backlog<StreamMessage>()
  #hold: Hold = "none"
  #hasChanged = false
  readonly #listeners = new Set<() => void>()
  readonly #drawings = new Drawings(() => this.#flush(), {
    isHidden: () => document.hidden,
    requestFrame: draw => requestAnimationFrame(draw),
    cancelFrame: frame => cancelAnimationFrame(frame),
    now: () => performance.now(),
  })
  #known: Known = { find: () => undefined, nameOf: () => null, colourOf: () => undefined, fits: () => true }

  readonly subscribe = (listener: () => void): (() => void) => {
    this.#listeners.add(listener)
    return () => this.#listeners.delete(listener)
  }

  readonly state = (): FeedState => this.#state

  know(known: Known): void {
    this.#known = known
  }

  /** Follows the stream until the signal ends it. `onOpen` is told of the first connection, and where one may have missed something. */
  async run(query: Readonly<Record<string, string>>, signal: AbortSignal, onOpen: () => void): Promise<void> {
    let isFirst = true
    document.addEventListener("visibilitychange", () => this.#drawings.seenOtherwise(), { signal })
    try {
      const onState = (state: "open" | WaybillProblem) => {
        if (state !== "open") return this.#set({ connection: "broken", problem: state })
        this.#set({ connection: "open", problem: null })
        if (isFirst) onOpen()
        isFirst = false
      }
      for await (const message of follow({ ...credential, query, signal, onState })) {
        if (message.event === "reset") onOpen()
        else this.#take(message)
      }
    } catch (error) {
      if (signal.aborted) return
      noticeEnd(error)
      this.#set({ connection: "closed", problem: error instanceof WaybillProblem ? error : null })
    }
  }

  hold(hold: Hold): void {
    this.#hold = hold
    if (hold !== "all") this.#drawings.ask()
  }

  /** Forgets what came: the list is read anew. */
  restart(): void {
    this.#backlog.clear()
    this.#set({ arrived: [], changed: new Map(), hasGap: false, waiting: 0 })
  }

  /** Rows as they stand now, in place of what was made of the stream. */
  refresh(rows: readonly FeedEvent[]): void {
    if (this.#hold === "all") return
    const byId = new Map(rows.map(row => [row.id, row]))
    const changed = new Map(this.#state.changed)
    for (const row of rows) if (this.#known.find(row.id) !== undefined) changed.set(row.id, row)
    this.#set({ arrived: this.#state.arrived.map(row => byId.get(row.id) ?? row), changed })
  }

  /** Whether anything came since it was last asked. */
  takeChanged(): boolean {
    const has = this.#hasChanged
    this.#hasChanged = false
    return has
  }

  #take(message: StreamMessage): void {
    if (message.event !== "event" && message.event !== "attempt" && message.event !== "skip") return
    this.#backlog.add(message)
    this.#drawings.ask()
  }

  #flush(): void {
    const known = new Map(this.#state.arrived.map(row => [row.id, row]))
    const { find, colourOf } = this.#known
    const messages = this.#backlog.take(this.#hold, ({ event, data }) => {
      if (event === "event") return false
      const { id } = (data as MoveMessage).event
      return known.has(id) || find(id) !== undefined
    })
    const { waiting, hasGap } = this.#state
    const came: FeedEvent[] = []
    const moved = new Map<string, FeedEvent>()
    for (const { event, data } of messages) {
      if (event === "event") {
        const row = this.#rowOf(data as EventMessage)
        if (!known.has(row.id)) came.push(row)
        known.set(row.id, row)
      } else {
        const move = data as MoveMessage
        const { id } = move.event
        const row = moved.get(id) ?? known.get(id) ?? this.#state.changed.get(id) ?? find(id)
        if (row !== undefined) moved.set(id, afterMove(row, outcomeOf(move), colourOf))
      }
    }
    const stillWaiting = this.#backlog.held.filter(message => this.#isNew(message)).length
    const lost = this.#hold === "none" && this.#backlog.hasLost
    if (came.length + moved.size === 0 && stillWaiting === waiting && (hasGap || !lost)) return
    if (messages.length > 0) this.#hasChanged = true
    const all = [...came.reverse(), ...this.#state.arrived]
    const arrived = all.slice(0, MOST_ROWS).map(row => moved.get(row.id) ?? row)
    const older = [...moved].filter(([id]) => !known.has(id))
    const changed = older.length === 0 ? this.#state.changed : new Map([...this.#state.changed, ...older])
    this.#set({ arrived, changed, waiting: stillWaiting, hasGap: hasGap || lost || all.length > MOST_ROWS })
  }

  /** Whether a message that is held back is an event that would be shown. */
  #isNew({ event, data }: StreamMessage): boolean {
    return event === "event" && this.#known.fits(data as EventMessage)
  }

  #rowOf({ integrations, withheld, ...event }: EventMessage): FeedEvent {
    const named = (id: string) => ({ id, name: this.#known.nameOf(id), removed: false })
    return {
      ...event,
      destination_records: [],
      outcomes: [
        ...integrations.map(id => ({ integration: named(id), status: "pending", reason: null })),
        ...withheld.map(({ integration, reason }) => ({
          integration: named(integration),
          status: "withheld",
          reason: null,
          withheld_for: reason,
        })),
      ],
      outcomes_left_out: 0,
    }
  }

  #set(change: Partial<FeedState>): void {
    this.#state = { ...this.#state, ...change }
    for (const listener of this.#listeners) listener()
  }
}

function outcomeOf({ reason = null, delivery, integration }: MoveMessage): OutcomeView {
  return { integration, status: delivery.status, reason }
}
