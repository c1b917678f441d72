/** Finds what was under way in processes that are gone, and has it tried again: recovery is the ordinary path. */
import type { DeliveryId, IntegrationId } from "../domain/id.ts"
import type { Log } from "../log.ts"
import type { Ledger } from "../store/ledger.ts"
import type { Deliver } from "./deliver.ts"

/** How many claims are settled in one commit. */
const PIECE = 500

export interface InterruptedParts {
  readonly ledger: Pick<Ledger, "lost" | "settle">
  readonly deliver: Pick<Deliver, "interrupted">
  readonly log: Log
}

/**
 * Records lost claims as interrupted, in the lanes that the process with this fencing number holds, and those that it has
 * `forgotten` itself; gives the lanes in which something waits again.
 */
export async function recordInterrupted(
  { ledger, deliver, log }: InterruptedParts,
  fence: number,
  forgotten: readonly DeliveryId[],
  isUnderWay: (delivery: DeliveryId) => boolean,
): Promise<ReadonlySet<IntegrationId>> {
  const lanes = new Set<IntegrationId>()
  let count = 0
  for (;;) {
    const found = await ledger.lost(PIECE, fence, forgotten)
    // Of an earlier tenure of this process, and under way still: that settles itself.
    const lost = found.filter(({ delivery }) => !isUnderWay(delivery))
    if (lost.length === 0) break
    await ledger.settle(lost.map(claim => deliver.interrupted(claim)))
    // A test is not tried again.
    for (const { delivery, tally } of lost) if (!tally.test) lanes.add(delivery.integration)
    count += lost.length
  }
  if (count > 0) log.info({ count }, "attempts were under way when their process ended; they are tried again")
  return lanes
}
