/** What the tallies should say of events that were accepted, reckoned from the events' rows one by one, apart from the program. */

/** Rows of a query on the database; the caller names the type that it gives. */
export type Query = <Row extends object>(text: string) => Promise<readonly Row[]>

interface EventRow {
  readonly project_id: number
  readonly received_at: number
  readonly source: string
  readonly key_id: number | null
  readonly app_id: number | null
  readonly environment: string
  readonly type: string
  readonly targets: string
  readonly withheld: string
  readonly payload_bytes: number
}

/** Sums by what they are of. */
export type Sums = Readonly<Record<string, number>>

/** What is kept of accepting. */
export async function keptArrivals(query: Query): Promise<Sums> {
  const sums: Record<string, number> = {}
  const deliveries = await query<Record<string, string | number>>(
    "select * from delivery_tally where outcome in ('routed', 'withheld') and count <> 0",
  )
  for (const row of deliveries) {
    const dimensions = ["project_id", "integration_id", "hour", "app_id", "environment", "type", "outcome", "reason"]
    sums[dimensions.map(name => row[name]).join(" ")] = Number(row["count"])
  }
  for (const row of await query<Record<string, string | number>>("select * from ingest_tally where events <> 0")) {
    const key = ["project_id", "hour", "source", "key_id", "app_id", "type"].map(name => row[name]).join(" ")
    sums[`${key} events`] = Number(row["events"])
    sums[`${key} bytes`] = Number(row["bytes"])
  }
  return sums
}

/** What should be kept of the events that satisfy a condition. */
async function expectedArrivals(query: Query, which: string): Promise<Sums> {
  const sums: Record<string, number> = {}
  const add = (key: string, count: number) => {
    sums[key] = (sums[key] ?? 0) + count
  }
  for (const row of await query<EventRow>(`select * from event where test = 0 and ${which}`)) {
    const { project_id, source, environment, type, targets, withheld } = row
    const hour = Number(row.received_at) - (Number(row.received_at) % 3_600_000)
    const [app, key] = [row.app_id ?? 0, row.key_id ?? 0]
    add(`${project_id} ${hour} ${source} ${key} ${app} ${type} events`, 1)
    add(`${project_id} ${hour} ${source} ${key} ${app} ${type} bytes`, Number(row.payload_bytes))
    for (const integration of JSON.parse(targets) as number[]) {
      add(`${project_id} ${integration} ${hour} ${app} ${environment} ${type} routed `, 1)
    }
    for (const [reason, integrations] of Object.entries(JSON.parse(withheld) as Record<string, number[]>)) {
      for (const integration of integrations) {
        add(`${project_id} ${integration} ${hour} ${app} ${environment} ${type} withheld ${reason}`, 1)
      }
    }
  }
  return sums
}

/** Where what is kept is not what events come to, those that have been tallied as a rule: what is kept and what should be. */
export async function wrongArrivals(
  query: Query,
  which = "id <= (select event_id from tally_marker)",
): Promise<Readonly<Record<string, readonly [number, number]>>> {
  const kept = await keptArrivals(query)
  const expected = await expectedArrivals(query, which)
  const wrong = [...new Set([...Object.keys(kept), ...Object.keys(expected)])].flatMap(key => {
    const pair = [kept[key] ?? 0, expected[key] ?? 0] as const
    return pair[0] === pair[1] ? [] : [[key, pair] as const]
  })
  return Object.fromEntries(wrong)
}

/** The question whether all events have been tallied. */
export const isTalliedText =
  "select not exists (select 1 from event where id > (select event_id from tally_marker)) as tallied"
