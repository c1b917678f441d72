/**
 * The first integrations that some events went to, for a list that shows a few of each: a page of events that went to a
 * thousand integrations each would cost 200,000 look-ups.
 */
import type { EventId, IntegrationId, ProjectId } from "../domain/id.ts"
import { list, type Sql, sql } from "./database.ts"

export interface FirstTargets {
  readonly project: ProjectId
  readonly events: readonly EventId[]
  /** So many of each event at most. */
  readonly most: number
  /** Only these integrations count; all, where it is left out. */
  readonly within?: readonly IntegrationId[] | undefined
}

/**
 * A table of `event_id`, `integration_id` and `place` among the first. Primary keys: of `event`; or, where others are left out,
 * of `delivery`, for each of those that count.
 */
export function firstTargets({ project, events, most, within }: FirstTargets): Sql {
  if (within === undefined) {
    return sql`(
      select e.id as event_id, t.value as integration_id, t.key as place
      from event e cross join json_each(e.targets) t
      where e.project_id = ${project} and e.id in ${list(events)} and t.key < ${most})`
  }
  return sql`(
    select event_id, integration_id, place from (
      select o.event_id, o.integration_id, row_number() over (partition by o.event_id order by o.integration_id) as place
      from delivery o
      where o.integration_id in ${list(within)} and o.event_id in ${list(events)} and o.project_id = ${project}
    ) n
    where place <= ${most})`
}
