/**
 * The queues of a lane. A delivery that waits stands in exactly one of them, and a lane claims from each by itself, so
 * that what has to wait for something else than its time costs nothing while it waits, however much of it there is.
 */
import { hash } from "node:crypto"

/** The number of a queue, as the store keeps it. */
export type Queue = number

/** Waits for its time and a free place, nothing else. */
export const DUE: Queue = 0
/** Waits until the one before it of its ordering key has ended. */
export const IN_LINE: Queue = 1
/** Made due again by a recovery: sent with a share of the lane's room. */
export const RECOVERED: Queue = 2
/** Queues of origins begin here. */
const FIRST_ORIGIN: Queue = 16

/** The queue of what is held while an origin rests: the first 48 bits of its hash, far enough apart for one integration's few. */
export function queueOf(origin: string): Queue {
  return FIRST_ORIGIN + Number.parseInt(hash("sha256", origin, "hex").slice(0, 12), 16)
}

/** Whether a queue is that of an origin that rests, or rested. */
export function isHeld(queue: Queue): boolean {
  return queue >= FIRST_ORIGIN
}
