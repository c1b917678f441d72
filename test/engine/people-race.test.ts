/** Signing in while the account changes: what was checked has still to hold when the session begins. */
import assert from "node:assert/strict"
import { describe, test } from "node:test"
import { Changes } from "../../src/engine/changes.ts"
import type { Entered, Refusal } from "../../src/engine/entry.ts"
import { Feed } from "../../src/engine/feed.ts"
import { Members } from "../../src/engine/members.ts"
import { Passwords } from "../../src/engine/passwords.ts"
import { People } from "../../src/engine/people.ts"
import { openLog } from "../../src/log.ts"
import { insertPerson, saveMembership } from "../../src/store/people.ts"
import { freshProject, makeProject } from "../../src/store/projects.ts"
import { clearPlace, newPlace, openAt } from "../help/engines.ts"

const NOW = Date.UTC(2026, 10, 21, 10)
const [EMAIL, PASSWORD] = ["ada@shop.example", "correct horse battery"]
const visit = { from: { address: "192.0.2.1", agent: null, request: "r" }, before: null }

/** Passwords after whose comparison something happens before anybody is told of it. */
class WatchedPasswords extends Passwords {
  meanwhile: () => Promise<unknown> = async () => undefined

  override async isRight(password: string, kept: string | null): Promise<boolean> {
    const isRight = await super.isRight(password, kept)
    await this.meanwhile()
    return isRight
  }
}

/** Signs in with the right password, while the members of the project are changed. */
async function signInWhile(change: (members: Members) => Promise<unknown>): Promise<Entered | Refusal> {
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
    })
    const members = new Members({ store, changes, passwords })
    passwords.meanwhile = () => change(members)
    return await new People({ store, changes, passwords, log: openLog("silent") }).signIn(EMAIL, PASSWORD, visit)
  } finally {
    await store.close()
    await clearPlace(place)
  }
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
