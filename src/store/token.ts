/** Tokens that let somebody in: 256 random bits, shown once. What is kept is their SHA-256, which opens nothing (API-8). */
import { createHash, randomBytes } from "node:crypto"

/** A new token, in letters that a URL and a cookie take as they are. */
export function newToken(): string {
  return randomBytes(32).toString("base64url")
}

/** What is kept of a token, hex. */
export function hashToken(token: string): string {
  return createHash("sha256").update(token).digest("hex")
}
