/** A keeper on a store, both of which a test turns the clocks of. */
import { Keeper, type KeeperReport } from "../../src/engine/keeper.ts"
import { Metrics } from "../../src/engine/metrics.ts"
import { openLog } from "../../src/log.ts"
import type { FilledStore } from "./filled-store.ts"

/** A keeper on a store whose two clocks the test turns: both together as time passes, or the wall clock alone. */
export class Kept {
  readonly filled: FilledStore
  readonly metrics = new Metrics("0", "0")
  keeper: Keeper
  #monotonicMs = 0

  constructor(filled: FilledStore) {
    this.filled = filled
    this.keeper = this.#make()
  }

  /** Time passes on both clocks, then the keeper runs. */
  async pass(ms: number): Promise<KeeperReport> {
    this.filled.now += ms
    this.#monotonicMs += ms
    return this.keeper.runOnce()
  }

  /** A new process, whose monotonic clock begins anew. */
  async restart(): Promise<void> {
    await this.keeper.stop()
    await this.filled.restart()
    this.#monotonicMs = 0
    this.keeper = this.#make()
  }

  async lag(): Promise<number> {
    return (await this.metrics.retentionLag.get()).values[0]?.value ?? Number.NaN
  }

  #make(): Keeper {
    return new Keeper({
      store: this.filled.store,
      metrics: this.metrics,
      now: () => this.filled.now,
      monotonicNow: () => this.#monotonicMs,
      log: openLog("silent"),
    })
  }
}
