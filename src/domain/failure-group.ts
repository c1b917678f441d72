/** Whether failures that look alike still go on. */
import { DAY_MS, MINUTE_MS } from "./duration.ts"

/** Seen so lately, it goes on. */
const LATELY_MS = 15 * MINUTE_MS
/** It is over once it has stayed away for so many times as long as it did between two of its failures. */
const TIMES_USUAL = 3

/**
 * It goes on while nothing has got through since it was last seen, and while it has not stayed away for longer than it
 * used to. `succeededAt`: when anything got through to the same integration last.
 */
export function isGoingOn(
  group: { readonly firstAt: number; readonly lastAt: number; readonly count: number },
  succeededAt: number | null,
  now: number,
): boolean {
  const { firstAt, lastAt, count } = group
  if (succeededAt === null || succeededAt < lastAt) return true
  const usualMs = count < 2 ? 0 : (lastAt - firstAt) / (count - 1)
  return now - lastAt <= Math.max(LATELY_MS, Math.min(DAY_MS, TIMES_USUAL * usualMs))
}
