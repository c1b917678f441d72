/** Signing in and changing the password while the account changes: what was checked has still to hold when it is done. */
import assert from "node:assert/strict"
import { describe, test } from "node:test"
import type { ProjectId } from "../../src/domain/id.ts"
import { Changes } from "../../src/engine/changes.ts"
import type { Entered, Refusal } from "../../src/engine/entry.ts"
import { Feed } from "../../src/engine/feed.ts"
import { Members } from "../../src/engine/members.ts"
import { PasswordResets } from "../../src/engine/password-resets.ts"
import { Passwords } from "../../src/engine/passwords.ts"
import { People } from "../../src/engine/people.ts"
import { openLog } from "../../src/log.ts"
import { insertReset } from "../../src/store/password-resets.ts"
import { insertPerson, saveMembership } from "../../src/store/people.ts"
import { freshProject, makeProject } from "../../src/store/projects.ts"
import type { LiveSession } from "../../src/store/sessions.ts"
import { hashToken } from "../../src/store/token.ts"
import { clearPlace, newPlace, openAt } from "../help/engines.ts"

const NOW = Date.UTC(2026, 10, 21, 10)
const [EMAIL, PASSWORD] = ["ada@shop.example", "correct horse battery"]
const nothing = async (): Promise<void> => undefined
const visit = { from: { address: "192.0.2.1", agent: null, request: "r" }, before: null }

/** Passwords after whose comparison something happens before anybody is told of it. */
class WatchedPasswords extends Passwords {
  meanwhile: () => Promise<unknown> = nothing

  override async isRight(password: string, kept: string | null): Promise<boolean> {
    const isRight = await super.isRight(password, kept)
    const { meanwhile } = this
    this.meanwhile = nothing
    await meanwhile()
    return isRight
  }
}

/** A Waybill with one owner, Ada, and the link for a new password that was mailed to her. */
interface Account {
  readonly project: ProjectId
  readonly people: People
  readonly members: Members
  readonly passwords: WatchedPasswords
  /** Uses the link. */
  readonly reset: (password: string) => Promise<Refusal | null>
}

async function withAccount<T>(work: (account: Account) => Promise<T>): Promise<T> {
  const place = await newPlace()
  const store = await openAt(place, () => NOW)
  try {
    const [changes, passwords] = [new Changes(store, new Feed(), () => undefined), new WatchedPasswords()]
    const id = store.ids.next()
    const project = { ...freshProject, id: store.ids.next(), name: "shop", createdAt: NOW }
    const key = { id: store.ids.next(), secret: "wb_a_key_of_this_test", createdBy: null }
    const password = await passwords.hash(PASSWORD)
    await store.db.transaction(async tx => {
      await makeProject(tx, project, key)
      await insertPerson(tx, { id, email: EMAIL, name: "Ada", password, verifiedAt: null, createdAt: NOW })
      await saveMembership(tx, { project: project.id, person: id, role: "owner", createdAt: NOW })
      await insertReset(tx, { hash: hashToken("mailed"), person: id, at: NOW, expiresAt: NOW + 60_000 })
    })
    const notifier = { isSetUp: true, wake: () => undefined }
    const resets = new PasswordResets({ store, changes, passwords: new Passwords(), notifier })
    return await work({
      project: project.id,
      people: new People({ store, changes, passwords, log: openLog("silent") }),
      members: new Members({ store, changes, passwords }),
      passwords,
      reset: next => resets.use("mailed", next, visit.from),
    })
  } finally {
    await store.close()
    await clearPlace(place)
  }
}

/** Signs in with the right password, while the members of the project are changed. */
function signInWhile(change: (members: Members) => Promise<unknown>): Promise<Entered | Refusal> {
  return withAccount(({ people, members, passwords }) => {
    passwords.meanwhile = () => change(members)
    return people.signIn(EMAIL, PASSWORD, visit)
  })
}

/** Signs in with the right password; gives the session and its token. */
async function enter(people: People, password = PASSWORD): Promise<{ token: string; session: LiveSession }> {
  const came = await people.signIn(EMAIL, password, visit)
  assert.equal(came.kind, "entered")
  return came as Entered
}

describe("whoever signs in", () => {
  test("with the right password is let in", async () => {
    assert.equal((await signInWhile(async () => undefined)).kind, "entered")
  })

  test("with a password that is changed meanwhile is not, as all sessions of before have ended", async () => {
    const came = await signInWhile(members => members.reset(EMAIL, "another horse battery"))
    assert.deepEqual(came, { kind: "wrong" })
  })

  test("to an account that is switched off meanwhile is told so", async () => {
    const came = await signInWhile(members => members.setDisabled(EMAIL, true))
    assert.deepEqual(came, { kind: "disabled" })
  })
})

describe("a change of the own password", () => {
  const [CHOSEN, MAILED] = ["the password of the change", "the password of the link"]
  const change = { current: PASSWORD, next: CHOSEN }
  const by = { kind: "person", id: null } as const

  test("ends the other sessions, and this one goes on with a new token", async () => {
    await withAccount(async ({ people }) => {
      const [other, own] = [await enter(people), await enter(people)]
      const changed = await people.changePassword(own.session, change, by, visit.from)
      assert.ok(changed.kind === "entered")
      assert.notEqual(await people.holds(changed.token), undefined)
      assert.deepEqual([await people.holds(own.token), await people.holds(other.token)], [undefined, undefined])
      await enter(people, CHOSEN)
    })
  })

  test("does not undo the reset by a mailed link that was used while it was under way", async () => {
    await withAccount(async ({ people, passwords, reset }) => {
      const { token, session } = await enter(people)
      passwords.meanwhile = async () => assert.equal(await reset(MAILED), null)
      assert.deepEqual(await people.changePassword(session, change, by, visit.from), { kind: "wrong" })
      assert.equal(await people.holds(token), undefined)
      assert.deepEqual(await people.signIn(EMAIL, CHOSEN, visit), { kind: "wrong" })
      await enter(people, MAILED)
    })
  })

  test("in a session that was ended meanwhile is refused, and the password stays", async () => {
    await withAccount(async ({ people, passwords }) => {
      const [own, other] = [await enter(people), await enter(people)]
      passwords.meanwhile = () => people.signOutEverywhere(other.session, by)
      assert.deepEqual(await people.changePassword(own.session, change, by, visit.from), { kind: "ended" })
      await enter(people)
    })
  })

  test("of an account that is switched off meanwhile is refused", async () => {
    await withAccount(async ({ people, members, passwords }) => {
      const { session } = await enter(people)
      passwords.meanwhile = () => members.setDisabled(EMAIL, true)
      assert.deepEqual(await people.changePassword(session, change, by, visit.from), { kind: "disabled" })
    })
  })
})

test("a session that has ended does not go on in another project", async () => {
  await withAccount(async ({ people, project }) => {
    const { session } = await enter(people)
    const by = { kind: "person", id: null } as const
    assert.equal((await people.moveTo(session, project, by))?.kind, "entered")
    await people.signOutEverywhere(session, by)
    assert.deepEqual(await people.moveTo(session, project, by), { kind: "ended" })
  })
})
