/**
 * What an integration's policy makes of the lines of its ordering keys; the lines themselves stand in the store.
 *
 * Under `stop` a delivery that has failed for good holds those behind it, until it is retried or released. These hold
 * nobody up, since nobody could mend them: what failed because its payload is no longer kept, or because its integration
 * was switched off or removed, which ends all that waits with it. What is withheld by a rule holds nobody up either.
 * When the policy says `stop` no longer, or `ordered`, the lines that were held go on.
 */
import type { IntegrationId } from "../domain/id.ts"
import type { TroublePolicy } from "../domain/policy-trouble.ts"
import type { ReasonCode } from "../domain/reason.ts"
import type { Log } from "../log.ts"
import type { Ledger, Settlement } from "../store/ledger.ts"
import type { Directory } from "./directory.ts"
import { onceStored } from "./once-stored.ts"

/** How many blocks end in one commit. */
const PIECE = 500

const neverBlocking: readonly ReasonCode[] = [
  "payload_expired",
  "person_erased",
  "integration_disabled",
  "integration_removed",
]

export interface LinesParts {
  readonly ledger: Pick<Ledger, "endBlocks">
  readonly directory: Pick<Directory, "integration">
  readonly log: Log
  readonly isRunning: () => boolean
}

export class Lines {
  readonly #parts: LinesParts
  /** Integrations whose lines are being let go; true where more may have come to be held meanwhile. */
  readonly #letting = new Map<IntegrationId, boolean>()

  constructor(parts: LinesParts) {
    this.#parts = parts
  }

  /** The settlement with what the policy says of those behind it. Call it right before it is written. */
  of(settlement: Settlement): Settlement {
    const { claim, next, consequences } = settlement
    if (claim.orderingKey === null || next.status !== "failed" || neverBlocking.includes(next.reason.code)) {
      return settlement
    }
    const live = this.#parts.directory.integration(claim.delivery.integration)?.integration
    // Off already, nothing waits any more that it could hold.
    if (live === undefined || !live.enabled) return settlement
    // One that switches its integration off holds the others for the moment that it takes to end them too.
    const switchesOff = next.disable || consequences?.switchOff !== undefined
    if (!switchesOff && !stops(live.policy)) return settlement
    return { ...settlement, consequences: { ...consequences, blocksLine: true } }
  }

  /**
   * Has the lines of an integration go on where its policy does not hold them; `isDue` is called where one was held. While
   * the store is away, once it is there.
   */
  async letGo(id: IntegrationId, isDue: () => void): Promise<void> {
    if (this.#letting.has(id)) {
      this.#letting.set(id, true)
      return
    }
    const { ledger, log, isRunning } = this.#parts
    // Where the policy holds them again by the time that the store is there, they stay.
    const endPiece = async () => (this.#letsGo(id) ? await ledger.endBlocks(id, PIECE) : 0)
    try {
      let ended = PIECE
      while (isRunning() && this.#letsGo(id) && (ended === PIECE || this.#letting.get(id) === true)) {
        this.#letting.set(id, false)
        ended = await onceStored(endPiece, isRunning)
        if (ended > 0) isDue()
      }
    } catch (error) {
      log.warn({ err: error, integration: id }, "lines could not be let go; the next start goes on with it")
    } finally {
      this.#letting.delete(id)
    }
  }

  #letsGo(id: IntegrationId): boolean {
    const policy = this.#parts.directory.integration(id)?.integration.policy
    return policy !== undefined && !stops(policy)
  }
}

function stops(policy: TroublePolicy): boolean {
  return policy.ordered && policy.onFailedInLine === "stop"
}
