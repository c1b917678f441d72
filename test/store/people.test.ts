/** People in the store: what retention lets go of, and that nothing else goes. */
import assert from "node:assert/strict"
import { test } from "node:test"
import { PASSWORD_RESET_MS, SIGN_IN_WINDOW_MS } from "../../src/domain/person.ts"
import { sql } from "../../src/store/database.ts"
import { insertInvitation } from "../../src/store/invitations.ts"
import { METADATA_MS } from "../../src/store/kept.ts"
import { findReset, insertReset } from "../../src/store/password-resets.ts"
import { insertPerson, saveMembership } from "../../src/store/people.ts"
import { Retention } from "../../src/store/retention.ts"
import { findSession, insertSession, touchSession } from "../../src/store/sessions.ts"
import { countTry } from "../../src/store/sign-in-limits.ts"
import type { Store } from "../../src/store/store.ts"
import { clearPlace, newPlace, openAt } from "../help/engines.ts"

const NOW = Date.UTC(2026, 10, 21, 10)
const HOUR = 3_600_000
const DAY = 24 * HOUR

/** Lets go of what is due at a time. */
async function letGo(store: Store, at: number): Promise<void> {
  for (const step of new Retention(store).steps(at, true)) {
    if (!["sessions", "invitations", "links for new passwords", "tries to sign in"].includes(step.name)) continue
    for await (const _ of step.pieces());
  }
}

test("ended sessions, invitations long past, old links and tries that no longer count go; people stay", async t => {
  const place = await newPlace()
  const store = await openAt(place, () => NOW)
  t.after(() => clearPlace(place))
  t.after(() => store.close())
  const { db } = store
  const made = { email: "ada@shop.example", name: "Ada", password: null, verifiedAt: null, createdAt: NOW }
  assert.equal(await insertPerson(db, { id: 1, ...made }), true)
  assert.equal(await insertPerson(db, { id: 2, ...made, email: "ADA@shop.example" }), false, "the same address")
  await saveMembership(db, { project: 7, person: 1, role: "owner", createdAt: NOW })
  const session = { person: 1, project: 7, way: "password", address: "::1", agent: null, at: NOW } as const
  await insertSession(db, { ...session, id: 10, hash: "idle" })
  await insertSession(db, { ...session, id: 11, hash: "used" })
  const used = await findSession(db, "used", NOW)
  assert.ok(used)
  await touchSession(db, used, NOW + HOUR)
  const invitation = {
    project: 7,
    email: "b@shop.example",
    role: "viewer",
    by: { kind: "operator", id: null },
  } as const
  await insertInvitation(db, { ...invitation, id: 20, createdAt: NOW, expiresAt: NOW + DAY }, "a")
  await countTry(db, "somebody", NOW)
  await insertReset(db, { hash: "link", person: 1, at: NOW, expiresAt: NOW + PASSWORD_RESET_MS })
  const count = async () =>
    (
      await db.query<{ sessions: number; invitations: number; tries: number; people: number }>(sql`
        select (select count(*) from session) as sessions, (select count(*) from invitation) as invitations,
          (select count(*) from sign_in_limit) as tries, (select count(*) from person) as people`)
    )[0]
  await letGo(store, NOW + SIGN_IN_WINDOW_MS - 1)
  assert.deepEqual({ ...(await count()) }, { sessions: 2, invitations: 1, tries: 1, people: 1 })
  assert.ok(await findReset(db, "link"))
  await letGo(store, NOW + PASSWORD_RESET_MS)
  assert.equal(await findReset(db, "link"), undefined)
  await letGo(store, NOW + 12 * HOUR)
  assert.deepEqual({ ...(await count()) }, { sessions: 1, invitations: 1, tries: 0, people: 1 })
  assert.ok(await findSession(db, "used", NOW + 13 * HOUR - 1))
  assert.equal(await findSession(db, "used", NOW + 13 * HOUR), undefined)
  await letGo(store, NOW + DAY + METADATA_MS)
  assert.deepEqual({ ...(await count()) }, { sessions: 0, invitations: 0, tries: 0, people: 1 })
})
