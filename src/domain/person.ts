/** People: how their addresses are told apart, and how long what lets them in holds. Times in ms. */
import { DAY_MS, MINUTE_MS } from "./duration.ts"

/** Shorter passwords are guessed from what was stolen elsewhere (OWASP); there is no other rule on them. */
export const MIN_PASSWORD_CHARACTERS = 12
/** Longer than any that a person or a password manager makes; what is hashed is bounded. */
export const MAX_PASSWORD_CHARACTERS = 256

/** A session that nobody uses ends after this long. */
export const SESSION_IDLE_MS = 12 * 60 * MINUTE_MS
/** Any session ends after this long. */
export const SESSION_MS = 30 * DAY_MS
/** How exactly it is known when a session was last used: each use would otherwise be a write. */
export const SEEN_EVERY_MS = MINUTE_MS
export const INVITATION_MS = 7 * DAY_MS
/** How long a sign-in at an identity provider may take. */
export const OIDC_SIGN_IN_MS = 10 * MINUTE_MS

/** How long the link for a new password is good. */
export const PASSWORD_RESET_MS = 30 * MINUTE_MS
/** How often such a link may be asked for, for one account, within `SIGN_IN_WINDOW_MS`: its person gets a mail each time. */
export const RESETS_OF_ACCOUNT = 3

/** How often signing in may fail within `SIGN_IN_WINDOW_MS`: of one account, and from one address, behind which many may sit. */
export const TRIES_OF_ACCOUNT = 10
export const TRIES_FROM_ADDRESS = 50
export const SIGN_IN_WINDOW_MS = 15 * MINUTE_MS

/** What two spellings of one address have in common: mail servers take them for one, and so do people. */
export function emailKey(email: string): string {
  return email.normalize("NFC").toLowerCase()
}

/** The network that an address is counted for: of IPv6, a household gets at least a /64. */
export function networkOf(address: string): string {
  const [, mapped] = /^::ffff:(\d+\.\d+\.\d+\.\d+)$/i.exec(address) ?? []
  if (mapped !== undefined) return mapped
  if (!address.includes(":")) return address
  const [head = "", tail = ""] = (address.split("%")[0] ?? "").split("::")
  const before = head === "" ? [] : head.split(":")
  const after = tail === "" ? [] : tail.split(":")
  const middle = address.includes("::") ? Array<string>(Math.max(0, 8 - before.length - after.length)).fill("0") : []
  const groups = [...before, ...middle, ...after].slice(0, 4).map(group => Number.parseInt(group, 16).toString(16))
  return `${groups.join(":")}::/64`
}

/** When a session ends that is used now: after a while without use, and never later than its whole time. */
export function idleEnd(now: number, expiresAt: number): number {
  return Math.min(now + SESSION_IDLE_MS, expiresAt)
}
