/**
 * The cookie of a session (API-8) and the token that goes with it (API-9). Over https the cookie's name begins with
 * `__Host-`, so that no other host can set it; over http, as on http://127.0.0.1, browsers would not take it so.
 */
import { createHmac, timingSafeEqual } from "node:crypto"
import type { FastifyReply, FastifyRequest } from "fastify"
import { crossSiteFault, isHarmless } from "../domain/cross-site.ts"
import type { Context } from "./context.ts"
import { Problem } from "./problem.ts"

type Where = Pick<Context, "publicUrl">

/** The header that brings a session's token along with whatever changes something. */
export const CSRF_HEADER = "x-csrf-token"

function isSecure({ publicUrl }: Where): boolean {
  return publicUrl().startsWith("https:")
}

/** A cookie's name, as the scheme allows. */
export function cookieName(where: Where, name = "waybill"): string {
  return isSecure(where) ? `__Host-${name}` : name
}

/** What a request brings under a name; null where it is nothing. */
export function readCookie(where: Where, request: FastifyRequest, name?: string): string | null {
  const { cookie } = request.headers
  if (cookie === undefined) return null
  return request.server.parseCookie(cookie)[cookieName(where, name)] || null
}

/** Has the browser keep something until `expires`, in ms since 1970. */
export function keepCookie(where: Where, reply: FastifyReply, value: string, expires: number, name?: string): void {
  const options = { httpOnly: true, sameSite: "lax", path: "/", secure: isSecure(where) } as const
  reply.setCookie(cookieName(where, name), value, { ...options, expires: new Date(expires) })
}

/** Has the browser forget it. */
export function dropCookie(where: Where, reply: FastifyReply, name?: string): void {
  keepCookie(where, reply, "", 0, name)
}

/** The token of a session's pages: whoever does not have the session's own cannot make it, and it opens nothing by itself. */
export function csrfToken(session: string): string {
  return createHmac("sha256", session).update("waybill csrf").digest("base64url")
}

/** Refuses a request with a cookie that another site's page may have made. */
export function assertFromOwnPage(where: Where, request: FastifyRequest, session: string): void {
  if (isHarmless(request.method)) return
  const fault = crossSiteFault(provenanceOf(where, request))
  if (fault !== null) throw crossSite(fault)
  const given = request.headers[CSRF_HEADER]
  const expected = csrfToken(session)
  if (typeof given !== "string" || !isSame(given, expected)) {
    throw crossSite(
      `It lacks the session's token: send \`csrf_token\` of GET /v1/session as ${CSRF_HEADER}. A new sign-in, another project or a new password change it.`,
    )
  }
  const type = request.headers["content-type"]
  if (type !== undefined && !/^application\/(?:json|[\w.-]+\+json)\s*(?:;|$)/i.test(type)) {
    throw new Problem("unsupported_media_type", "With a session's cookie send application/json.")
  }
}

/** Refuses a request without a cookie that another site's page has made: it would sign the browser in as somebody else. */
export function assertNotCrossSite(where: Where, request: FastifyRequest): void {
  const fault = crossSiteFault(provenanceOf(where, request), true)
  if (fault !== null) throw crossSite(fault)
}

function provenanceOf({ publicUrl }: Where, { method, headers }: FastifyRequest) {
  const site = headers["sec-fetch-site"]
  return {
    method,
    site: typeof site === "string" ? site : undefined,
    origin: headers.origin,
    host: headers.host,
    publicUrl: publicUrl(),
  }
}

function crossSite(fault: string): Problem {
  return new Problem("cross_site", `This request is not taken with a session's cookie. ${fault}`)
}

function isSame(given: string, expected: string): boolean {
  const [a, b] = [Buffer.from(given), Buffer.from(expected)]
  return a.length === b.length && timingSafeEqual(a, b)
}
