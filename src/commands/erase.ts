/** `waybill erase`: a person goes, with all that is kept of them; and a report of what there was. */
import { setTimeout as wait } from "node:timers/promises"
import type { Command } from "commander"
import { clientOf, type ServerFlags, withServer } from "./client.ts"
import { oneLine, type Terminal } from "./terminal.ts"

interface ErasureView {
  readonly id: string
  readonly state: "running" | "done"
  readonly profile_hash: string
  readonly created_at: string
  readonly finished_at: string | null
  readonly report: Readonly<Record<string, number>>
}

/** How often it is asked how far an erasure is. */
const FOLLOW_MS = 500

/** What a report counts, in words. */
const words: Readonly<Record<string, string>> = {
  events: "events",
  deliveries: "deliveries",
  deliveries_ended: "of these still waited",
  attempts: "attempts",
  payloads: "payloads",
  exchanges: "requests with their answers",
  search_entries: "entries of the search index",
  leftovers: "attempts and entries without their event, theirs or others'",
  rejections: "refused requests",
  inbox_requests: "requests in inboxes",
}

export function addErase(program: Command, terminal: Terminal): void {
  withServer(program.command("erase").summary("erase a person: all events with their profile_id"))
    .description(
      "Erases all that is kept of the events with a profile_id: events, payloads, deliveries, attempts, and what refused requests and inboxes held. What waits is not sent any more; what comes in later is kept. Waits for the report.",
    )
    .argument("<profile>", "the profile_id, as events bear it")
    .option("--no-wait", "do not wait for the report")
    .addHelpText("after", "\nExample:\n  $ waybill erase user-1842")
    .action((profile: string, flags: ServerFlags & { wait: boolean }) => erase(profile, flags, terminal))
}

async function erase(
  profile: string,
  flags: ServerFlags & { readonly wait: boolean },
  terminal: Terminal,
): Promise<void> {
  const client = clientOf(flags, terminal)
  let { text, value } = await client.post<ErasureView>("/v1/erasures", { profile_id: profile })
  while (flags.wait && value.state !== "done") {
    await wait(FOLLOW_MS)
    ;({ text, value } = await client.get<ErasureView>(`/v1/erasures/${value.id}`))
  }
  if (flags.json) {
    terminal.print(text)
    return
  }
  if (value.state !== "done") {
    terminal.print(`${value.id} has begun. Its report: GET /v1/erasures/${value.id}`)
    return
  }
  terminal.print(`${value.id}: ${oneLine(profile)} was erased, ${terminal.time(value.finished_at)}.`)
  for (const [name, word] of Object.entries(words)) terminal.print(`  ${value.report[name] ?? 0} ${word}`)
}
