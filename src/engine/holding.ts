/**
 * Which lanes this process sends for, and by what right. Over the embedded database it is the only one and holds all of
 * them; over PostgreSQL several share them (leased-lanes.ts). A lane that is not held does nothing: it takes no short way,
 * claims nothing, ends nothing.
 */
import type { DeliveryId, IntegrationId } from "../domain/id.ts"

/** What a holding asks of the engine. */
export interface LaneOwner {
  /** Every lane that there may be something to do in. */
  known(): readonly IntegrationId[]
  /** The same for lanes that have to be on one process, as those that share a budget; null for one that has been removed. */
  groupOf(lane: IntegrationId): string | null
  /** Reads what lanes kept, so as to go on where their last holder stood. */
  takeUp(lanes: readonly IntegrationId[]): Promise<void>
  /** Looks for what there is to do in lanes that are held from now on. */
  begin(lanes: readonly IntegrationId[]): void
  /** Forgets what it knows of lanes that are not held any more. */
  forget(lanes: readonly IntegrationId[]): void
  /** Writes down what the next holder of a lane has to know. */
  handOver(lane: IntegrationId): Promise<void>
  /** How many deliveries of a lane are under way. */
  underWay(lane: IntegrationId): number
  /** Whether this very delivery is under way here. */
  isUnderWay(delivery: DeliveryId): boolean
  /** Whether the store has answered all that was asked for a lane, so that whatever it has claimed is known here. */
  isAnswered(lane: IntegrationId): boolean
  /** Lanes of these that know of nothing that is due. */
  idle(lanes: readonly IntegrationId[]): readonly IntegrationId[]
  /** Something waits in a lane until `at`; null: recovered deliveries do. */
  expectIn(lane: IntegrationId, at: number | null): void
  /**
   * Records as interrupted what was under way in processes that are gone, in lanes that are held; and what this process
   * itself has claimed and knows nothing of.
   */
  sweep(forgotten?: readonly DeliveryId[]): Promise<void>
  /** Takes note of how lanes stand that another process holds, for people who ask here. Of those that are left out nothing is wrong. */
  show(lanes: readonly OthersLane[]): void
  /** Tries a delivery that a person has made due. */
  tryNow(delivery: DeliveryId): Promise<void>
  /** Looks after all lanes: claims may be made again. */
  resume(): void
}

/** What the holder of a lane wrote down, each as JSON. */
export interface OthersLane {
  readonly lane: IntegrationId
  readonly protection: string | null
  readonly rate: string | null
}

export interface Holding {
  /** The fencing number of what is claimed now; null while it is not sure that it may claim. */
  readonly fence: number | null
  holds(lane: IntegrationId): boolean
  /** Whether what was claimed under this number may still be sent; where that is not known yet, when it is. */
  maySend(fence: number): boolean | Promise<boolean>
  /** Begins to take lanes up; resolves when those are that are there to be had. */
  start(owner: LaneOwner): Promise<void>
  /** Takes up no more. What is held is held until `stop`. */
  pause(): void
  stop(): Promise<void>
  /** Something waits in a lane that is not held here: tells whoever holds it. */
  call(lane: IntegrationId): void
  /** Has whoever holds its lane try a delivery that a person has made due. */
  callFor(delivery: DeliveryId): void
  /** Integrations came or went, or changed what they share: looks after the lanes soon. */
  look(): void
}

/** All lanes, always. */
export class AllLanes implements Holding {
  readonly fence: number
  #isStarted = false

  constructor(fence: number) {
    this.fence = fence
  }

  holds(): boolean {
    return this.#isStarted
  }

  maySend(): boolean {
    return true
  }

  async start(owner: LaneOwner): Promise<void> {
    await owner.sweep()
    const lanes = owner.known()
    await owner.takeUp(lanes)
    this.#isStarted = true
    // Those as well that were made meanwhile.
    owner.begin(owner.known())
  }

  pause(): void {}
  async stop(): Promise<void> {}
  call(): void {}
  callFor(): void {}
  look(): void {}
}
