/**
 * The first part of an orderly stop: requests are taken for a while longer, in which every balancer finds out, by /readyz,
 * that this process is about to go, and sends what is new to others. Only then the listener is closed.
 */
import { setTimeout as wait } from "node:timers/promises"

/** Resolves when balancers have had so long to notice. */
export async function drain(seconds: number): Promise<void> {
  if (seconds > 0) await wait(seconds * 1_000)
}
