/** A session as whoever is signed in sees it, and what a refusal to let somebody in is answered with. */
import type { FastifyReply, FastifyRequest } from "fastify"
import { type Static, Type } from "typebox"
import { formatId } from "../domain/id.ts"
import { MAX_PASSWORD_CHARACTERS, MIN_PASSWORD_CHARACTERS } from "../domain/person.ts"
import { type Role, roleNames, roles } from "../domain/scope.ts"
import { signInFaults } from "../domain/sign-in-fault.ts"
import type { Entered, Refusal, Visit } from "../engine/entry.ts"
import { TooManyPasswords } from "../engine/passwords.ts"
import { membershipsOf } from "../store/people.ts"
import type { LiveSession } from "../store/sessions.ts"
import { callerOf, originOf, type SignedIn } from "./access.ts"
import type { Context } from "./context.ts"
import { Problem } from "./problem.ts"
import { KeptText, Time, timeText } from "./schemas.ts"
import { csrfToken, keepCookie, readCookie } from "./session-cookie.ts"

export const RoleName = Type.Enum([...roleNames])
const ProjectOfPerson = Type.Object({ id: Type.String(), name: Type.String(), role: RoleName })

export const SessionView = Type.Object({
  id: Type.String({ examples: ["ses_01j9zq4kx2m"] }),
  person: Type.Object({ id: Type.String(), email: Type.String(), name: Type.String() }),
  project: Type.Object(ProjectOfPerson.properties, { description: "The project that is worked in." }),
  scopes: Type.Array(Type.String(), { description: "What the role allows there." }),
  projects: Type.Array(ProjectOfPerson, { description: "All projects of the person." }),
  csrf_token: Type.String({ description: "To be sent as `x-csrf-token` with whatever changes something." }),
  created_at: Time,
  idle_expires_at: Type.String({ format: "date-time", description: "When it ends unless it is used." }),
  expires_at: Type.String({ format: "date-time", description: "When it ends in any case." }),
})
type SessionView = Static<typeof SessionView>

/** A password that is chosen: any characters, but not few. */
export const NewPassword = KeptText({
  minLength: MIN_PASSWORD_CHARACTERS,
  maxLength: MAX_PASSWORD_CHARACTERS,
  description: "Any characters; long beats odd.",
})
/** One that is compared, not chosen. */
export const GivenPassword = Type.String({ minLength: 1, maxLength: MAX_PASSWORD_CHARACTERS })
export const GivenToken = Type.String({ minLength: 1, maxLength: 100 })
export const PersonName = KeptText({ minLength: 1, maxLength: 200 })

/** The session of a person, for themselves. */
export async function viewOfSession(
  { store, directory }: Context,
  session: LiveSession,
  token: string,
): Promise<SessionView> {
  const nameOf = (project: number) => directory.project(project)?.name ?? ""
  const of = (project: number, role: Role) => ({ id: formatId("prj", project), name: nameOf(project), role })
  const memberships = await membershipsOf(store.reads, session.person)
  return {
    id: formatId("ses", session.id),
    person: { id: formatId("per", session.person), email: session.email, name: session.name },
    project: of(session.project, session.role),
    scopes: [...roles[session.role].scopes],
    projects: memberships.map(({ project, role }) => of(project, role)),
    csrf_token: csrfToken(token),
    created_at: timeText(session.createdAt),
    idle_expires_at: timeText(session.idleExpiresAt),
    expires_at: timeText(session.expiresAt),
  }
}

/** Gives the browser the session that somebody has come in with, or throws why they have not. */
export async function letIn(context: Context, reply: FastifyReply, came: Entered | Refusal): Promise<SessionView> {
  if (came.kind !== "entered") throw problemOf(came)
  const { session, token } = came
  keepCookie(context, reply, token, session.expiresAt)
  return viewOfSession(context, session, token)
}

/** Where a request comes from, and the session that its browser has by now. */
export function visitOf(context: Context, request: FastifyRequest): Visit {
  return { from: originOf(request), before: readCookie(context, request) }
}

/** Who is signed in; only for routes that say `people`. */
export function personOf(request: FastifyRequest): SignedIn {
  const { person } = callerOf(request)
  if (person === null) throw new Error("A route that is for people has let somebody else in.")
  return person
}

/** Runs what checks or makes passwords; where too many wait for that, says so. */
export async function withPasswords<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work()
  } catch (error) {
    if (!(error instanceof TooManyPasswords)) throw error
    const detail = "More people sign in just now than can be checked. Nothing was stored; try again in a moment."
    throw new Problem("overloaded", detail, { retryAfterSeconds: 2 })
  }
}

/** A refusal as the problem that it is. */
export function problemOf(refusal: Refusal): Problem {
  const refused = (detail: string) => new Problem("sign_in_refused", detail)
  switch (refusal.kind) {
    case "wrong":
      return refused("The address or the password is wrong.")
    case "too_often": {
      const { retryAfterSeconds } = refusal
      const detail =
        "There were too many tries to sign in to this account or from this address. Wait as long as Retry-After says; the right password is not looked at before, either."
      return new Problem("too_many_requests", detail, { retryAfterSeconds })
    }
    case "nowhere":
    case "disabled":
    case "uninvited":
    case "another":
      return refused(signInFaults[refusal.kind])
    case "ended":
      return new Problem("unauthorized", "The session has ended meanwhile. Sign in again with POST /v1/session.")
    case "owned":
      return new Problem("conflict", "The project has an owner already. Ask them for an invitation.")
    case "missing": {
      const errors = refusal.fields.map(field => ({ pointer: `/${field}`, message: `\`${field}\` is missing.` }))
      return new Problem("invalid", errors[0]?.message ?? "Something is missing.", { errors })
    }
    case "token":
      return problemOfToken(refusal.why)
  }
}

function problemOfToken(why: "unknown" | "used" | "revoked" | "expired"): Problem {
  const again = "Ask for a new one."
  switch (why) {
    case "unknown":
      return new Problem("not_found", "This link is not known. Copy all of it, or ask for a new one.")
    case "used":
      return new Problem("conflict", `This link was used already: each works once. Sign in with POST /v1/session.`)
    case "revoked":
      return new Problem("conflict", `This invitation was revoked. ${again}`)
    case "expired":
      return new Problem("conflict", `This link is no longer good: its time is over. ${again}`)
  }
}
