/** What people are in a project, and what an operator does about one: each change ends the sessions that were begun before it. */
import { formatId, type PersonId, type ProjectId, type SessionId } from "../domain/id.ts"
import type { Role } from "../domain/scope.ts"
import type { Actor } from "../store/changes.ts"
import type { Database } from "../store/database.ts"
import { lockMeta } from "../store/meta.ts"
import {
  countOwners,
  findMember,
  findPersonByEmail,
  type Member,
  membershipsOf,
  removeMembership,
  saveMembership,
  setDisabled,
  setPassword,
  unlinkIdentities,
} from "../store/people.ts"
import { endSessionsIn, endSessionsOf, renewSession } from "../store/sessions.ts"
import type { Store } from "../store/store.ts"
import { hashToken, newToken } from "../store/token.ts"
import type { Changes } from "./changes.ts"
import type { Passwords } from "./passwords.ts"

/** Who changes something about one of a project's people. */
export interface Changing {
  readonly by: Actor
  readonly mayOwn: boolean
  /** Hears, in the transaction, of the person as they stand; throws where they are not as the caller has read them. */
  readonly check: (member: Member) => void
}

/** Why one of the people of a project stays what they are. */
export type MemberFault = { readonly kind: "none" | "owners_only" | "last_owner" }

export class Members {
  readonly #store: Store
  readonly #changes: Changes
  readonly #passwords: Passwords

  constructor(parts: { readonly store: Store; readonly changes: Changes; readonly passwords: Passwords }) {
    this.#store = parts.store
    this.#changes = parts.changes
    this.#passwords = parts.passwords
  }

  /**
   * Makes one of the people of a project something else. Their other sessions there end; where it is the caller's own, it
   * goes on with a new token. `last_owner`: the project would be left without.
   */
  async setRole(
    who: { readonly project: ProjectId; readonly person: PersonId },
    role: Role,
    given: Changing & { readonly own: SessionId | null },
  ): Promise<{ readonly kind: "done"; readonly member: Member; readonly token: string | null } | MemberFault> {
    return this.#changes.inTransaction(async (tx, note) => {
      await lockMeta(tx, "people")
      const member = await findMember(tx, who.project, who.person)
      if (member === undefined) return { kind: "none" }
      given.check(member)
      if (!given.mayOwn && (member.role === "owner" || role === "owner")) return { kind: "owners_only" }
      if (member.role === role) return { kind: "done", member, token: null }
      const leaves = member.role === "owner" && role !== "owner"
      if (leaves && (await countOwners(tx, who.project, who.person)) === 0) return { kind: "last_owner" }
      await saveMembership(tx, { ...member, role })
      let token: string | null = null
      await endSessionsIn(tx, who, given.own)
      if (given.own !== null) {
        token = newToken()
        await renewSession(tx, given.own, hashToken(token), who.project)
      }
      const subject = formatId("per", who.person)
      const [before, after] = [member.role, role].map(each => JSON.stringify({ role: each }))
      await note({
        project: who.project,
        kind: "person.role_changed",
        subject,
        by: given.by,
        facts: { role },
        ...(before && { before }),
        ...(after && { after }),
      })
      return { kind: "done", member: { ...member, role }, token }
    })
  }

  /** Takes a person out of a project; their sessions there end at once. */
  async remove(
    who: { readonly project: ProjectId; readonly person: PersonId },
    given: Changing,
  ): Promise<{ readonly kind: "done" } | MemberFault> {
    return this.#changes.inTransaction(async (tx, note) => {
      await lockMeta(tx, "people")
      const member = await findMember(tx, who.project, who.person)
      if (member === undefined) return { kind: "none" }
      given.check(member)
      if (!given.mayOwn && member.role === "owner") return { kind: "owners_only" }
      const leaves = member.role === "owner"
      if (leaves && (await countOwners(tx, who.project, who.person)) === 0) return { kind: "last_owner" }
      await removeMembership(tx, who.project, who.person)
      await endSessionsIn(tx, who, null)
      const subject = formatId("per", who.person)
      const before = JSON.stringify({ email: member.email, role: member.role })
      await note({ project: who.project, kind: "person.removed", subject, by: given.by, before })
      return { kind: "done" }
    })
  }

  /** Gives a person another password, as the operator says, and has them begin anew; false where nobody has the address. */
  async reset(email: string, password: string): Promise<boolean> {
    const hash = await this.#passwords.hash(password)
    return this.#asOperator(email, "person.reset", async (tx, person) => {
      await setPassword(tx, person, hash)
      await unlinkIdentities(tx, person)
      await setDisabled(tx, person, null)
    })
  }

  /** Keeps a person from signing in anywhere, or no longer, as the operator says; false where nobody has the address. */
  setDisabled(email: string, is: boolean): Promise<boolean> {
    const at = this.#store.now()
    return this.#asOperator(email, is ? "person.disabled" : "person.enabled", (tx, person) =>
      setDisabled(tx, person, is ? at : null),
    )
  }

  /** Changes a person, ends all their sessions and notes it in each of their projects. */
  #asOperator(email: string, kind: string, work: (tx: Database, person: PersonId) => Promise<void>): Promise<boolean> {
    return this.#changes.inTransaction(async (tx, note) => {
      const person = await findPersonByEmail(tx, email)
      if (person === undefined) return false
      await work(tx, person.id)
      await endSessionsOf(tx, person.id, null)
      const subject = formatId("per", person.id)
      for (const { project } of await membershipsOf(tx, person.id)) {
        await note({ project, kind, subject, by: { kind: "operator", id: null } })
      }
      return true
    })
  }
}
