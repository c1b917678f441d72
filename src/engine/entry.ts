/** How somebody comes in, or why not: what the ways into Waybill (people.ts) come to. */
import { formatId, type PersonId } from "../domain/id.ts"
import type { Actor, Origin } from "../store/changes.ts"
import type { Invitation } from "../store/invitations.ts"
import type { LiveSession } from "../store/sessions.ts"
import type { TooOften } from "./tries.ts"

/** Why somebody does not come in. `wrong` says no more, so that nobody learns which addresses are known. */
export type Refusal =
  | { readonly kind: "wrong" }
  | TooOften
  /** The person is nothing in any project. */
  | { readonly kind: "nowhere" }
  | { readonly kind: "disabled" }
  /** The session that somebody was to go on with has ended meanwhile. */
  | { readonly kind: "ended" }
  /** A token that is not known, was used or revoked, or whose time is over. */
  | { readonly kind: "token"; readonly why: "unknown" | "used" | "revoked" | "expired" }
  /** The project has an owner already, who invites others. */
  | { readonly kind: "owned" }
  /** A new person needs these. */
  | { readonly kind: "missing"; readonly fields: readonly string[] }
  /** Nobody has invited the person whom the identity provider names. */
  | { readonly kind: "uninvited" }
  /** The identity provider knew this address under another name before: it may have been given to somebody else. */
  | { readonly kind: "another" }

/** Somebody has come in: the token of the new session, which is shown this once, and the session. */
export interface Entered {
  readonly kind: "entered"
  readonly token: string
  readonly session: LiveSession
}

/** Where somebody comes from. */
export interface Visit {
  readonly from: Origin
  /** The token of a session that the same browser has already: it ends, so that none can be planted (fixation). */
  readonly before: string | null
}

/** The person that an identity provider vouches for; its address is verified. */
export interface Vouched {
  readonly issuer: string
  readonly subject: string
  readonly email: string
  readonly name: string
}

/** Why an invitation is of no more use; null where it is open. */
export function fateOf(invitation: Invitation, now: number): "used" | "revoked" | "expired" | null {
  if (invitation.usedAt !== null) return "used"
  if (invitation.revokedAt !== null) return "revoked"
  return invitation.expiresAt <= now ? "expired" : null
}

/** Who is named in a change that a person makes. */
export function actorOf(person: PersonId, from: Origin): Actor {
  return { kind: "person", id: formatId("per", person), from }
}

/** Takes back what a transaction has done, and says why. */
export class Refused extends Error {
  readonly refusal: Refusal

  constructor(refusal: Refusal) {
    super(refusal.kind)
    this.refusal = refusal
  }
}
