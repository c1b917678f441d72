/** What lanes keep over a restart: protection, rate and health, each as the engine wrote it. */
import type { IntegrationId } from "../domain/id.ts"
import { isHeld, type Queue, RECOVERED } from "../domain/queue.ts"
import { list, sql } from "./database.ts"
import type { KeptLane, LaneRecord } from "./ledger.ts"
import { change, row, rows, type Step } from "./step.ts"

/** Writes down what has changed of a lane; what is undefined stays as it was. */
export function* keepLane(lane: IntegrationId, { protection, rate, health }: LaneRecord): Step<void> {
  yield* change(sql`insert into lane (integration_id) values (${lane}) on conflict do nothing`)
  if (protection !== undefined)
    yield* change(sql`update lane set protection = ${protection} where integration_id = ${lane}`)
  if (rate !== undefined) yield* change(sql`update lane set rate = ${rate} where integration_id = ${lane}`)
  if (health !== undefined) yield* change(sql`update lane set health = ${health} where integration_id = ${lane}`)
}

/** What a lane kept and which of its queues something waits in, for those of these lanes that there are; all by default. */
export function* keptLanes(lanes?: readonly IntegrationId[]): Step<readonly KeptLane[]> {
  const found = yield* rows<LaneRow>(sql`
    select i.id, l.protection, l.rate, l.health,
      -- Indexes attempt_succeeded and attempt_failed: one look at the end of each.
      case when exists (select 1 from attempt a where a.integration_id = i.id and a.outcome = 'success')
        or exists (select 1 from attempt a where a.integration_id = i.id and a.outcome <> 'success')
        then 1 else 0 end as was_sent_to
    from integration i left join lane l on l.integration_id = i.id
    ${lanes === undefined ? sql`` : sql`where i.id in ${list(lanes)}`}`)
  const kept: KeptLane[] = []
  for (const { id, protection, rate, health, was_sent_to } of found) {
    const queues = yield* queuesOf(id)
    kept.push({
      ...{ integration: id, protection, rate, health },
      held: queues.filter(isHeld),
      hasRecovered: queues.includes(RECOVERED),
      wasSentTo: was_sent_to === 1,
    })
  }
  return kept
}

/** From one queue to the next, whatever the number of those who wait in each. Index delivery_due. */
function* queuesOf(lane: IntegrationId): Step<Queue[]> {
  const queues: Queue[] = []
  for (let last = -1; ; ) {
    const next: { queue: Queue } | undefined = yield* row<{ queue: Queue }>(sql`
      select queue from delivery
      where integration_id = ${lane} and queue > ${last} and next_at is not null order by queue limit 1`)
    if (next === undefined) return queues
    last = next.queue
    queues.push(last)
  }
}

interface LaneRow {
  readonly id: number
  readonly protection: string | null
  readonly rate: string | null
  readonly health: string | null
  readonly was_sent_to: number
}
