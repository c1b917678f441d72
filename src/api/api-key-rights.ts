/** What a caller may give a key that it makes: no scope, no reach and no time that it does not have itself. */
import { holdsLimits, isLimited, type Limits } from "../domain/limits.ts"
import { allows, isScope, isWhole } from "../domain/scope.ts"
import type { Caller } from "./access.ts"
import { Problem } from "./problem.ts"
import { timeText } from "./schemas.ts"

/** The limits of a new key: those that are asked for, and the caller's own where they are left open. Throws a problem. */
export function limitsWithin({ limits: own }: Pick<Caller, "limits">, asked: Limits): Limits {
  const limits: Limits = {
    app: asked.app ?? own.app,
    environment: asked.environment ?? own.environment,
    source: asked.source ?? own.source,
  }
  if (holdsLimits(own, limits)) return limits
  throw new Problem("forbidden", "A key reaches no further than its maker, and this credential is limited itself.")
}

/** The scopes of a new key, where its maker has them all and its limits bear them. Throws a problem. */
export function scopesWithin(
  { scopes: own }: Pick<Caller, "scopes">,
  asked: readonly string[],
  limits: Limits,
): readonly string[] {
  const missing = asked.find(scope => !isScope(scope) || !allows(own, scope))
  if (missing !== undefined) {
    const detail = `A key may do no more than its maker, and this credential does not have the scope \`${missing}\`.`
    throw new Problem("forbidden", detail, { extra: { scope: missing } })
  }
  const whole = isLimited(limits) ? asked.find(isWhole) : undefined
  if (whole === undefined) return asked
  const message = `The scope \`${whole}\` is about all of the project, so a key that is limited to some of its events cannot have it. Leave out the scope, or the limits.`
  throw new Problem("invalid", message, { errors: [{ pointer: "/scopes", message }] })
}

/** An end, or that of the key that the caller is where it comes first; null: none. */
export function earlierEnd(at: number | null, { key }: Pick<Caller, "key">): number | null {
  const last = key?.expiresAt ?? null
  return at === null || last === null ? (at ?? last) : Math.min(at, last)
}

/**
 * When a key ends that a caller makes or changes: no later than the key that the caller is. `stood`: when it ends as it
 * is, which leaving it so does not change.
 */
export function expiryWithin(
  { key }: Pick<Caller, "key">,
  asked: number | null,
  pointer: string,
  stood?: number | null,
): number | null {
  const last = key?.expiresAt ?? null
  if (last === null || asked === stood) return asked
  if (asked === null && stood === undefined) return last
  if (asked !== null && asked <= last) return asked
  const message = `\`expires_at\` must not be later than ${timeText(last)}, when the key ends that this request came with. Use one that lasts longer.`
  throw new Problem("forbidden", message, { errors: [{ pointer, message }] })
}
