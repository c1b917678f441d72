/** Recoveries, as their tests make them, wait for them and judge them. */
import assert from "node:assert/strict"
import { type EventCounts, type EventStatus, eventStatus } from "../../src/domain/event.ts"
import { formatId } from "../../src/domain/id.ts"
import { type Json, MORNING, type Program } from "./program.ts"

const DAY_MS = 86_400_000
/** Recoveries are asked for from here on: the day before the tests begin. */
export const FROM = new Date(MORNING - DAY_MS).toISOString()

/** A policy under which the first failure is the last, and protection stays out of the way. */
export const once = { policy: { preset: "subscription", protection: { enabled: false } } }

/** Asks for a recovery; gives its id. */
export async function recover(program: Program, body: object): Promise<string> {
  return String((await program.call("POST", "/v1/recoveries", { from: FROM, ...body })).id)
}

/** A recovery as it is now. */
export const show = (program: Program, id: string): Promise<Json> => program.call("GET", `/v1/recoveries/${id}`)

/** Resolves with a recovery when it is done, or in another state. */
export async function ended(program: Program, id: string, state = "done"): Promise<Json> {
  await program.until(`${id} is ${state}`, async () => {
    const [row] = await program.rows<{ state: string; ended_at: number | null }>("select state, ended_at from recovery")
    return row?.state === state && (state === "paused" || row.ended_at !== null)
  })
  return show(program, id)
}

/** Numbers of a recovery's progress that are not 0. */
export function numbers({ progress }: Json): Record<string, unknown> {
  const names = "found queued waiting sending retrying delivered failed withheld expired other_apps changed".split(" ")
  return Object.fromEntries(names.flatMap(name => (Number(progress?.[name]) === 0 ? [] : [[name, progress?.[name]]])))
}

/** Every event's counts and status are those of its deliveries and withholdings. */
export async function assertCounts(program: Program): Promise<void> {
  const events = await program.rows<EventRow>("select * from event order by id")
  for (const event of events) {
    const rows = await program.rows<{ status: string; reason: string; integration_id: number }>(
      "select status, reason, integration_id from delivery where event_id = ?",
      event.id,
    )
    const count = (...statuses: string[]) => rows.filter(row => statuses.includes(row.status)).length
    const withheld = JSON.parse(event.withheld) as Record<string, number[]>
    const counts: EventCounts = {
      open: count("pending", "sending"),
      retrying: count("retrying", "skipped"),
      failed: count("failed"),
      delivered: count("delivered"),
      red: Object.entries(withheld)
        .filter(([code]) => ["not_verified", "integration_disabled", "missing_data"].includes(code))
        .reduce((sum, [, ids]) => sum + ids.length, rows.filter(row => row.reason === "missing_data").length),
    }
    const { n_open, n_retrying, n_failed, n_delivered, n_red } = event
    const kept = { open: n_open, retrying: n_retrying, failed: n_failed, delivered: n_delivered, red: n_red }
    assert.deepEqual(kept, counts, `counts of ${event.id}`)
    assert.equal(event.status, eventStatus(counts))
    const targets = (JSON.parse(event.targets) as number[]).sort()
    assert.deepEqual(targets, rows.map(row => row.integration_id).sort(), `targets of ${event.id}`)
    for (const ids of Object.values(withheld)) for (const id of ids) assert.ok(!targets.includes(id))
  }
}

interface EventRow {
  readonly id: number
  readonly status: EventStatus
  readonly targets: string
  readonly withheld: string
  readonly n_open: number
  readonly n_retrying: number
  readonly n_failed: number
  readonly n_delivered: number
  readonly n_red: number
}

/** Sends events and waits until each has failed for good. */
export async function failAll(program: Program, count: number, type = "a"): Promise<number[]> {
  const before =
    (await program.rows<{ n: number }>("select count(*) as n from delivery where status = 'failed'"))[0]?.n ?? 0
  const sent: number[] = []
  for (let i = 0; i < count; i++) sent.push(await program.send({ type, data: { i } }))
  await program.until("all have failed", async () => {
    const [row] = await program.rows<{ n: number }>("select count(*) as n from delivery where status = 'failed'")
    return row?.n === before + count
  })
  return sent
}

export async function stateOf(program: Program, id: string): Promise<string | undefined> {
  const rows = await program.rows<{ id: number; state: string }>("select id, state from recovery")
  return rows.find(row => formatId("rec", row.id) === id)?.state
}

/** How many were queued by all recoveries so far. */
export async function queued(program: Program): Promise<number> {
  const [row] = await program.rows<{ n: number | null }>(
    "select sum(count) as n from recovery_tally where outcome = 'queued'",
  )
  return row?.n ?? 0
}

/** How many recovered deliveries wait for their first try. */
export async function waiting(program: Program): Promise<number> {
  const [row] = await program.rows<{ n: number }>(
    "select count(*) as n from delivery where recovery_id is not null and status in ('pending', 'skipped')",
  )
  return row?.n ?? 0
}
