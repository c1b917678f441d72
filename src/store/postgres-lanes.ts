/**
 * What this process asks the database about lanes and the processes that send for them. It has connections of its own, so
 * that a lease is renewed however much there is to do (ND-48).
 */
import type { IntegrationId } from "../domain/id.ts"
import type { PostgresDatabase } from "./postgres.ts"
import type { PostgresClock } from "./postgres-clock.ts"
import {
  claimedBefore,
  databaseTime,
  dueLanes,
  giveUpLanes,
  type LaneDue,
  type NodesView,
  othersLanes,
  takeLanes,
  underWayElsewhere,
  viewNodes,
} from "./postgres-nodes.ts"
import type { Tenure } from "./postgres-tenure.ts"
import type { Wakes } from "./postgres-wakes.ts"

export interface PostgresLanesParts {
  readonly db: PostgresDatabase
  readonly tenure: Tenure
  readonly clock: PostgresClock
  readonly wakes: Wakes
}

export class PostgresLanes {
  readonly tenure: Tenure
  readonly wakes: Wakes
  readonly #db: PostgresDatabase
  readonly #clock: PostgresClock

  constructor({ db, tenure, clock, wakes }: PostgresLanesParts) {
    this.#db = db
    this.#clock = clock
    this.tenure = tenure
    this.wakes = wakes
  }

  /** Who is alive and what this process holds; and reads the database's clock by the way. */
  async view(): Promise<NodesView> {
    const sentAt = this.#clock.monotonicNow()
    const view = await viewNodes(this.#db, this.tenure.number)
    this.#clock.read({ sentAt, at: view.at, receivedAt: this.#clock.monotonicNow() })
    return view
  }

  /** Takes those of these lanes that nobody alive holds; gives those that it holds now. */
  take(lanes: readonly IntegrationId[]): Promise<readonly IntegrationId[]> {
    return takeLanes(this.#db, this.tenure.number, lanes)
  }

  giveUp(lanes: readonly IntegrationId[]): Promise<void> {
    return giveUpLanes(this.#db, this.tenure.number, lanes)
  }

  /** How many deliveries of these lanes other processes have under way. */
  underWayElsewhere(lanes: readonly IntegrationId[]): ReturnType<typeof underWayElsewhere> {
    return underWayElsewhere(this.#db, this.tenure.number, lanes)
  }

  /** Lanes of these in which something waits. */
  due(lanes: readonly IntegrationId[]): Promise<readonly LaneDue[]> {
    return dueLanes(this.#db, lanes)
  }

  /** What lanes in trouble kept that another process holds. */
  others(): ReturnType<typeof othersLanes> {
    return othersLanes(this.#db, this.tenure.number)
  }

  /** Deliveries that stand as being sent by this process since before a time, ms since 1970. */
  claimedBefore(at: number): ReturnType<typeof claimedBefore> {
    return claimedBefore(this.#db, this.tenure.number, at)
  }
}

/** Readings of the clock before anything goes by it. */
const FIRST_READINGS = 4

/** Sets a clock by a database. */
export async function setClock(clock: PostgresClock, db: PostgresDatabase): Promise<void> {
  for (let i = 0; i < FIRST_READINGS; i++) {
    const sentAt = clock.monotonicNow()
    const at = await databaseTime(db)
    clock.read({ sentAt, at, receivedAt: clock.monotonicNow() })
  }
}
