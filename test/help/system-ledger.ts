/** What Waybill itself says of its events, deliveries and attempts: read from the database's file, past the program. */
import { DatabaseSync } from "node:sqlite"
import { isTalliedText } from "./tallies.ts"

/** An event as it is stored. */
export interface StoredEvent {
  readonly id: number
  readonly external_id: string
  readonly status: string
  /** Ids of integrations, as JSON; those withheld by reason. */
  readonly targets: string
  readonly withheld: string
}

export interface StoredDelivery {
  readonly integration_id: number
  readonly event_id: number
  readonly status: string
  readonly reason: string | null
  readonly attempts: number
}

export interface StoredAttempt {
  readonly integration_id: number
  readonly event_id: number
  readonly number: number
  readonly started_at: number
  readonly outcome: string
  /** Of the answer; null where none came. */
  readonly status: number | null
  /** How far it came that has no answer; null or left out where there is one, or nobody knows. */
  readonly phase?: string | null
}

export interface SystemLedger {
  readonly events: readonly StoredEvent[]
  readonly deliveries: readonly StoredDelivery[]
  readonly attempts: readonly StoredAttempt[]
}

/** Opens the database of a data folder for reading, whether Waybill runs on it or has ended; close it afterwards. */
export function openDatabase(dataDir: string): DatabaseSync {
  return new DatabaseSync(`${dataDir}/waybill.db`, { readOnly: true, timeout: 5_000 })
}

/** Rows of a query on a data folder. The caller names the type that the query gives. */
export function queryDatabase<Row>(dataDir: string, text: string, ...values: readonly (string | number)[]): Row[] {
  const connection = openDatabase(dataDir)
  try {
    // Spread, because SQLite's rows have no prototype and equal nothing that a test can write down.
    return connection
      .prepare(text)
      .all(...values)
      .map(row => ({ ...row })) as Row[]
  } finally {
    connection.close()
  }
}

/** Everything that the oracle holds against the other ledgers. */
export function readSystem(dataDir: string): SystemLedger {
  return {
    // Operational events have no sender that could tell of them.
    events: queryDatabase(
      dataDir,
      "select id, external_id, status, targets, withheld from event where test = 0 and type not like 'waybill.%'",
    ),
    deliveries: queryDatabase(dataDir, "select integration_id, event_id, status, reason, attempts from delivery"),
    attempts: queryDatabase(
      dataDir,
      "select integration_id, event_id, number, started_at, outcome, status, phase from attempt order by id",
    ),
  }
}

/** The same as if there were only these integrations: what others got, whose receivers keep no ledger, is left out. */
export function onlyTo({ events, deliveries, attempts }: SystemLedger, integrations: readonly number[]): SystemLedger {
  const isOne = (id: number) => integrations.includes(id)
  return {
    events: events.map(event => ({
      ...event,
      targets: JSON.stringify((JSON.parse(event.targets) as number[]).filter(isOne)),
    })),
    deliveries: deliveries.filter(delivery => isOne(delivery.integration_id)),
    attempts: attempts.filter(attempt => isOne(attempt.integration_id)),
  }
}

/** How many deliveries are claimed: those that were under way when the process ended. */
export function countClaims(dataDir: string): number {
  return queryDatabase<{ n: number }>(dataDir, "select count(*) as n from delivery where claim is not null")[0]?.n ?? 0
}

/** How many deliveries still wait or are under way. By their indexes: a scan of all takes the processor from Waybill. */
export function countOpen(dataDir: string): number {
  const text = `
    select (select count(*) from delivery where claim is not null)
      + (select count(*) from delivery where claim is null and next_at is not null) as n`
  return queryDatabase<{ n: number }>(dataDir, text)[0]?.n ?? 0
}

/** Resolves when nothing waits and nothing is under way any more; throws where that takes longer than `limitMs`. */
export async function drained(dataDir: string, limitMs: number): Promise<void> {
  const text = `
    select exists (select 1 from delivery where claim is not null)
      or exists (select 1 from delivery where next_at is not null) as waits`
  const isDrained = () => queryDatabase<{ waits: number }>(dataDir, text)[0]?.waits === 0
  await until(`the backlog is gone within ${limitMs / 1_000} s`, limitMs, isDrained)
}

/** Looks every 20 ms until something is so; throws where it takes longer than `limitMs`. `what` says what should be so. */
export async function until(what: string, limitMs: number, isSo: () => boolean | Promise<boolean>): Promise<void> {
  const deadline = performance.now() + limitMs
  while (!(await isSo())) {
    if (performance.now() > deadline) throw new Error(`It was to be seen that ${what}.`)
    await new Promise(resolve => setTimeout(resolve, 20))
  }
}

/**
 * Events whose stored status is not what their deliveries and withholdings come to. Says it again in SQL, apart from the
 * program's own function.
 */
export function wrongStatuses(dataDir: string, redReasons: readonly string[]): { id: number; status: string }[] {
  const red = redReasons.map(code => `'${code}'`).join(", ")
  return queryDatabase(
    dataDir,
    `with counts as (
       select event_id, sum(status in ('pending', 'sending')) as open, sum(status in ('retrying', 'skipped')) as retrying,
         sum(status = 'failed' or (status = 'withheld' and reason in (${red}))) as failed,
         sum(status = 'delivered') as delivered
       from delivery group by event_id
     ), facts as (
       select e.id, e.status, c.*,
         exists (select 1 from json_each(e.withheld) w where w.key in (${red})) as red
       from event e left join counts c on c.event_id = e.id
     )
     select id, status from facts where status <> case
       when failed > 0 or red then 'failed'
       when retrying > 0 then 'retrying'
       when open > 0 then 'processing'
       when delivered > 0 then 'delivered'
       else 'received' end`,
  )
}

/** Resolves when all that came in has been tallied. */
export async function tallied(dataDir: string): Promise<void> {
  const isTallied = () => queryDatabase<{ tallied: number }>(dataDir, isTalliedText)[0]?.tallied === 1
  await until("all is tallied within 10 s", 10_000, isTallied)
}

/**
 * Tallies that are not what the rows come to: each line is a key with the count kept and the count found. Of events that have
 * not been tallied yet nothing is kept but what became of their deliveries.
 */
export function wrongTallies(dataDir: string): { key: string; kept: number; found: number }[] {
  return queryDatabase(
    dataDir,
    `with dimensions as (select id, coalesce(app_id, 0) as app, environment, type, received_at, withheld from event where test = 0),
     tallied as (select * from dimensions where id <= (select event_id from tally_marker)),
     rows as (
       select d.integration_id as integration, d.created_at as at, e.app, e.environment, e.type, 'routed' as outcome, '' as reason
       from delivery d join tallied e on e.id = d.event_id
       union all
       select d.integration_id, d.updated_at, e.app, e.environment, e.type, d.status,
         case d.status when 'delivered' then '' else d.reason end
       from delivery d join dimensions e on e.id = d.event_id where d.status in ('delivered', 'failed', 'withheld')
       union all
       select a.integration_id, a.started_at, e.app, e.environment, e.type, a.outcome, coalesce(a.reason, '')
       from attempt a join dimensions e on e.id = a.event_id
       union all
       select i.value, e.received_at, e.app, e.environment, e.type, 'withheld', w.key
       from tallied e, json_each(e.withheld) w, json_each(w.value) i
     ), found as (
       select integration || ' ' || (at - at % 3600000) || ' ' || app || ' ' || environment || ' ' || type || ' ' || outcome
         || ' ' || reason as key, count(*) as n
       from rows group by 1
     ), kept as (
       select integration_id || ' ' || hour || ' ' || app_id || ' ' || environment || ' ' || type || ' ' || outcome
         || ' ' || reason as key, count as n
       from delivery_tally where outcome <> 'skipped' -- a skip is no attempt and leaves no row
     ), ingest as (
       select (received_at - received_at % 3600000) || ' ' || coalesce(key_id, 0) || ' ' || coalesce(app_id, 0) || ' ' || type as key,
         count(*) as events, sum(payload_bytes) as bytes
       from event where test = 0 and id <= (select event_id from tally_marker) group by 1
     ), kept_ingest as (
       select hour || ' ' || key_id || ' ' || app_id || ' ' || type as key, sum(events) as events, sum(bytes) as bytes
       from ingest_tally group by 1
     )
     select coalesce(k.key, f.key) as key, coalesce(k.n, 0) as kept, coalesce(f.n, 0) as found
     from kept k full join found f on f.key = k.key where k.n is not f.n
     union all
     select coalesce(k.key, f.key) || ' events', coalesce(k.events, 0), coalesce(f.events, 0)
     from kept_ingest k full join ingest f on f.key = k.key where k.events is not f.events
     union all
     select coalesce(k.key, f.key) || ' bytes', coalesce(k.bytes, 0), coalesce(f.bytes, 0)
     from kept_ingest k full join ingest f on f.key = k.key where k.bytes is not f.bytes`,
  )
}
