/**
 * How late what is due is, and which of it should not be: what a person pauses, what rests and what a rate holds back is
 * not late. Waybill can answer every request and still send nothing; this is what shows it.
 */
import { MINUTE_MS } from "../domain/duration.ts"
import type { HeldBy } from "../domain/picture.ts"
import { dueElsewhere } from "../store/due-elsewhere.ts"
import type { Store } from "../store/store.ts"
import type { Directory } from "./directory.ts"
import type { Lane } from "./lane.ts"

/** With a place free, what is due leaves at once: later than this it does not leave at all. */
const LATE_MS = MINUTE_MS
/** All places taken by requests under way: a slow endpoint's own doing, worth a word once nothing moves for long. */
const LATE_FULL_MS = 15 * MINUTE_MS

/** Why a lane does not send what is due now; null where nothing keeps it. The one place that reads it off a lane. */
export function heldBy(lane: Lane, directory: Pick<Directory, "integration">, now: number): HeldBy | null {
  const live = directory.integration(lane.id)
  if (live === undefined || !live.integration.enabled) return "off"
  if (live.integration.paused || lane.isHeld) return "paused"
  // Resting, easing, or asked to be left alone: its traffic goes as its gate lets it.
  if (!lane.gate.isClearAt(now)) return "resting"
  if (lane.inFlight >= lane.places) return "full"
  const { maxPerSecond } = live.integration.policy
  const isLimited = maxPerSecond !== null || lane.budget !== null
  return isLimited && (lane.inFlight > 0 || lane.roomAt(now) < 1) ? "rate" : null
}

export interface Lateness {
  /** How late the oldest is of what waits for nothing but its time. */
  readonly oldestMs: number
  /** Lanes with a delivery that is later than it should be. */
  readonly lateLanes: number
}

/** How late the oldest due delivery is over all lanes, and how many lanes are later than they should be. */
export function latenessOf(lanes: readonly Lane[], directory: Pick<Directory, "integration">, now: number): Lateness {
  let oldestMs = 0
  let lateLanes = 0
  for (const lane of lanes) {
    if (lane.nextAt === null || lane.nextAt >= now) continue
    const held = heldBy(lane, directory, now)
    if (held !== null && held !== "full") continue
    const lateMs = now - lane.nextAt
    oldestMs = Math.max(oldestMs, lateMs)
    if (lateMs > (held === "full" ? LATE_FULL_MS : LATE_MS)) lateLanes++
  }
  return { oldestMs, lateLanes }
}

/**
 * The same over the lanes of all processes. Of those of others only what the database says is known: whether one has a place
 * free is not, so that it counts as if it had none; one with a rate or a budget is left out.
 */
export async function latenessOfAll(
  lanes: readonly Lane[],
  directory: Pick<Directory, "integration">,
  store: Pick<Store, "engine" | "reads" | "fence">,
  now: number,
): Promise<Lateness> {
  let { oldestMs, lateLanes } = latenessOf(lanes, directory, now)
  for (const { lane, dueAt } of await dueElsewhere(store, now)) {
    const policy = directory.integration(lane)?.integration.policy
    if (policy === undefined || policy.maxPerSecond !== null || policy.budget !== null) continue
    oldestMs = Math.max(oldestMs, now - dueAt)
    if (now - dueAt > LATE_FULL_MS) lateLanes++
  }
  return { oldestMs, lateLanes }
}

/** What is wrong where lanes are later than they should be, in a sentence; null where none is. */
export function latenessFault({ oldestMs, lateLanes }: Lateness): string | null {
  if (lateLanes === 0) return null
  const which = lateLanes === 1 ? "One integration is" : `${lateLanes} integrations are`
  return `${which} behind: the oldest delivery has been due for ${Math.round(oldestMs / MINUTE_MS)} min. GET /v1/diagnosis says why.`
}
