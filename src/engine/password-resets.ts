/**
 * New passwords for those who have forgotten theirs: a link goes to their address by mail, works once and holds for half an
 * hour. Nobody learns here which addresses are known: whatever is asked for is counted, written and answered the same.
 */
import { formatId } from "../domain/id.ts"
import type { PasswordResetMail } from "../domain/password-reset-mail.ts"
import { PASSWORD_RESET_MS } from "../domain/person.ts"
import type { Origin } from "../store/changes.ts"
import { mailPlace } from "../store/mails.ts"
import { findReset, insertReset, NOBODY, useReset } from "../store/password-resets.ts"
import { findPerson, findPersonByEmail, membershipsOf, setPassword, setVerified } from "../store/people.ts"
import { endSessionsOf } from "../store/sessions.ts"
import type { Store } from "../store/store.ts"
import { hashToken, newToken } from "../store/token.ts"
import type { Changes } from "./changes.ts"
import { actorOf, type Refusal, Refused } from "./entry.ts"
import type { Notifier } from "./notifier.ts"
import type { Passwords } from "./passwords.ts"
import { type TooOften, Tries } from "./tries.ts"

export interface PasswordResetParts {
  readonly store: Store
  readonly changes: Changes
  readonly passwords: Passwords
  readonly notifier: Pick<Notifier, "isSetUp" | "wake">
}

export class PasswordResets {
  readonly #parts: PasswordResetParts
  readonly #tries: Tries

  constructor(parts: PasswordResetParts) {
    this.#parts = parts
    this.#tries = new Tries(parts.store)
  }

  /** Whether links can be sent: only where mail is set up. */
  get isSetUp(): boolean {
    return this.#parts.notifier.isSetUp
  }

  /**
   * Sends the person with this address a link, where there is one who signs in with a password; null, too, where there is
   * none. Who signs in at an identity provider alone gets no second way in, past what is asked for there.
   */
  async ask(email: string, from: Origin): Promise<TooOften | null> {
    const { store, changes, notifier } = this.#parts
    const limited = await this.#tries.ofReset(email, from)
    if (limited !== null) return limited
    const [token, at] = [newToken(), store.now()]
    const hash = hashToken(token)
    const expiresAt = at + PASSWORD_RESET_MS
    await changes.inTransaction(async (tx, note, tell) => {
      const person = await findPersonByEmail(tx, email)
      const mayHave = person !== undefined && person.password !== null && person.disabledAt === null
      const memberships = mayHave ? await membershipsOf(tx, person.id) : []
      const [first] = memberships
      await insertReset(tx, { hash, person: first?.person ?? NOBODY, at, expiresAt })
      if (person === undefined || first === undefined) return
      const subject = formatId("per", person.id)
      const by = { kind: "waybill", id: "password_reset", from } as const
      for (const { project } of memberships) {
        await note({ project, kind: "person.password_reset_asked", subject, by })
      }
      const key = `password_reset:${hash.slice(0, 32)}`
      const content: PasswordResetMail = {
        cause: "password_reset",
        at,
        to: person.email,
        expiresAt,
        sealedToken: store.seal.seal(mailPlace(key), token),
      }
      await tell({ mails: [{ key, project: first.project, content: JSON.stringify(content) }] })
    })
    notifier.wake()
    return null
  }

  /** Sets the password of the person whom a link was sent to, and ends all of their sessions; null where it is done. */
  async use(token: string, password: string, from: Origin): Promise<Refusal | null> {
    const { store, changes, passwords } = this.#parts
    const hash = hashToken(token)
    const found = await findReset(store.reads, hash)
    if (found === undefined) return (await this.#tries.from(from)) ?? { kind: "token", why: "unknown" }
    if (found.expiresAt <= store.now()) return { kind: "token", why: "expired" }
    const next = await passwords.hash(password)
    try {
      const email = await changes.inTransaction(async (tx, note) => {
        const person = await findPerson(tx, found.person)
        if (person === undefined || !(await useReset(tx, hash))) throw new Refused({ kind: "token", why: "used" })
        if (person.disabledAt !== null) throw new Refused({ kind: "disabled" })
        await setPassword(tx, person.id, next)
        // The mail has shown whose address it is; who chose the password before may have been somebody else.
        if (person.verifiedAt === null) await setVerified(tx, person.id, store.now())
        const sessions = await endSessionsOf(tx, person.id, null)
        const [subject, by] = [formatId("per", person.id), actorOf(person.id, from)]
        for (const { project } of await membershipsOf(tx, person.id)) {
          await note({ project, kind: "person.password_reset", subject, by, facts: { ended_sessions: sessions } })
        }
        return person.email
      })
      await this.#tries.forget(email)
      return null
    } catch (error) {
      if (error instanceof Refused) return error.refusal
      throw error
    }
  }
}
