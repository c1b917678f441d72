/** Counts by hour: gathered while a commit is made, written with it. What accepting comes to is none of them: see arrival-tallies.ts. */
import { HOUR_MS } from "../domain/duration.ts"
import type { Commit } from "./commit.ts"
import { sql } from "./database.ts"
import { FailureSheet } from "./failures.ts"
import { change, type Step } from "./step.ts"

/** The start of the UTC hour of a time, in ms: the bucket that a count belongs to. */
export function hourOf(timeMs: number): number {
  return timeMs - (timeMs % HOUR_MS)
}

/** What is counted of deliveries. `routed`, `delivered`, `failed` and `withheld` count deliveries, the rest attempts. */
export type TallyOutcome =
  | "routed"
  | "delivered"
  | "failed"
  | "withheld"
  | "success"
  | "error"
  | "interrupted"
  | "sender_fault"
  | "skipped"

export interface DeliveryTally {
  readonly project: number
  readonly integration: number
  readonly at: number
  readonly app: number | null
  readonly environment: string
  readonly type: string
  readonly outcome: TallyOutcome
  readonly reason: string
}

/** What a recovery counts at each integration. */
export interface RecoveryTally {
  readonly recovery: number
  readonly integration: number
  /**
   * `found`: fits what was asked for. `queued`, `returned`: made due, and given back unsent. `kept`, `expired`,
   * `other_apps`: found but not queued, `kept` for a reason. `changed`: no longer as it was found. `delivered`, `failed`,
   * `withheld`: how those that were queued have ended. `taken`: retried by hand while it was on its way.
   */
  readonly outcome: RecoveryOutcome
  readonly reason: string
}

export type RecoveryOutcome =
  | "found"
  | "queued"
  | "returned"
  | "kept"
  | "expired"
  | "other_apps"
  | "changed"
  | "delivered"
  | "failed"
  | "withheld"
  | "taken"

/** Sums of one commit: a hundred events of one type cost one row written, not a hundred. */
export class TallySheet {
  /** What failed, by what it has in common. */
  readonly failures = new FailureSheet()
  readonly #deliveries = new Map<string, { tally: DeliveryTally; count: number }>()
  readonly #recoveries = new Map<string, { tally: RecoveryTally; count: number }>()

  delivery(tally: DeliveryTally, count = 1): void {
    const { integration, at, app, environment, type, outcome, reason } = tally
    const key = `${integration}|${hourOf(at)}|${app}|${environment}|${outcome}|${reason}|${type}`
    const entry = this.#deliveries.get(key)
    if (entry === undefined) this.#deliveries.set(key, { tally, count })
    else entry.count += count
  }

  recovery(tally: RecoveryTally, count = 1): void {
    const key = `${tally.recovery}|${tally.integration}|${tally.outcome}|${tally.reason}`
    const entry = this.#recoveries.get(key)
    if (entry === undefined) this.#recoveries.set(key, { tally, count })
    else entry.count += count
  }

  /** Adds the sums to the tables, in the commit that is open. */
  *write(commit: Pick<Commit, "nextId">): Step<void> {
    yield* this.failures.write(commit)
    for (const { tally, count } of this.#deliveries.values()) {
      const { project, integration, at, app, environment, type, outcome, reason } = tally
      yield* change(sql`
        insert into delivery_tally (project_id, integration_id, hour, app_id, environment, type, outcome, reason, count)
        values (
          ${project}, ${integration}, ${hourOf(at)}, ${app ?? 0}, ${environment}, ${type}, ${outcome}, ${reason}, ${count}
        )
        on conflict (project_id, integration_id, hour, app_id, environment, type, outcome, reason)
        do update set count = delivery_tally.count + excluded.count`)
    }
    for (const { tally, count } of this.#recoveries.values()) {
      yield* change(sql`
        insert into recovery_tally (recovery_id, integration_id, outcome, reason, count)
        values (${tally.recovery}, ${tally.integration}, ${tally.outcome}, ${tally.reason}, ${count})
        on conflict (recovery_id, integration_id, outcome, reason)
        do update set count = recovery_tally.count + excluded.count`)
    }
  }
}
