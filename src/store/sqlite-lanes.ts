/** What lanes keep over a restart: protection, rate and health, each as the engine wrote it. */
import type { IntegrationId } from "../domain/id.ts"
import { isHeld, type Queue, RECOVERED } from "../domain/queue.ts"
import type { KeptLane, LaneRecord } from "./ledger.ts"
import type { Commit } from "./sqlite-ledger.ts"

/** Writes down what has changed of a lane; what is undefined stays as it was. */
export function keepLane({ db }: Commit, lane: IntegrationId, record: LaneRecord): void {
  db.statements.text(insertLane).run(lane)
  if (record.protection !== undefined) db.statements.text(setProtection).run(record.protection, lane)
  if (record.rate !== undefined) db.statements.text(setRate).run(record.rate, lane)
  if (record.health !== undefined) db.statements.text(setHealth).run(record.health, lane)
}

/** All lanes that kept something or hold deliveries back. */
export function keptLanes({ db }: Commit): readonly KeptLane[] {
  const rows = db.statements.text(selectLanes).all() as unknown as LaneRow[]
  return rows.map(({ id, protection, rate, health }) => {
    const queues = queuesOf(id)
    const hasRecovered = queues.includes(RECOVERED)
    return { integration: id, protection, rate, health, held: queues.filter(isHeld), hasRecovered }
  })

  // From one queue to the next, whatever the number of those who wait in each. Index delivery_due.
  function queuesOf(lane: IntegrationId): Queue[] {
    const queues: Queue[] = []
    const next = db.statements.text(selectQueue)
    for (let queue: unknown = -1; typeof queue === "number"; ) {
      queue = next.get(lane, queue)?.queue
      if (typeof queue === "number") queues.push(queue)
    }
    return queues
  }
}

interface LaneRow {
  readonly id: number
  readonly protection: string | null
  readonly rate: string | null
  readonly health: string | null
}

const insertLane = "insert into lane (integration_id) values (?) on conflict do nothing"
const setProtection = "update lane set protection = ? where integration_id = ?"
const setRate = "update lane set rate = ? where integration_id = ?"
const setHealth = "update lane set health = ? where integration_id = ?"

const selectLanes = `
  select i.id, l.protection, l.rate, l.health from integration i left join lane l on l.integration_id = i.id`

const selectQueue = `
  select queue from delivery
  where integration_id = ? and queue > ? and next_at is not null order by queue limit 1`
