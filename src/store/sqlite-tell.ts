/**
 * Tidings on SQLite: operational events and mails, in the commit or transaction of what they tell of. Either all of it is
 * on the disk or none, so that nobody is told of what did not happen, and nothing happens that nobody is told of.
 */
import type { Emitted, Mail, Tidings } from "./ledger.ts"
import { acceptOne } from "./sqlite-accept.ts"
import type { SqliteCommit } from "./sqlite-ledger.ts"

/** Accepts the events and writes the mails down. */
export function tell(commit: SqliteCommit, { emits = [], mails = [] }: Tidings): Emitted[] {
  for (const mail of mails) keepMail(commit, mail)
  return emits.map(arrival => ({ arrival, accepted: acceptOne(commit, arrival) }))
}

/** A mail is a job; a second one of its key is none. */
function keepMail({ db, ids, now }: SqliteCommit, { key, project, content }: Mail): void {
  db.statements.text(insertMail).run(ids.next(), project, key, now, content, now, now)
}

const insertMail = `
  insert into job (id, project_id, kind, key, state, due_at, cursor, created_at, updated_at)
  values (?, ?, 'mail', ?, 'due', ?, ?, ?, ?)
  on conflict (key) do nothing`
