/** After the clock was put back: what waits in a lane by the time that it showed before waits from now on as long as it was to. */
import { setTimeout as wait } from "node:timers/promises"
import type { IntegrationId } from "../domain/id.ts"
import type { Log } from "../log.ts"
import type { Ledger, WaitingPlace } from "../store/ledger.ts"

/** How many deliveries are brought forward in one commit. */
const PIECE = 500
/** How long to wait before asking again a store that could not be written. */
const STORE_RETRY_MS = 1_000

/** Brings forward what waits in a lane, piece by piece, for as long as the engine runs. */
export async function bringForward(
  { ledger, log }: { readonly ledger: Pick<Ledger, "bringForward">; readonly log: Log },
  lane: IntegrationId,
  isRunning: () => boolean,
): Promise<void> {
  let from: WaitingPlace | null = null
  let isDone = false
  while (!isDone && isRunning()) {
    try {
      from = await ledger.bringForward(lane, from, PIECE)
      isDone = from === null
    } catch (error) {
      log.warn({ err: error }, "what waits by the old time could not be brought forward; trying again in a second")
      await wait(STORE_RETRY_MS, undefined, { ref: false })
    }
  }
}
