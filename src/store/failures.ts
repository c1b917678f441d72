/**
 * Failures that look alike, in groups: summed while a commit is made and written with it, as the tallies are. A group
 * tells one cause from another where a count of errors cannot.
 */
import type { AttemptId, EventId, IntegrationId, ProjectId } from "../domain/id.ts"
import { messageOfAnswer, normaliseMessage, secretParts, withoutSecrets } from "../domain/normalise-message.ts"
import { isRed, type ReasonCode } from "../domain/reason.ts"
import type { Commit } from "./commit.ts"
import { sql } from "./database.ts"
import { METADATA_MS } from "./kept.ts"
import type { Settlement } from "./ledger.ts"
import type { Reader } from "./reader.ts"
import { change, type Step } from "./step.ts"

/** How many groups an integration has; those that were seen the longest ago go. */
export const GROUPS_KEPT = 200

/** What is alike. */
export interface Alike {
  readonly integration: IntegrationId
  readonly reason: ReasonCode
  /** Of the answer; null where none came. */
  readonly status: number | null
  /** Normalised; empty where nothing was said. */
  readonly message: string
}

interface Failure extends Alike {
  readonly project: ProjectId
  readonly at: number
  readonly event: EventId
  /** Null where no attempt was made. */
  readonly attempt: AttemptId | null
}

export interface FailureGroup extends Alike {
  readonly id: number
  readonly firstAt: number
  readonly lastAt: number
  readonly count: number
  /** The last of them. */
  readonly event: EventId
  readonly attempt: AttemptId | null
}

/** Sums of one commit. Holds nothing, and costs nothing, while all goes well. */
export class FailureSheet {
  #groups: Map<string, { first: Failure; last: Failure; count: number }> | undefined

  /** Notes what a settlement failed with, if it did; `attempt` is the id under which its attempt was recorded. */
  settled(now: number, settlement: Settlement, attempt: AttemptId | null): void {
    const alike = alikeOf(settlement)
    if (alike === null) return
    const { claim } = settlement
    const at = settlement.attempt?.startedAt ?? now
    const failure = { ...alike, project: claim.project, at, event: claim.delivery.event, attempt }
    const key = `${alike.integration}|${alike.reason}|${alike.status}|${alike.message}`
    this.#groups ??= new Map()
    const group = this.#groups.get(key)
    if (group === undefined) {
      this.#groups.set(key, { first: failure, last: failure, count: 1 })
    } else {
      group.last = failure
      group.count++
    }
  }

  /** Adds the sums to the table, in the commit that is open. */
  *write(commit: Pick<Commit, "nextId">): Step<void> {
    for (const { first, last, count } of this.#groups?.values() ?? []) {
      const { integration, reason, message } = first
      const status = first.status ?? 0
      const added = yield* change(sql`
        update failure_group set
          last_at = case when last_at > ${last.at} then last_at else ${last.at} end, count = count + ${count},
          event_id = ${last.event}, attempt_id = ${last.attempt}
        where integration_id = ${integration} and reason = ${reason} and status = ${status} and message = ${message}`)
      if (added !== 0) continue
      const id = yield* commit.nextId()
      yield* change(sql`
        insert into failure_group (
          id, project_id, integration_id, reason, status, message, first_at, last_at, count, event_id, attempt_id
        ) values (
          ${id}, ${first.project}, ${integration}, ${reason}, ${status}, ${message}, ${first.at}, ${last.at}, ${count},
          ${last.event}, ${last.attempt}
        )`)
      // Index: failure_group_by_last; an integration has one more than are kept at most.
      yield* change(sql`
        delete from failure_group where id in (
          select id from failure_group where integration_id = ${integration}
          order by last_at desc, id desc limit 1000 offset ${GROUPS_KEPT})`)
    }
  }
}

/** What a settlement failed with; null where it did not fail, or nobody knows whether it did. */
export function alikeOf({ claim, attempt, attemptReason, next }: Settlement): Alike | null {
  const { integration } = claim.delivery
  if (attempt !== null) {
    if (attempt.outcome === "success" || attempt.outcome === "interrupted" || attemptReason === null) return null
    const { exchange } = attempt
    const answer = exchange?.kind === "answered" ? exchange.answer : null
    const said = answer !== null ? messageOfAnswer(answer) : exchange?.kind === "broken" ? exchange.message : ""
    const secrets = attempt.requestHeaders.flatMap(header => (header.secret === true ? secretParts(header.value) : []))
    return {
      integration,
      reason: attemptReason.code,
      status: answer?.status ?? null,
      message: normaliseMessage(withoutSecrets(said, secrets)),
    }
  }
  // Without a request: a field was missing, a mapping failed, no request could be formed.
  if (next.status !== "failed" && !(next.status === "withheld" && isRed(next.reason.code))) return null
  const { code, facts } = next.reason
  if (ends.includes(code)) return null
  const said = [facts["field"], facts["header"], facts["detail"]].filter(fact => typeof fact === "string")
  return { integration, reason: code, status: null, message: normaliseMessage(said.join(": ")) }
}

/** Ends that follow from what was decided about the whole integration, or from time: they tell no cause. */
const ends: readonly ReasonCode[] = [
  "integration_disabled",
  "integration_removed",
  "person_erased",
  "payload_expired",
  "sleeping",
  "no_recent_success",
]

/** The group key of an attempt as it is kept; `body` where its answer still is. */
export function alikeOfKept(
  integration: IntegrationId,
  attempt: { readonly reason: ReasonCode | null; readonly status: number | null; readonly message: string | null },
  answer: Parameters<typeof messageOfAnswer>[0] | null,
  secrets: readonly string[],
): Alike | null {
  if (attempt.reason === null) return null
  const said = attempt.message ?? (answer === null ? "" : messageOfAnswer(answer))
  const message = normaliseMessage(withoutSecrets(said, secrets.flatMap(secretParts)))
  return { integration, reason: attempt.reason, status: attempt.status, message }
}

interface GroupRow {
  readonly id: number
  readonly integration_id: number
  readonly reason: ReasonCode
  readonly status: number
  readonly message: string
  readonly first_at: number
  readonly last_at: number
  readonly count: number
  readonly event_id: number
  readonly attempt_id: number | null
}

const columns = sql`
  g.id, g.integration_id, g.reason, g.status, g.message, g.first_at, g.last_at, g.count, g.event_id, g.attempt_id`

function groupOfRow(row: GroupRow): FailureGroup {
  return {
    id: row.id,
    integration: row.integration_id,
    reason: row.reason,
    status: row.status === 0 ? null : row.status,
    message: row.message,
    firstAt: row.first_at,
    lastAt: row.last_at,
    count: row.count,
    event: row.event_id,
    attempt: row.attempt_id,
  }
}

/** Groups of an integration, the last seen first, after a place in the list. Index: failure_group_by_last. */
export async function listFailures(
  db: Reader,
  asked: {
    readonly project: ProjectId
    readonly integration: IntegrationId
    /** Where the page before ended. */
    readonly after?: { readonly lastAt: number; readonly id: number } | undefined
    readonly from?: number | undefined
    readonly limit: number
    readonly now: number
  },
): Promise<FailureGroup[]> {
  const { project, integration, after, from = 0, limit, now } = asked
  const below = after === undefined ? sql`` : sql`and (g.last_at, g.id) < (${after.lastAt}, ${after.id})`
  const rows = await db.query<GroupRow>(sql`
    select ${columns} from failure_group g
    where g.integration_id = ${integration} and g.project_id = ${project}
      and g.last_at > ${Math.max(from - 1, now - METADATA_MS)} ${below}
    order by g.last_at desc, g.id desc limit ${limit}`)
  return rows.map(groupOfRow)
}

/**
 * The group of failures like this one. Where the answer is no longer kept its message cannot be told: then the group of
 * the same reason and status, if there is only one. Index: the unique one.
 */
export async function groupLike(db: Reader, alike: Alike, knowsMessage: boolean): Promise<FailureGroup | undefined> {
  const { integration, reason, status, message } = alike
  const rows = await db.query<GroupRow>(sql`
    select ${columns} from failure_group g
    where g.integration_id = ${integration} and g.reason = ${reason} and g.status = ${status ?? 0}
      ${knowsMessage ? sql`and g.message = ${message}` : sql``}
    limit 2`)
  return rows.length === 1 ? rows.map(groupOfRow)[0] : undefined
}
