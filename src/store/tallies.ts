/** Counts by hour: gathered while a commit is made, written with it. */
import type { Commit } from "./commit.ts"
import { sql } from "./database.ts"
import { FailureSheet } from "./failures.ts"
import { change, type Step } from "./step.ts"

const HOUR_MS = 3_600_000

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

export interface IngestTally {
  readonly project: number
  readonly at: number
  readonly source: string
  readonly key: number | null
  readonly app: number | null
  readonly type: string
  readonly bytes: number
  readonly refused: boolean
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
  readonly #ingest = new Map<string, { tally: IngestTally; events: number; bytes: number; refused: number }>()

  delivery(tally: DeliveryTally): void {
    const { integration, at, app, environment, type, outcome, reason } = tally
    const key = `${integration}|${hourOf(at)}|${app}|${environment}|${outcome}|${reason}|${type}`
    const entry = this.#deliveries.get(key)
    if (entry === undefined) this.#deliveries.set(key, { tally, count: 1 })
    else entry.count++
  }

  ingest(tally: IngestTally): void {
    const key = `${tally.project}|${hourOf(tally.at)}|${tally.key}|${tally.app}|${tally.type}|${tally.source}`
    let entry = this.#ingest.get(key)
    if (entry === undefined) {
      entry = { tally, events: 0, bytes: 0, refused: 0 }
      this.#ingest.set(key, entry)
    }
    if (tally.refused) entry.refused++
    else entry.events++
    entry.bytes += tally.bytes
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
    for (const { tally, events, bytes, refused } of this.#ingest.values()) {
      const { project, at, source, key, app, type } = tally
      yield* change(sql`
        insert into ingest_tally (project_id, hour, source, key_id, app_id, type, events, bytes, refused)
        values (
          ${project}, ${hourOf(at)}, ${source}, ${key ?? 0}, ${app ?? 0}, ${type}, ${events}, ${bytes}, ${refused}
        )
        on conflict (project_id, hour, source, key_id, app_id, type) do update set
          events = ingest_tally.events + excluded.events, bytes = ingest_tally.bytes + excluded.bytes,
          refused = ingest_tally.refused + excluded.refused`)
    }
  }
}
