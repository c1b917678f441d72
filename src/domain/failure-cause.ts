/** What failures have in common, told by status and reason: an outage, credentials, a wrong address, a changed API … */
import type { Facts } from "./delivery.ts"
import type { Finding } from "./finding.ts"
import type { ByReason, Tried } from "./picture.ts"
import type { ReasonCode } from "./reason.ts"

const connectivity: readonly ReasonCode[] = [
  "dns_failed",
  "connection_refused",
  "connection_reset",
  "tls_failed",
  "protocol_error",
  "network_error",
  "timeout_connect",
  "blocked_address",
]
const outage: readonly ReasonCode[] = ["server_error", "timeout_response", "timeout_body"]

/** What most failures have in common, told by status and reason; nothing where none is in the majority. */
export function caseOf(failed: readonly Tried[]): { readonly case?: string } {
  const cases = failed.map(causeOf)
  return majority(cases)
}

/** The same by hourly counts; the statuses of `rejected` are those of the last attempts. */
export function caseOfReasons(reasons: ByReason, attempts: readonly Tried[]): { readonly case?: string } {
  const statuses = majority(attempts.filter(one => one.reason === "rejected").map(causeOf)).case ?? "api_changed"
  const cases = (Object.entries(reasons) as [ReasonCode, number][]).flatMap(([reason, count]) =>
    Array<string>(count).fill(
      reason === "rejected"
        ? statuses
        : causeOf({ reason, status: null, at: 0, event: 0, isSuccess: false, message: "" }),
    ),
  )
  return majority(cases)
}

function majority(cases: readonly string[]): { readonly case?: string } {
  const counts = Map.groupBy(cases, one => one)
  const [most, them] = [...counts].sort((a, b) => b[1].length - a[1].length)[0] ?? []
  return most === undefined || most === "" || (them?.length ?? 0) * 2 <= cases.length ? {} : { case: most }
}

function causeOf({ reason, status }: Tried): string {
  if (reason === null) return ""
  if (reason === "no_token") return "no_token"
  if (reason === "rate_limited" || reason === "gone") return reason === "gone" ? "address" : "rate_limited"
  if (connectivity.includes(reason)) return "connectivity"
  if (outage.includes(reason)) return "outage"
  if (reason === "unexpected_status") return "address"
  if (reason !== "rejected") return ""
  if (status === 401 || status === 403 || status === 407) return "credentials"
  return status === 404 || status === 405 || status === 410 ? "address" : "api_changed"
}

/** The status that all of them share. */
export function statusOf(failed: readonly Tried[]): Facts {
  const [first] = failed
  const isSame = first !== undefined && failed.every(one => one.status === first.status)
  return isSame && first.status !== null ? { status: first.status } : {}
}

/** By reason and status, the most frequent first. */
export function errorsOf(failed: readonly Tried[]): NonNullable<Finding["errors"]> {
  const groups = Map.groupBy(failed, ({ reason, status }) => `${reason} ${status}`)
  return [...groups.values()]
    .flatMap(group => {
      const [{ reason, status } = { reason: null, status: null }] = group
      return reason === null ? [] : [{ reason, status, count: group.length }]
    })
    .sort((a, b) => b.count - a.count)
}
