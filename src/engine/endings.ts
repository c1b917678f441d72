/** Ends what waits for an integration that is off or gone, piece by piece, so that nothing else has to wait. */
import type { Reason } from "../domain/delivery.ts"
import type { IntegrationId } from "../domain/id.ts"
import type { Log } from "../log.ts"
import type { Ledger } from "../store/ledger.ts"
import type { Directory } from "./directory.ts"
import { onceStored } from "./once-stored.ts"

/** How many deliveries end in one commit. */
const PIECE = 500

export interface EndingsParts {
  readonly ledger: Pick<Ledger, "endWaiting">
  readonly directory: Pick<Directory, "integration">
  readonly log: Log
  readonly isRunning: () => boolean
}

export class Endings {
  readonly #parts: EndingsParts
  /** Lanes whose waiting deliveries are being ended; true where more may have come meanwhile. */
  readonly #ending = new Map<IntegrationId, boolean>()

  constructor(parts: EndingsParts) {
    this.#parts = parts
  }

  /** Ends all that waits in a lane, unless its integration is on again; while the store is away, once it is there. */
  async end(id: IntegrationId, reason: Reason): Promise<void> {
    if (this.#ending.has(id)) {
      this.#ending.set(id, true)
      return
    }
    const { ledger, directory, log, isRunning } = this.#parts
    const isOff = () => isRunning() && directory.integration(id)?.integration.enabled !== true
    // On again while the store was away, it ends nothing.
    const endPiece = async () => (isOff() ? await ledger.endWaiting(id, reason, PIECE) : 0)
    try {
      let ended = PIECE
      while (isOff() && (ended === PIECE || this.#ending.get(id) === true)) {
        this.#ending.set(id, false)
        ended = await onceStored(endPiece, isRunning)
      }
    } catch (error) {
      log.warn({ err: error, integration: id }, "waiting deliveries could not be ended; the next start goes on with it")
    } finally {
      this.#ending.delete(id)
    }
  }
}
