/**
 * The connections to one origin: idle ones are used again, and where none is idle a new one is opened. Nothing waits
 * here: how many requests go out at a time is the lane's to say, and integrations that share a host must not hold each
 * other up. Ours instead of undici's, because a deadline has to end a connection that is still connecting, and a request
 * that turned out to be on a dead connection has to go out again on a fresh one.
 */
import { Connection, type Egress, type Passenger } from "./connect.ts"
import type { Destination } from "./guard.ts"

/** An old connection is closed, so that a change in the DNS is noticed (ND-4). */
const MAX_AGE_MS = 300_000
const MAX_REQUESTS = 1_000

/** Lives as long as it has a connection; then `onEmpty` is told. */
export class Pool {
  readonly #destination: Destination
  readonly #egress: Egress
  readonly #onEmpty: () => void
  readonly #all = new Set<Connection>()
  /** Last used last: the one most surely alive is taken first. */
  readonly #idle: Connection[] = []

  constructor(destination: Destination, egress: Egress, onEmpty: () => void) {
    this.#destination = destination
    this.#egress = egress
    this.#onEmpty = onEmpty
  }

  /** Gives a connection, which may have to be opened. */
  place(passenger: Passenger): void {
    passenger.board(this.#idle.pop() ?? this.#open())
  }

  /** Gives a new connection in place of one that turned out to be dead. */
  replace(dead: Connection, passenger: Passenger): void {
    this.#all.delete(dead)
    dead.close()
    passenger.board(this.#open())
  }

  /** The connection is free again; kept for later unless `keep` others are. */
  release(connection: Connection, keep: number): void {
    const isOld = connection.requests >= MAX_REQUESTS || performance.now() - connection.openedAt > MAX_AGE_MS
    if (isOld || this.#idle.length >= keep) this.drop(connection)
    else this.#idle.push(connection)
  }

  /** The connection is of no more use. */
  drop(connection: Connection): void {
    if (!this.#all.delete(connection)) return
    connection.close()
    if (this.#all.size === 0) this.#onEmpty()
  }

  /** Closes what is idle. */
  closeIdle(): void {
    for (const connection of this.#idle.splice(0)) this.drop(connection)
  }

  /** Closes everything; what is under way is told so. */
  closeAll(): void {
    this.closeIdle()
    for (const connection of [...this.#all]) connection.passenger?.abandon()
  }

  #open(): Connection {
    const connection = new Connection(this.#destination, this.#egress, lost => this.#lost(lost))
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
}
