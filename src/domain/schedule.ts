/**
 * When the next retry is due: a policy's delays, spread by jitter so that events which failed together do not come back
 * together. The jitter is a hash of the delivery and the retry's number, so that every process gives the same answer.
 */
import type { DeliveryId } from "./id.ts"
import type { Policy } from "./policy.ts"

/** The part of a policy that makes its schedule. */
export type Schedule = Pick<Policy, "retryDelaysMs" | "jitter">

/**
 * How long a delivery waits before its retry number `retry` (0 for the first), in whole ms; null where the schedule has
 * no such retry.
 */
export function retryDelayMs(schedule: Schedule, delivery: DeliveryId, retry: number): number | null {
  const delay = schedule.retryDelaysMs[retry]
  if (delay === undefined) return null
  const { down, up, lastUp } = schedule.jitter
  const isLast = retry === schedule.retryDelaysMs.length - 1
  const shortest = delay * (1 - down)
  const longest = delay * (1 + (isLast ? lastUp : up))
  const overrun = isLast && lastUp === 0 ? overrunMs(schedule, delivery, retry) : 0
  return Math.floor(shortest + (Math.max(shortest, longest - overrun) - shortest) * share(delivery, retry))
}

/** The longest that all delays together can come to, jitter included, in ms. */
export function longestScheduleMs({ retryDelaysMs, jitter }: Schedule): number {
  const sum = (delays: readonly number[]) => delays.reduce((total, delay) => total + delay, 0)
  const before = sum(retryDelaysMs.slice(0, -1))
  const last = retryDelaysMs.at(-1) ?? 0
  if (jitter.lastUp > 0) return before * (1 + jitter.up) + last * (1 + jitter.lastUp)
  return Math.max(before + last, before * (1 + jitter.up) + last * (1 - jitter.down))
}

/**
 * By how much the delays so far ran over. Where the last delay may not be longer than it says, the schedule has an end
 * that is not to be passed (`subscription`: 24 h), so the last one also makes up for the others.
 */
function overrunMs(schedule: Schedule, delivery: DeliveryId, last: number): number {
  let overrun = 0
  for (let retry = 0; retry < last; retry++) {
    overrun += (retryDelayMs(schedule, delivery, retry) ?? 0) - (schedule.retryDelaysMs[retry] ?? 0)
  }
  return Math.max(0, overrun)
}

/** A number from 0 up to 1, even over deliveries and retries, and always the same for the same ones. */
function share(delivery: DeliveryId, retry: number): number {
  let hash = retry + 1
  for (const id of [delivery.event, delivery.integration]) {
    // Ids have 53 bits, bit operations 32.
    hash = mix(hash ^ (id % 2 ** 32))
    hash = mix(hash ^ Math.floor(id / 2 ** 32))
  }
  return (hash >>> 0) / 2 ** 32
}

/** Spreads each bit over all 32 (the finaliser of MurmurHash3, which is in the public domain). */
function mix(value: number): number {
  let hash = value
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b)
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35)
  return hash ^ (hash >>> 16)
}
