/** An integration is switched off by what came of a delivery, in the commit of that. */
import { formatId } from "../domain/id.ts"
import type { Change } from "./changes.ts"
import type { Commit } from "./commit.ts"
import { sql } from "./database.ts"
import type { Claim, SwitchOff } from "./ledger.ts"
import { change, type Step } from "./step.ts"

/** Switches it off and notes the change; null where it was off already. */
export function* switchOff(commit: Commit, { delivery, project }: Claim, { cause }: SwitchOff): Step<Change | null> {
  const { now } = commit
  const { integration, event } = delivery
  const switched = yield* change(sql`
    update integration set
      enabled = 0, disabled_by = 'waybill', disabled_reason = ${cause}, disabled_at = ${now}, updated_at = ${now}
    where id = ${integration} and enabled = 1`)
  if (switched === 0) return null
  const noted: Change = {
    id: yield* commit.nextId(),
    project,
    at: now,
    kind: "integration.disabled",
    subject: formatId("int", integration),
    by: { kind: "waybill", id: cause },
    facts: { reason: cause, event: formatId("evt", event) },
  }
  yield* change(sql`
    insert into change (id, project_id, at, kind, subject, by_kind, by_id, facts)
    values (
      ${noted.id}, ${project}, ${now}, ${noted.kind}, ${noted.subject}, 'waybill', ${cause}, ${JSON.stringify(noted.facts)}
    )`)
  return noted
}
