/**
 * Headers of every answer, whatever it is: a page that a browser might make of one could load nothing, run nothing, be
 * framed by nobody and be kept nowhere (API-28).
 */
import type { Context } from "./context.ts"

const ofAll = {
  "x-content-type-options": "nosniff",
  "referrer-policy": "no-referrer",
  "content-security-policy": "default-src 'none'; frame-ancestors 'none'",
  "cross-origin-opener-policy": "same-origin",
  "cross-origin-resource-policy": "same-origin",
  "permissions-policy": "accelerometer=(), camera=(), geolocation=(), gyroscope=(), microphone=(), payment=(), usb=()",
  "cache-control": "no-store",
} as const

/** Half a year, as is usual: whoever has reached this host by TLS does not reach it without again. Other hosts are not ours. */
const overTls = { ...ofAll, "strict-transport-security": "max-age=15552000" } as const

/** The headers, by how this Waybill is reached. */
export function answerHeaders({ publicUrl }: Pick<Context, "publicUrl">): Readonly<Record<string, string>> {
  return publicUrl().startsWith("https:") ? overTls : ofAll
}
