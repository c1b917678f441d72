/**
 * How people come in, stay in and go: by password, by a set-up link, by an invitation, by an identity provider. Whatever
 * changes something notes one change in the same transaction.
 */
import { formatId, type PersonId, type ProjectId, type SessionId } from "../domain/id.ts"
import { SEEN_EVERY_MS } from "../domain/person.ts"
import type { Role } from "../domain/scope.ts"
import type { Log } from "../log.ts"
import type { Actor, Origin } from "../store/changes.ts"
import type { Database } from "../store/database.ts"
import {
  findInvitation,
  findSetup,
  type Invitation,
  openInvitationsFor,
  useInvitation,
  useSetup,
} from "../store/invitations.ts"
import { lockMeta } from "../store/meta.ts"
import {
  countOwners,
  findIdentity,
  findMember,
  findPerson,
  findPersonByEmail,
  improvePassword,
  insertPerson,
  isKnownAt,
  linkIdentity,
  membershipsOf,
  type Person,
  saveMembership,
  setPassword,
  setVerified,
} from "../store/people.ts"
import {
  endSession,
  endSessionsOf,
  endSessionWith,
  findSession,
  insertSession,
  type LiveSession,
  renewSession,
  touchSession,
  type Way,
} from "../store/sessions.ts"
import type { Store } from "../store/store.ts"
import { hashToken, newToken } from "../store/token.ts"
import type { Changes, Note } from "./changes.ts"
import { actorOf, type Entered, fateOf, type Refusal, Refused, type Visit, type Vouched } from "./entry.ts"
import type { Passwords } from "./passwords.ts"
import { type TooOften, Tries } from "./tries.ts"

/** What a person who sets up or accepts comes in with: the hash of a new one's password, or of the known one's that was right. */
type Ready =
  | { readonly isKnown: false; readonly hash: string }
  | { readonly isKnown: true; readonly hash: string | null }

export interface PeopleParts {
  readonly store: Store
  readonly changes: Changes
  readonly passwords: Passwords
  readonly log: Log
}

export class People {
  readonly #store: Store
  readonly #changes: Changes
  readonly #passwords: Passwords
  readonly #tries: Tries
  readonly #log: Log

  constructor({ store, changes, passwords, log }: PeopleParts) {
    this.#store = store
    this.#changes = changes
    this.#passwords = passwords
    this.#tries = new Tries(store)
    this.#log = log
  }

  /** The session that a token is, where it holds. */
  holds(token: string): Promise<LiveSession | undefined> {
    const { reads, now } = this.#store
    return findSession(reads, hashToken(token), now())
  }

  /** The same; notes that it is used. */
  async session(token: string): Promise<LiveSession | undefined> {
    if (token.length > 100) return undefined
    const { db, now } = this.#store
    const at = now()
    const found = await this.holds(token)
    if (found === undefined || at - found.seenAt < SEEN_EVERY_MS) return found
    try {
      await touchSession(db, found, at)
    } catch (error) {
      // What can be read is shown also while nothing can be written.
      this.#log.warn({ err: error }, "the last use of a session could not be noted")
    }
    return found
  }

  /** Counts a try of somebody who names no account; null where it may be made. */
  tryFrom(from: Origin): Promise<TooOften | null> {
    return this.#tries.from(from)
  }

  /** Signs in by password. An address that is not known takes as long and is answered the same. */
  async signIn(email: string, password: string, visit: Visit): Promise<Entered | Refusal> {
    const limited = await this.#tries.of(email, visit.from)
    if (limited !== null) return limited
    const { reads } = this.#store
    const person = await findPersonByEmail(reads, email)
    const isRight = await this.#passwords.isRight(password, person?.password ?? null)
    if (person === undefined || !isRight) {
      await this.#noteRefusal(person, visit.from, "the password is wrong")
      return { kind: "wrong" }
    }
    await this.#tries.succeeded(email, visit.from)
    if (person.password !== null && this.#passwords.isOld(person.password)) {
      const better = await this.#passwords.hash(password)
      await improvePassword(this.#store.db, person.id, person.password, better)
      return this.#enterSomewhere({ ...person, password: better }, "password", visit)
    }
    return this.#enterSomewhere(person, "password", visit)
  }

  /** Makes the owner of a project with the operator's link, and signs in. A person who exists already shows their password. */
  async setUp(
    token: string,
    who: { readonly email: string; readonly name: string; readonly password: string },
    visit: Visit,
  ): Promise<Entered | Refusal> {
    const hash = hashToken(token)
    const setup = await findSetup(this.#store.reads, hash)
    if (setup === undefined) return this.#unknownToken(visit.from)
    if (setup.usedAt !== null) return { kind: "token", why: "used" }
    const ready = await this.#ready(who.email, who.password, visit.from)
    if ("kind" in ready) return ready
    const { project, byOperator } = setup
    return this.#transaction(async (tx, note) => {
      await lockMeta(tx, "people")
      const at = this.#store.now()
      if ((await countOwners(tx, project)) > 0) throw new Refused({ kind: "owned" })
      if (!(await useSetup(tx, hash, at))) throw new Refused({ kind: "token", why: "used" })
      const person = await this.#person(tx, { ...who, ready })
      if (byOperator) await setVerified(tx, person, at)
      await saveMembership(tx, { project, person, role: "owner", createdAt: at })
      const by = actorOf(person, visit.from)
      await note({
        project,
        kind: "person.created",
        subject: formatId("per", person),
        by,
        facts: { role: "owner", by: "set-up link" },
      })
      return this.#begin(tx, { person, project, way: "setup", visit })
    })
  }

  /** What an invitation asks for, as whoever has its link may see it. */
  async invitation(
    token: string,
    from: Origin,
  ): Promise<{ readonly kind: "open"; readonly invitation: Invitation; readonly isKnown: boolean } | Refusal> {
    const { reads, now } = this.#store
    const invitation = await findInvitation(reads, hashToken(token))
    if (invitation === undefined) return this.#unknownToken(from)
    const why = fateOf(invitation, now())
    if (why !== null) return { kind: "token", why }
    return { kind: "open", invitation, isKnown: (await findPersonByEmail(reads, invitation.email)) !== undefined }
  }

  /** Accepts an invitation and signs in: as a new person with a name and a password, or as the known one with theirs. */
  async accept(
    token: string,
    who: { readonly name: string | undefined; readonly password: string },
    visit: Visit,
  ): Promise<Entered | Refusal> {
    const found = await this.invitation(token, visit.from)
    if (found.kind !== "open") return found
    const { id, project, role, email } = found.invitation
    if (!found.isKnown && who.name === undefined) return { kind: "missing", fields: ["name"] }
    const name = who.name ?? ""
    const ready = await this.#ready(email, who.password, visit.from)
    if ("kind" in ready) return ready
    return this.#transaction(async (tx, note) => {
      await lockMeta(tx, "people")
      const at = this.#store.now()
      if (!(await useInvitation(tx, id, at))) throw new Refused({ kind: "token", why: "used" })
      const person = await this.#person(tx, { email, name, ready })
      await this.#join(tx, note, { person, project, role, invitation: id, from: visit.from })
      return this.#begin(tx, { person, project, way: "invitation", visit })
    })
  }

  /**
   * Lets in whom an identity provider vouches for: a person whom it is known to know, or whose address it has verified and
   * who exists or is invited. What invitations wait for the address are accepted.
   */
  async admit(vouched: Vouched, visit: Visit): Promise<Entered | Refusal> {
    const came = await this.#admit(vouched, visit)
    // The provider has checked them: a whole office may come from one address.
    if (came.kind === "entered") await this.#tries.cameIn(visit.from)
    return came
  }

  #admit({ issuer, subject, email, name }: Vouched, visit: Visit): Promise<Entered | Refusal> {
    return this.#transaction(async (tx, note) => {
      await lockMeta(tx, "people")
      const at = this.#store.now()
      const linked = await findIdentity(tx, issuer, subject)
      let person = linked === undefined ? await findPersonByEmail(tx, email) : await findPerson(tx, linked)
      const invitations = await openInvitationsFor(tx, person?.email ?? email, at)
      if (person === undefined) {
        if (invitations.length === 0) throw new Refused({ kind: "uninvited" })
        const made = { id: this.#store.ids.next(), email, name, password: null, verifiedAt: at, createdAt: at }
        if (!(await insertPerson(tx, made))) throw new Refused({ kind: "uninvited" })
        person = { ...made, disabledAt: null }
      }
      if (person.disabledAt !== null) throw new Refused({ kind: "disabled" })
      if (linked === undefined) {
        if (await isKnownAt(tx, issuer, person.id)) throw new Refused({ kind: "another" })
        await linkIdentity(tx, { issuer, subject, person: person.id, at })
        // Nobody has shown before that the address is theirs: whoever chose the password may be somebody else.
        if (person.verifiedAt === null) {
          await setPassword(tx, person.id, null)
          await endSessionsOf(tx, person.id, null)
        }
        await setVerified(tx, person.id, at)
      }
      for (const { id, project, role } of invitations) {
        if (await useInvitation(tx, id, at)) {
          await this.#join(tx, note, { person: person.id, project, role, invitation: id, from: visit.from })
        }
      }
      const [membership] = await membershipsOf(tx, person.id)
      if (membership === undefined) throw new Refused({ kind: "nowhere" })
      const entered = await this.#begin(tx, { person: person.id, project: membership.project, way: "oidc", visit })
      await this.#noteEntry(note, entered, visit.from)
      return entered
    })
  }

  /** Ends the session that a request came with. */
  async signOut(session: LiveSession, by: Actor): Promise<void> {
    const { id, person, project } = session
    const change = { project, kind: "session.ended", subject: formatId("ses", id), by }
    await this.#changes.together(change, tx => endSession(tx, person, id))
  }

  /** Ends one of the own sessions; false where there is none with this id. */
  endOwn(session: LiveSession, id: SessionId, by: Actor): Promise<boolean> {
    const { person, project } = session
    return this.#changes.inTransaction(async (tx, note) => {
      if (!(await endSession(tx, person, id))) return false
      await note({ project, kind: "session.ended", subject: formatId("ses", id), by })
      return true
    })
  }

  /** Ends all sessions of a person, this one too. */
  async signOutEverywhere({ person, project }: LiveSession, by: Actor): Promise<void> {
    await this.#changes.inTransaction(async (tx, note) => {
      const sessions = await endSessionsOf(tx, person, null)
      await note({ project, kind: "session.all_ended", subject: formatId("per", person), by, facts: { sessions } })
    })
  }

  /** Goes on in another project of the person's, with a new token; undefined where they are nothing there. */
  async moveTo(session: LiveSession, project: ProjectId, by: Actor): Promise<Entered | Refusal | undefined> {
    const token = newToken()
    return this.#transaction(async (tx, note) => {
      const membership = (await membershipsOf(tx, session.person)).find(each => each.project === project)
      if (membership === undefined) return undefined
      if (!(await renewSession(tx, session.id, hashToken(token), project))) throw new Refused({ kind: "ended" })
      await note({ project, kind: "session.moved", subject: formatId("ses", session.id), by })
      return { kind: "entered", token, session: { ...session, project, role: membership.role } }
    })
  }

  /** Changes the own password and ends the person's other sessions; this one goes on with a new token. */
  async changePassword(
    session: LiveSession,
    change: { readonly current: string | undefined; readonly next: string },
    by: Actor,
    from: Origin,
  ): Promise<Entered | Refusal> {
    const person = await findPerson(this.#store.reads, session.person)
    if (person === undefined) return { kind: "ended" }
    // Whoever comes in through an identity provider has none yet.
    if (person.password !== null) {
      if (change.current === undefined) return { kind: "missing", fields: ["current_password"] }
      const limited = await this.#tries.of(session.email, from)
      if (limited !== null) return limited
      if (!(await this.#passwords.isRight(change.current, person.password))) {
        await this.#noteRefusal(person, from, "the current password is wrong")
        return { kind: "wrong" }
      }
      await this.#tries.succeeded(session.email, from)
    }
    const hash = await this.#passwords.hash(change.next)
    const token = newToken()
    return this.#transaction(async (tx, note) => {
      const now = await findPerson(tx, session.person)
      // Another one was set while this one was being compared and made, by a mailed link maybe: that one stands.
      if (now === undefined || now.password !== person.password) throw new Refused({ kind: "wrong" })
      if (now.disabledAt !== null) throw new Refused({ kind: "disabled" })
      if (!(await renewSession(tx, session.id, hashToken(token), session.project))) throw new Refused({ kind: "ended" })
      await setPassword(tx, session.person, hash)
      const sessions = await endSessionsOf(tx, session.person, session.id)
      const subject = formatId("per", session.person)
      await note({
        project: session.project,
        kind: "person.password_changed",
        subject,
        by,
        facts: { ended_sessions: sessions },
      })
      return { kind: "entered", token, session }
    })
  }

  /** Runs work in one transaction; where it comes to a refusal, nothing of it is done. */
  async #transaction<T>(work: (tx: Database, note: Note) => Promise<T>): Promise<T | Refusal> {
    try {
      return await this.#changes.inTransaction(work)
    } catch (error) {
      if (error instanceof Refused) return error.refusal
      throw error
    }
  }

  /** A token that is a guess: counted, so that there are not many. */
  async #unknownToken(from: Origin): Promise<Refusal> {
    return (await this.#tries.from(from)) ?? { kind: "token", why: "unknown" }
  }

  /** Stands in the log of each project of the person's; for an address that is not known as much time is spent. */
  async #noteRefusal(person: Person | undefined, from: Origin, why: string): Promise<void> {
    await this.#changes.inTransaction(async (tx, note) => {
      const memberships = person === undefined ? [] : await membershipsOf(tx, person.id)
      for (const { project } of memberships) {
        const subject = formatId("per", person?.id ?? 0)
        await note({
          project,
          kind: "session.refused",
          subject,
          by: { kind: "waybill", id: "sign_in", from },
          facts: { why },
        })
      }
    })
  }

  /** The hash for a new person's password, or that with which a known one has shown to be who they are. */
  async #ready(email: string, password: string, from: Origin): Promise<Ready | Refusal> {
    const person = await findPersonByEmail(this.#store.reads, email)
    if (person === undefined) return { isKnown: false, hash: await this.#passwords.hash(password) }
    const limited = await this.#tries.of(email, from)
    if (limited !== null) return limited
    if (!(await this.#passwords.isRight(password, person.password))) {
      await this.#noteRefusal(person, from, "the password is wrong")
      return { kind: "wrong" }
    }
    await this.#tries.succeeded(email, from)
    return person.disabledAt === null ? { isKnown: true, hash: person.password } : { kind: "disabled" }
  }

  /** The person with this address, who is made where they are new. */
  async #person(
    tx: Database,
    { email, name, ready }: { readonly email: string; readonly name: string; readonly ready: Ready },
  ): Promise<PersonId> {
    if (ready.isKnown) {
      const known = await findPersonByEmail(tx, email)
      if (known === undefined || known.password !== ready.hash) throw new Refused({ kind: "wrong" })
      return known.id
    }
    const { ids, now } = this.#store
    const id = ids.next()
    const made = { id, email, name, password: ready.hash, verifiedAt: null, createdAt: now() }
    // Somebody with the same address was faster.
    if (!(await insertPerson(tx, made))) throw new Refused({ kind: "wrong" })
    return id
  }

  /** Makes a person what an invitation says, unless they are something in the project already. */
  async #join(
    tx: Database,
    note: Note,
    joining: {
      readonly person: PersonId
      readonly project: ProjectId
      readonly role: Role
      readonly invitation: number
      readonly from: Origin
    },
  ): Promise<void> {
    const { person, project, role, invitation, from } = joining
    const before = await findMember(tx, project, person)
    if (before === undefined) await saveMembership(tx, { project, person, role, createdAt: this.#store.now() })
    const facts = { person: formatId("per", person), role: before?.role ?? role }
    await note({
      project,
      kind: "invitation.accepted",
      subject: formatId("inv", invitation),
      by: actorOf(person, from),
      facts,
    })
  }

  async #enterSomewhere(person: Person, way: Way, visit: Visit): Promise<Entered | Refusal> {
    return this.#transaction(async (tx, note) => {
      const now = await findPerson(tx, person.id)
      // It was changed while it was being compared, which ended all sessions: this one must not begin after that.
      if (now === undefined || now.password !== person.password) throw new Refused({ kind: "wrong" })
      if (now.disabledAt !== null) throw new Refused({ kind: "disabled" })
      const [membership] = await membershipsOf(tx, person.id)
      if (membership === undefined) throw new Refused({ kind: "nowhere" })
      const entered = await this.#begin(tx, { person: person.id, project: membership.project, way, visit })
      await this.#noteEntry(note, entered, visit.from)
      return entered
    })
  }

  #noteEntry(note: Note, { session }: Entered, from: Origin): Promise<void> {
    const { id, person, project, way } = session
    const by = actorOf(person, from)
    return note({ project, kind: "session.created", subject: formatId("ses", id), by, facts: { way } })
  }

  /** Begins a session with a new token, in place of one that the browser had. */
  async #begin(
    tx: Database,
    entering: { readonly person: PersonId; readonly project: ProjectId; readonly way: Way; readonly visit: Visit },
  ): Promise<Entered> {
    const { person, project, way, visit } = entering
    const { ids, now } = this.#store
    const token = newToken()
    const hash = hashToken(token)
    const { address, agent } = visit.from
    if (visit.before !== null) await endSessionWith(tx, hashToken(visit.before))
    const at = now()
    await insertSession(tx, { id: ids.next(), hash, person, project, way, address, agent, at })
    const session = await findSession(tx, hash, at)
    if (session === undefined) throw new Error("A session that was just begun is not there.")
    return { kind: "entered", token, session }
  }
}
