/** What tests of telling people need: the operational events of a program, and a failing time that goes by. */
import { items } from "./items.ts"
import type { Json, Program } from "./program.ts"

/** Endpoints without protection: its rests have rules of their own. */
export const unprotected = { protection: { enabled: false } } as const

/** The data of all operational events, or of those of a type, oldest first. */
export async function told(program: Program, type = "waybill.*"): Promise<Json[]> {
  const found: Json[] = []
  for (const event of await eventsOf(program, type)) {
    found.push((await program.call("GET", `/v1/events/${event.id}`)).payload ?? {})
  }
  return found
}

/** All operational events, or those of a type, oldest first. */
export async function eventsOf(program: Program, type = "waybill.*"): Promise<Json[]> {
  const { data } = await program.call("GET", "/v1/events?limit=200")
  const isWanted = ({ type: of }: Json) =>
    type.endsWith("*") ? String(of).startsWith(type.slice(0, -1)) : String(of) === type
  return items(data).filter(isWanted).reverse()
}

/** Resolves when nothing is due or under way any more. */
export function quiet(program: Program): Promise<void> {
  return program.until("what is due has been tried", async () => {
    const [row] = await program.rows<{ open: number }>(
      "select count(*) as open from delivery where status = 'sending' or next_at <= ?",
      program.now,
    )
    return row?.open === 0
  })
}

/** Lets so much time go by, in steps at whose end what is due is tried, and an event is sent. */
export async function goBy(program: Program, ms: number, everyMs: number): Promise<void> {
  for (let gone = 0; gone < ms; gone += everyMs) {
    program.turn(everyMs)
    await quiet(program)
    await program.send({ type: "order.paid", data: {} })
    await quiet(program)
  }
}
