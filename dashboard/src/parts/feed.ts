/**
 * What comes while one looks on: the stream's events as rows, newest first, and what their attempts change in rows that are
 * shown already. Messages are taken in together, not one by one, so that hundreds a second cost no more than a few renderings.
 */
import { follow, type StreamMessage, WaybillProblem } from "waybill-sdk"
import { type Answer, credential, noticeEnd } from "../waybill.ts"
import type { OutcomeView } from "./outcome.tsx"
import type { ReasonView } from "./reason.tsx"

type Listed = Answer<"/v1/events">["data"][number]

/** An event of the feed, from a page of the list or from the stream. */
export type FeedEvent = Omit<Listed, "outcomes" | "outcomes_left_out"> & {
  readonly outcomes: readonly OutcomeView[]
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
/** So many messages are held back; where more come the oldest are dropped, and the list has to be read again. */
const MOST_HELD = 20_000
/** Renderings are so far apart, and further where they take long: most of the time is left to the reader. */
const APART_MS = { least: 100, most: 600, perMs: 4 } as const

const start: FeedState = {
  connection: "connecting",
  problem: null,
  arrived: [],
  changed: new Map(),
  hasGap: false,
  waiting: 0,
}

/** What is held back: nothing; new rows, while those that are shown go on changing; or all of it. */
export type Hold = "none" | "new" | "all"

export class Feed {
  #state: FeedState = start
  #messages: StreamMessage[] = []
  /** Those that have come and are not shown yet. */
  #held: StreamMessage[] = []
  #hold: Hold = "none"
  #hasLost = false
  #isScheduled = false
  #flushedAt = 0
  #apartMs: number = APART_MS.least
  #hasChanged = false
  readonly #listeners = new Set<() => void>()
  /** Looks a row up that came with a page of the list. */
  #find: (id: string) => FeedEvent | undefined = () => undefined
  #nameOf: (integration: string) => string | null = () => null
  #fits: (event: FilteredBy) => boolean = () => true

  readonly subscribe = (listener: () => void): (() => void) => {
    this.#listeners.add(listener)
    return () => this.#listeners.delete(listener)
  }

  readonly state = (): FeedState => this.#state

  know(
    find: (id: string) => FeedEvent | undefined,
    nameOf: (integration: string) => string | null,
    fits: (event: FilteredBy) => boolean,
  ): void {
    this.#find = find
    this.#nameOf = nameOf
    this.#fits = fits
  }

  /** Follows the stream until the signal ends it. `onOpen` is told of the first connection, and where one may have missed something. */
  async run(query: Readonly<Record<string, string>>, signal: AbortSignal, onOpen: () => void): Promise<void> {
    let isFirst = true
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
    if (hold === "none") this.#schedule()
  }

  /** Forgets what came: the list is read anew. */
  restart(): void {
    this.#messages = []
    this.#held = []
    this.#hasLost = false
    this.#set({ arrived: [], changed: new Map(), hasGap: false, waiting: 0 })
  }

  /** Rows as they stand now, in place of what was made of the stream. */
  refresh(rows: readonly FeedEvent[]): void {
    if (this.#hold === "all") return
    const byId = new Map(rows.map(row => [row.id, row]))
    const changed = new Map(this.#state.changed)
    for (const row of rows) if (this.#find(row.id) !== undefined) changed.set(row.id, row)
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
    this.#messages.push(message)
    this.#schedule()
  }

  /** With the next frame; a page that is not seen has none. */
  #schedule(): void {
    if (this.#isScheduled) return
    this.#isScheduled = true
    const flush = () => {
      this.#isScheduled = false
      const at = performance.now()
      this.#flush()
      this.#flushedAt = performance.now()
      const apart = (this.#flushedAt - at) * APART_MS.perMs
      this.#apartMs = Math.min(Math.max(apart, APART_MS.least), APART_MS.most)
    }
    const waitMs = this.#flushedAt + this.#apartMs - performance.now()
    if (document.hidden) setTimeout(flush, 500)
    else if (waitMs > 0) setTimeout(() => requestAnimationFrame(flush), waitMs)
    else requestAnimationFrame(flush)
  }

  #flush(): void {
    const messages = this.#hold === "none" ? [...this.#held.splice(0), ...this.#messages.splice(0)] : this.#kept()
    const { waiting, hasGap } = this.#state
    const came: FeedEvent[] = []
    const moved = new Map<string, FeedEvent>()
    const known = new Map(this.#state.arrived.map(row => [row.id, row]))
    for (const { event, data } of messages) {
      if (event === "event") {
        const row = this.#rowOf(data as EventMessage)
        if (!known.has(row.id)) came.push(row)
        known.set(row.id, row)
      } else {
        const move = data as MoveMessage
        const { id } = move.event
        const row = moved.get(id) ?? known.get(id) ?? this.#state.changed.get(id) ?? this.#find(id)
        if (row !== undefined) moved.set(id, afterMove(row, move))
      }
    }
    const stillWaiting = this.#hold === "none" ? 0 : this.#held.filter(message => this.#isNew(message)).length
    if (came.length + moved.size === 0 && stillWaiting === waiting) return
    if (messages.length > 0) this.#hasChanged = true
    const all = [...came.reverse(), ...this.#state.arrived]
    const arrived = all.slice(0, MOST_ROWS).map(row => moved.get(row.id) ?? row)
    const older = [...moved].filter(([id]) => !known.has(id))
    const changed = older.length === 0 ? this.#state.changed : new Map([...this.#state.changed, ...older])
    const lost = this.#hold === "none" && this.#hasLost
    this.#set({ arrived, changed, waiting: stillWaiting, hasGap: hasGap || lost || all.length > MOST_ROWS })
  }

  /** Takes in what came while something is held back; gives what is to be shown all the same. */
  #kept(): StreamMessage[] {
    const rows = new Set(this.#state.arrived.map(({ id }) => id))
    const shown: StreamMessage[] = []
    for (const message of this.#messages.splice(0)) {
      const isOfShown = message.event !== "event" && this.#isShown(rows, (message.data as MoveMessage).event.id)
      if (this.#hold === "new" && isOfShown) shown.push(message)
      else this.#held.push(message)
    }
    if (this.#held.length > MOST_HELD) {
      this.#held.splice(0, this.#held.length - MOST_HELD)
      this.#hasLost = true
    }
    return shown
  }

  #isShown(rows: ReadonlySet<string>, id: string): boolean {
    return rows.has(id) || this.#find(id) !== undefined
  }

  /** Whether a message that is held back is an event that would be shown. */
  #isNew({ event, data }: StreamMessage): boolean {
    return event === "event" && this.#fits(data as EventMessage)
  }

  #rowOf({ integrations, withheld, ...event }: EventMessage): FeedEvent {
    const named = (id: string) => ({ id, name: this.#nameOf(id), removed: false })
    return {
      ...event,
      destination_records: [],
      outcomes: [
        ...integrations.map(id => ({ integration: named(id), status: "pending", reason: null })),
        ...withheld.map(({ integration }) => ({ integration: named(integration), status: "withheld", reason: null })),
      ],
      outcomes_left_out: 0,
    }
  }

  #set(change: Partial<FeedState>): void {
    this.#state = { ...this.#state, ...change }
    for (const listener of this.#listeners) listener()
  }
}

/** An event once one of its deliveries has moved. */
function afterMove(row: FeedEvent, { reason = null, delivery, integration }: MoveMessage): FeedEvent {
  const moved: OutcomeView = { integration, status: delivery.status, reason }
  const isKnown = row.outcomes.some(outcome => outcome.integration.id === integration.id)
  const outcomes = isKnown
    ? row.outcomes.map(outcome => (outcome.integration.id === integration.id ? moved : outcome))
    : [...row.outcomes, moved]
  if (row.outcomes_left_out > 0) return { ...row, outcomes }
  return { ...row, outcomes, status: statusOf(outcomes, row.counts.withheld_red) }
}

/** As the server tells it (`eventStatus` in src/domain/event.ts). */
function statusOf(outcomes: readonly OutcomeView[], withheldRed: number): FeedEvent["status"] {
  const has = (...statuses: readonly string[]) => outcomes.some(({ status }) => statuses.includes(status))
  if (withheldRed > 0 || has("failed")) return "failed"
  if (has("retrying", "skipped")) return "retrying"
  if (has("pending", "sending")) return "processing"
  return has("delivered") ? "delivered" : "received"
}
