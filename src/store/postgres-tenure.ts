/**
 * This process's place among those that share a database: its number, and how long it may be sure of it. It reckons by its
 * own monotonic clock, from before a renewal was sent, so that it believes its lease to be over before anybody else does,
 * whatever their clocks show. Whoever lost its place takes a new one, under a new number: what it claimed under the old
 * one others may have claimed since.
 */
import { type Ids, idShareOf } from "../domain/id.ts"
import type { PostgresDatabase } from "./postgres.ts"
import { announceLeaving, joinNodes, LEASE_MS, leaveNodes, renewNode } from "./postgres-nodes.ts"

/** A process is no longer sure of its lease so long before its end: what it begins until then is on its way by then. */
export const MARGIN_MS = 1_500

export interface TenureOptions {
  readonly db: PostgresDatabase
  /** Of no other process. */
  readonly name: string
  /** Ids of the sealing keys that this process has, newest first. */
  readonly sealingKeys: readonly string[]
  /** Asked once it stands among the others; throws where it may not stay. */
  readonly admit: () => Promise<void>
  /** A clock of the process that only ever goes forward, in ms. */
  readonly monotonicNow: () => number
}

export class Tenure {
  readonly name: string
  readonly #db: PostgresDatabase
  readonly #monotonicNow: () => number
  readonly #sealingKeys: readonly string[]
  readonly #admit: () => Promise<void>
  #number = 0
  #sureUntil = 0
  #ids: Ids | undefined
  #isLeaving = false

  constructor({ db, name, monotonicNow, sealingKeys, admit }: TenureOptions) {
    this.#db = db
    this.name = name
    this.#monotonicNow = monotonicNow
    this.#sealingKeys = sealingKeys
    this.#admit = admit
  }

  /** The number under which it claims: greater than that of any place taken before. */
  get number(): number {
    return this.#number
  }

  /** Whether nobody can have taken its place. */
  get isSure(): boolean {
    return this.#monotonicNow() < this.#sureUntil
  }

  /** The ids whose part of each millisecond goes by the number, from now on. */
  shares(ids: Ids): void {
    this.#ids = ids
  }

  /** Takes a place, and gives the one back that it had. */
  async begin(): Promise<void> {
    const before = this.#number
    const sentAt = this.#monotonicNow()
    const entry = { name: this.name, isLeaving: this.#isLeaving, sealingKeys: this.#sealingKeys }
    const number = await joinNodes(this.#db, entry)
    // Keys may have changed while it was not there.
    await this.#admit().catch(async (error: unknown) => {
      await leaveNodes(this.#db, number, this.name)
      throw error
    })
    this.#number = number
    this.#sureUntil = sentAt + LEASE_MS - MARGIN_MS
    this.#ids?.takeShare(idShareOf(number))
    // Else what it had claimed would be found lost only when the old lease is over.
    if (before !== 0) await leaveNodes(this.#db, before, this.name)
  }

  /** Stays; false where it was too late, and its place is lost. Throws StoreUnavailable. */
  async renew(): Promise<boolean> {
    const number = this.#number
    const sentAt = this.#monotonicNow()
    if (!(await renewNode(this.#db, number, this.name))) return false
    if (number === this.#number) this.#sureUntil = sentAt + LEASE_MS - MARGIN_MS
    return true
  }

  /** Says that it is about to give the place up. */
  async announceEnd(): Promise<void> {
    this.#isLeaving = true
    await announceLeaving(this.#db, this.#number, this.name)
  }

  /** Gives the place up: others may take what it held. */
  async end(): Promise<void> {
    this.#sureUntil = 0
    await leaveNodes(this.#db, this.#number, this.name)
  }
}
