/**
 * The connections to one origin: idle ones are used again, new ones opened up to what the sender asked for, and what is
 * beyond that waits in turn. Ours instead of undici's, because a deadline has to end one connection that is still
 * connecting, and a request that turned out to be on a dead connection has to go out again on a fresh one.
 */
import { Connection, type Passenger, type Road } from "./connect.ts"
import type { Destination } from "./guard.ts"

/** An old connection is closed, so that a change in the DNS is noticed (ND-4). */
const MAX_AGE_MS = 300_000
const MAX_REQUESTS = 1_000

export class Pool {
  readonly #destination: Destination
  readonly #road: Road
  readonly #onEmpty: () => void
  readonly #all = new Set<Connection>()
  /** Last used last: the one most surely alive is taken first. */
  readonly #idle: Connection[] = []
  readonly #waiting = new Set<Passenger>()

  constructor(destination: Destination, road: Road, onEmpty: () => void) {
    this.#destination = destination
    this.#road = road
    this.#onEmpty = onEmpty
  }

  /** Gives a connection at once, or as soon as one is free. */
  place(passenger: Passenger): void {
    const idle = this.#idle.pop()
    if (idle !== undefined) passenger.board(idle)
    else if (this.#all.size < passenger.connections) passenger.board(this.#open())
    else this.#waiting.add(passenger)
  }

  /** Gives a new connection in place of one that turned out to be dead; the limit was met by that one already. */
  replace(dead: Connection, passenger: Passenger): void {
    this.#all.delete(dead)
    dead.close()
    passenger.board(this.#open())
  }

  /** It no longer waits. */
  forget(passenger: Passenger): void {
    this.#waiting.delete(passenger)
    this.#leaveIfEmpty()
  }

  /** The connection is free again. */
  release(connection: Connection): void {
    const isOld = connection.requests >= MAX_REQUESTS || performance.now() - connection.openedAt > MAX_AGE_MS
    if (isOld) {
      this.drop(connection)
      return
    }
    const next = this.#firstWaiting()
    if (next === undefined) this.#idle.push(connection)
    else this.#admit(next, connection)
  }

  /** The connection is of no more use. */
  drop(connection: Connection): void {
    if (!this.#all.delete(connection)) return
    connection.close()
    const next = this.#firstWaiting()
    if (next !== undefined && this.#all.size < next.connections) this.#admit(next, this.#open())
    this.#leaveIfEmpty()
  }

  /** Closes what is idle. */
  closeIdle(): void {
    for (const connection of this.#idle.splice(0)) this.drop(connection)
  }

  /** Closes everything; what is under way or waits is told so. */
  closeAll(): void {
    this.closeIdle()
    for (const passenger of [...this.#waiting]) passenger.abandon()
    for (const connection of [...this.#all]) connection.passenger?.abandon()
  }

  #open(): Connection {
    const connection = new Connection(this.#destination, this.#road, lost => this.#lost(lost))
    this.#all.add(connection)
    return connection
  }

  /** A busy one is dropped by its passenger, who learns of it as well. */
  #lost(connection: Connection): void {
    const at = this.#idle.indexOf(connection)
    if (at < 0) return
    this.#idle.splice(at, 1)
    this.drop(connection)
  }

  #firstWaiting(): Passenger | undefined {
    for (const passenger of this.#waiting) return passenger
    return undefined
  }

  #admit(passenger: Passenger, connection: Connection): void {
    this.#waiting.delete(passenger)
    passenger.board(connection)
  }

  #leaveIfEmpty(): void {
    if (this.#all.size === 0 && this.#waiting.size === 0) this.#onEmpty()
  }
}
