/** The demo's account: what became of every event at an integration, and whether the receiver's own ledger says the same. */
import Table from "cli-table3"
import type { Ledger } from "./receiver.ts"

/** Calls the API; gives the answer's JSON. */
export type Call = (method: string, path: string, body?: unknown) => Promise<unknown>

export interface Account {
  readonly name: string
  /** By event: the delivery's status, or `withheld: <reason>`. */
  readonly fates: ReadonlyMap<string, string>
  /** Requests that were made, as the attempts' history counts them. */
  readonly attempts: number
  /** From acceptance to delivery, in ms, sorted. */
  readonly latencies: readonly number[]
}

interface Here {
  readonly event: { readonly id: string }
  readonly delivery: { readonly status: string; readonly created_at: string; readonly updated_at: string } | null
  readonly withheld: { readonly code: string } | null
}

/** Reads through the API what became of every event at one integration. */
export async function accountOf(call: Call, integration: string, name: string): Promise<Account> {
  const fates = new Map<string, string>()
  const latencies: number[] = []
  let cursor: string | null = null
  do {
    const after: string = cursor === null ? "" : `&cursor=${cursor}`
    const page = (await call("GET", `/v1/integrations/${integration}/events?limit=200${after}`)) as {
      data: Here[]
      next_cursor: string | null
    }
    for (const { event, delivery, withheld } of page.data) {
      if (delivery !== null) fates.set(event.id, delivery.status)
      else if (withheld !== null) fates.set(event.id, `withheld: ${withheld.code}`)
      if (delivery?.status === "delivered") {
        latencies.push(Date.parse(delivery.updated_at) - Date.parse(delivery.created_at))
      }
    }
    cursor = page.next_cursor
  } while (cursor !== null)
  const history = (await call("GET", `/v1/integrations/${integration}/history`)) as {
    totals: { success: number; error: number }
  }
  const attempts = history.totals.success + history.totals.error
  return { name, fates, attempts, latencies: latencies.sort((a, b) => a - b) }
}

/** Where the account is not whole, or differs from what the receiver wrote down: sentences; none when all is well. */
export function faultsOf(account: Account, accepted: ReadonlySet<string>, ledger: Ledger | undefined): string[] {
  const faults: string[] = []
  const { name, fates } = account
  if (ledger === undefined) return [`${name}: the receiver gave no ledger.`]
  const unaccounted = [...accepted].filter(id => !fates.has(id))
  if (unaccounted.length > 0) faults.push(`${name}: ${unaccounted.length} accepted events are not accounted for.`)
  const delivered = [...fates].filter(([, fate]) => fate === "delivered").map(([id]) => id)
  const missing = delivered.filter(id => ledger.taken[id] === undefined)
  if (missing.length > 0) faults.push(`${name}: ${missing.length} events count as delivered but never arrived.`)
  const taken = Object.keys(ledger.taken)
  const unexpected = taken.filter(id => fates.get(id) !== "delivered")
  if (unexpected.length > 0) faults.push(`${name}: ${unexpected.length} events arrived but do not count as delivered.`)
  const repeated = taken.filter(id => (ledger.taken[id] ?? 0) > 1)
  if (repeated.length > 0) faults.push(`${name}: ${repeated.length} events arrived more than once.`)
  if (ledger.requests !== account.attempts) {
    faults.push(`${name}: ${account.attempts} attempts are recorded, the receiver counted ${ledger.requests} requests.`)
  }
  if (ledger.badSignatures > 0) faults.push(`${name}: ${ledger.badSignatures} signatures did not verify.`)
  return faults
}

/** Prints what was accepted and what became of it, for each integration, with how long it took. */
export function printAccounts(accepted: number, accounts: readonly Account[]): void {
  const kinds = [...new Set(accounts.flatMap(({ fates }) => [...fates.values()]))].sort()
  const table = new Table({ head: ["", ...accounts.map(account => account.name)], style: { head: [], border: [] } })
  table.push(["accepted", ...accounts.map(() => accepted)])
  for (const kind of kinds) {
    table.push([kind, ...accounts.map(({ fates }) => [...fates.values()].filter(fate => fate === kind).length)])
  }
  table.push(["requests made", ...accounts.map(account => account.attempts)])
  for (const share of [0.5, 0.95, 0.99]) {
    table.push([
      `delivered within, p${share * 100}`,
      ...accounts.map(({ latencies }) => `${percentile(latencies, share)} ms`),
    ])
  }
  console.log(`\n${table.toString()}`)
}

function percentile(sorted: readonly number[], share: number): number {
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? 0
}
