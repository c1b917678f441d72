/**
 * What happened, to whoever listens: accepted events, attempts, changes of the configuration, each after the commit
 * that holds it. The feed is a hint; the store is the truth, and a listener that comes back reads from there.
 */
import type { Event, Withheld } from "../domain/event.ts"
import type { IntegrationId } from "../domain/id.ts"
import type { Change } from "../store/changes.ts"
import type { Settled, Settlement } from "../store/ledger.ts"

/** One thing that happened. `id` is its place in the one order of all of them. */
export type FeedItem =
  | {
      readonly kind: "event"
      readonly id: number
      readonly project: number
      readonly event: Event
      readonly targets: readonly IntegrationId[]
      readonly withheld: Withheld
    }
  | {
      readonly kind: "attempt"
      readonly id: number
      readonly project: number
      readonly settlement: Settlement
    }
  /** A delivery was held back as its endpoint rests. It stands nowhere in the order: the store keeps counts of skips only. */
  | { readonly kind: "skip"; readonly id: null; readonly project: number; readonly settlement: Settlement }
  | { readonly kind: "change"; readonly id: number; readonly project: number; readonly change: Change }

export class Feed {
  readonly #listeners = new Set<(item: FeedItem) => void>()

  /** Hears everything from now on; call what it returns to stop. */
  listen(hear: (item: FeedItem) => void): () => void {
    this.#listeners.add(hear)
    return () => this.#listeners.delete(hear)
  }

  accepted(event: Event, targets: readonly IntegrationId[], withheld: Withheld): void {
    if (this.#listeners.size === 0) return
    this.#publish({ kind: "event", id: event.id, project: event.project, event, targets, withheld })
  }

  settled(settlement: Settlement, { attempt }: Settled): void {
    if (this.#listeners.size === 0) return
    const { project } = settlement.claim
    if (attempt !== null) this.#publish({ kind: "attempt", id: attempt, project, settlement })
    else if (isSkip(settlement)) this.#publish({ kind: "skip", id: null, project, settlement })
  }

  changed(change: Change): void {
    if (this.#listeners.size === 0) return
    this.#publish({ kind: "change", id: change.id, project: change.project, change })
  }

  #publish(item: FeedItem): void {
    for (const hear of this.#listeners) hear(item)
  }
}

/** A delivery that was held back, the last time for good where that used up its last retry; not one that only joins others. */
function isSkip({ next }: Settlement): boolean {
  if (next.status === "skipped") return next.joins !== true
  return next.status === "failed" && next.reason.code === "sleeping"
}
