/**
 * The lanes of all integrations, with the rules that today's configuration gives each, and what is under way in them. It
 * carries what lanes know from one holder to the next, over restarts and from process to process.
 */
import type { DeliveryId, EventId, IntegrationId } from "../domain/id.ts"
import { noProtection } from "../domain/policy-trouble.ts"
import type { KeptLane, Ledger } from "../store/ledger.ts"
import { Budgets } from "./budgets.ts"
import type { Directory } from "./directory.ts"
import { Lane } from "./lane.ts"

export interface LanesParts {
  readonly ledger: Pick<Ledger, "lanes" | "keepLane">
  readonly directory: Directory
  readonly now: () => number
  /** Learns what lanes kept that are taken up, before anything is sent in them. */
  readonly learn?: (kept: readonly KeptLane[]) => Promise<void>
}

/** What the holder of a lane wrote down, each as JSON. */
export interface OthersLane {
  readonly lane: IntegrationId
  readonly protection: string | null
  readonly rate: string | null
}

/** How many lanes are read at a time when they are taken up. */
const READ_AT_A_TIME = 200

export class Lanes {
  readonly #parts: LanesParts
  readonly #lanes = new Map<IntegrationId, Lane>()
  readonly #budgets = new Budgets()
  /** What each lane had its rules of last: a new revision is tried at once. */
  readonly #revisions = new Map<IntegrationId, number>()
  /** Deliveries that are being carried out. */
  readonly #underWay = new Map<IntegrationId, Set<EventId>>()
  /** How lanes stand that another process holds, as it was written down. */
  #shown: ReadonlyMap<IntegrationId, OthersLane> = new Map()

  constructor(parts: LanesParts) {
    this.#parts = parts
  }

  all(): Iterable<Lane> {
    return this.#lanes.values()
  }

  find(id: IntegrationId): Lane | undefined {
    return this.#lanes.get(id)
  }

  /** The lane of an integration, made where there is none yet: closed until it has rules. */
  of(id: IntegrationId): Lane {
    let lane = this.#lanes.get(id)
    if (lane === undefined) {
      lane = new Lane(id, { maxConcurrent: 1, maxPerSecond: null, held: true }, null)
      this.#lanes.set(id, lane)
    }
    return lane
  }

  /** Gives a lane the rules that its integration has today. */
  setRules(id: IntegrationId): void {
    const lane = this.of(id)
    const live = this.#parts.directory.integration(id)
    const policy = live?.integration.policy
    const budget = live === undefined ? null : this.#budgets.of(live.record.project, policy?.budget ?? null)
    const places = policy?.maxConcurrent ?? 1
    lane.setLimits({
      maxConcurrent: places,
      maxPerSecond: policy?.maxPerSecond ?? null,
      held: live === undefined || !live.integration.enabled || live.integration.paused,
      budget,
    })
    const environments = live?.connector.environments(live.settings).length ?? 1
    const protection = policy?.protection ?? noProtection
    const now = this.#parts.now()
    lane.gate.setRules({ protection, places, environments, budget }, now)
    this.#tryRevision(lane, live?.record.revision, now)
  }

  /** Every lane that there may be something to do in. */
  known(): readonly IntegrationId[] {
    const { directory } = this.#parts
    const here = [...directory.integrations()].map(({ id }) => id)
    // What a removal had not ended when its process did.
    return [...here, ...directory.removedIntegrations()]
  }

  /** The same for lanes that have to be on one process, as those that share a budget; null for one that has been removed. */
  groupOf(id: IntegrationId): string | null {
    const live = this.#parts.directory.integration(id)
    if (live === undefined) return null
    const { budget } = live.integration.policy
    return budget === null ? String(id) : `${live.record.project}/${budget}`
  }

  /** Goes on where the last holder stood: what rests rests on, and what is held waits for it. */
  async takeUp(ids: readonly IntegrationId[]): Promise<void> {
    const { ledger, learn, now } = this.#parts
    for (let from = 0; from < ids.length; from += READ_AT_A_TIME) {
      const some = ids.slice(from, from + READ_AT_A_TIME)
      const kept = await ledger.lanes(some)
      await learn?.(kept)
      this.forget(some)
      for (const record of kept) {
        const lane = this.of(record.integration)
        if (record.wasSentTo) lane.startAnew(now())
        lane.restore(record, now())
      }
    }
  }

  /** Forgets what is known of lanes but their rules, and what is under way. */
  forget(ids: readonly IntegrationId[]): void {
    for (const id of ids) {
      this.of(id).forget()
      this.#revisions.delete(id)
      this.setRules(id)
    }
  }

  /** Writes down what the next holder of a lane has to know. */
  async handOver(id: IntegrationId): Promise<void> {
    const kept = this.of(id).gate.kept()
    if (kept.protection !== null || kept.rate !== null) await this.#parts.ledger.keepLane(id, kept)
  }

  /** Takes note of how lanes stand that another process holds, for people who ask here. Of those that are left out nothing is wrong. */
  show(lanes: readonly OthersLane[]): void {
    const shown = new Map(lanes.map(one => [one.lane, one]))
    for (const id of this.#shown.keys()) if (!shown.has(id)) this.forget([id])
    for (const [id, one] of shown) {
      const before = this.#shown.get(id)
      if (before !== undefined && before.protection === one.protection && before.rate === one.rate) continue
      this.forget([id])
      const { protection, rate } = one
      const kept = { integration: id, protection, rate, health: null, held: [], hasRecovered: false, wasSentTo: false }
      this.of(id).restore(kept, this.#parts.now())
    }
    this.#shown = shown
  }

  /** These lanes are held here from now on: what was shown of them is replaced by what is so. */
  hide(ids: readonly IntegrationId[]): void {
    const hidden = new Set(ids)
    if (this.#shown.size > 0) this.#shown = new Map([...this.#shown].filter(([id]) => !hidden.has(id)))
  }

  begun({ integration, event }: DeliveryId): void {
    const events = this.#underWay.get(integration)
    if (events === undefined) this.#underWay.set(integration, new Set([event]))
    else events.add(event)
  }

  ended({ integration, event }: DeliveryId): void {
    this.#underWay.get(integration)?.delete(event)
  }

  /** How many deliveries of a lane are under way, or about to be. */
  underWay(id: IntegrationId): number {
    return this.#lanes.get(id)?.inFlight ?? 0
  }

  /** Takes note of how many deliveries of a lane its last holder has under way. */
  shareWith(id: IntegrationId, inFlightElsewhere: number): void {
    this.of(id).shareWith(inFlightElsewhere)
  }

  /** Whether this very delivery is under way here. */
  isUnderWay({ integration, event }: DeliveryId): boolean {
    return this.#underWay.get(integration)?.has(event) === true
  }

  /** Whether the store has answered all that was asked for a lane, so that whatever it has claimed is known here. */
  isAnswered(id: IntegrationId): boolean {
    return this.underWay(id) <= (this.#underWay.get(id)?.size ?? 0)
  }

  /** Lanes of these that know of nothing that is due. */
  idle(ids: readonly IntegrationId[]): readonly IntegrationId[] {
    const now = this.#parts.now()
    return ids.filter(id => this.#lanes.get(id)?.isIdleAt(now) ?? true)
  }

  /** What was mended is tried at once, however long the endpoint was to rest. */
  #tryRevision(lane: Lane, revision: number | undefined, now: number): void {
    const before = this.#revisions.get(lane.id)
    if (revision === undefined) this.#revisions.delete(lane.id)
    else this.#revisions.set(lane.id, revision)
    if (before !== undefined && before !== revision) lane.gate.tryAtOnce(now)
  }
}
