/** What a settlement comes to, whichever engine writes it down. */
import type { Settlement, SwitchOff } from "./ledger.ts"
import type { DeliveryTally, RecoveryTally } from "./tallies.ts"

/** Bits of `attempt.flags`. */
export const attemptFlags = { truncated: 1, incomplete: 2 } as const

/** Whether it stays in front of its line although it has failed. Nothing else may: with a time it would stand behind. */
export function blocks({ claim, next, consequences }: Settlement): boolean {
  return next.status === "failed" && claim.orderingKey !== null && consequences?.blocksLine === true
}

/** The key of the line in which the next takes its turn, if it is the first that has ended; else null. */
export function endedKey(settlement: Settlement): string | null {
  const { status } = settlement.next
  const hasEnded = status === "delivered" || status === "failed" || status === "withheld"
  return hasEnded && !blocks(settlement) ? settlement.claim.orderingKey : null
}

/** Whether it may be what ended the last open delivery of an event with private fields. */
export function mayMask(settlement: Settlement): boolean {
  const { status } = settlement.next
  const isOver = status !== "retrying" && status !== "skipped"
  return settlement.claim.privacy !== undefined && isOver && !blocks(settlement)
}

/** The other side asked to be left alone, or nothing got through for too long. */
export function switchOffOf({ next, consequences }: Settlement): SwitchOff | null {
  if (consequences?.switchOff !== undefined) return consequences.switchOff
  return next.status === "failed" && next.disable ? { cause: "gone" } : null
}

/** How many of its tries a settlement uses up: 0 or 1. */
export function chargeOf({ attempt, next }: Settlement): number {
  const isTry = attempt !== null || next.status === "skipped"
  return isTry && ((next.status !== "retrying" && next.status !== "skipped") || next.charged) ? 1 : 0
}

/** What a settlement counts as, once its delivery has moved on. */
export function talliesOf(
  { claim, attempt, attemptReason, next }: Settlement,
  now: number,
): readonly (
  | { readonly kind: "delivery"; readonly tally: DeliveryTally }
  | { readonly kind: "recovery"; readonly tally: RecoveryTally }
)[] {
  const { app, environment, type, test } = claim.tally
  const { project, recovery } = claim
  const { integration } = claim.delivery
  const of = { project, integration, app, environment, type }
  const reason = next.status === "delivered" ? "" : next.reason.code
  const isOver = next.status !== "retrying" && next.status !== "skipped"
  const isCounted = isOver || (next.status === "skipped" && next.joins !== true)
  return [
    ...(recovery !== null && isOver
      ? [{ kind: "recovery", tally: { recovery, integration, outcome: next.status, reason } } as const]
      : []),
    ...(attempt !== null && !test
      ? [
          {
            kind: "delivery",
            tally: { ...of, at: attempt.startedAt, outcome: attempt.outcome, reason: attemptReason?.code ?? "" },
          } as const,
        ]
      : []),
    ...(isCounted && !test
      ? [{ kind: "delivery", tally: { ...of, at: now, outcome: next.status, reason } } as const]
      : []),
  ]
}
