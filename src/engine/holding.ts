/**
 * Which lanes this process sends for, and by what right. Over the embedded database it is the only one and holds all of
 * them; over PostgreSQL several share them (leased-lanes.ts). A lane that is not held does nothing: it takes no short way,
 * claims nothing, ends nothing.
 */
import type { DeliveryId, IntegrationId } from "../domain/id.ts"
import type { Lanes } from "./lanes.ts"

/** What a holding asks of the engine. */
export interface LaneOwner {
  /** Looks for what there is to do in lanes that are held from now on. */
  begin(lanes: readonly IntegrationId[]): void
  /** Something waits in a lane until `at`; null: recovered deliveries do. */
  expectIn(lane: IntegrationId, at: number | null): void
  /** Tries a delivery that a person has made due. */
  tryNow(delivery: DeliveryId): Promise<void>
  /**
   * Records as interrupted what was under way in processes that are gone, in lanes that are held; and what this process
   * itself has claimed and knows nothing of.
   */
  sweep(forgotten?: readonly DeliveryId[]): Promise<void>
  /** Looks after all lanes: claims may be made again. */
  wake(): void
}

export interface Holding {
  /** The fencing number of what is claimed now; null while it is not sure that it may claim. */
  readonly fence: number | null
  /** How many processes are alive, this one among them, as far as it knows. */
  readonly processes: number
  holds(lane: IntegrationId): boolean
  /** Whether what was claimed under this number may still be sent; where that is not known yet, when it is. */
  maySend(fence: number): boolean | Promise<boolean>
  /** Begins to take lanes up; resolves when those are that are there to be had. */
  start(owner: LaneOwner, lanes: Lanes): Promise<void>
  /** An orderly stop has begun: each lane is given to another process, where there is one, when nothing is under way in it. */
  leave(): Promise<void>
  /** Takes up no more, and nothing begins in what is held. */
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
  readonly processes = 1
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

  async start(owner: LaneOwner, lanes: Lanes): Promise<void> {
    await owner.sweep()
    await lanes.takeUp(lanes.known())
    this.#isStarted = true
    // Those as well that were made meanwhile.
    owner.begin(lanes.known())
  }

  async leave(): Promise<void> {}
  pause(): void {}
  async stop(): Promise<void> {}
  call(): void {}
  callFor(): void {}
  look(): void {}
}
