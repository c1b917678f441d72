/**
 * The oracle: holds what the producer was told, what the receivers saw and what Waybill says against each other, and
 * finds every event again (the method is that of Jepsen's total-queue checker: unique values, every outcome recorded,
 * faults, a full drain, then sets are compared).
 */
import { formatId, parseId } from "../../src/domain/id.ts"
import type { ProducerEntry } from "./producer.ts"
import type { Receipt } from "./receiver.ts"
import type { StoredAttempt, StoredEvent, SystemLedger } from "./system-ledger.ts"

/** One integration, and what came to the path that it points to. */
export interface Destination {
  /** `int_…` */
  readonly id: string
  readonly name: string
  readonly receipts: readonly Receipt[]
}

export interface Ledgers {
  readonly producer: readonly ProducerEntry[]
  readonly destinations: readonly Destination[]
  readonly system: SystemLedger
  /** When processes were killed, in ms since 1970, in order. */
  readonly kills: readonly number[]
}

/** What came of it. Every list of sentences has to be empty. */
export interface Account {
  readonly accepted: number
  /** The accepted events by what they came to: an event counts once, where its worst delivery stands. */
  readonly delivered: number
  readonly failed: number
  readonly skipped: number
  readonly pending: number
  /** Events that go to nobody. */
  readonly withheld: number
  /** Answered with 202, and not to be found again in full: the event, a delivery of it, or the request that delivered it. */
  readonly lost: readonly string[]
  /** Stored or received, and sent by nobody. */
  readonly unexpected: readonly string[]
  /** Received with other content than was sent, or with other bytes than another attempt of the same delivery. */
  readonly phantom: readonly string[]
  /** Refused, and stored all the same. */
  readonly refusedButStored: readonly string[]
  /** Attempts that no receiver saw, and requests that no attempt tells of; those interrupted by a kill may be either. */
  readonly unmatched: readonly string[]
  /** Requests whose signature is not right. */
  readonly unsigned: readonly string[]
  /** Requests for what had been answered with 2xx before. */
  readonly duplicates: number
  /** Those of them that no kill accounts for. */
  readonly unexplained: readonly string[]
  /** Attempts recorded as interrupted. */
  readonly interrupted: number
  /** Events whose answer never came, and which were stored: their repeat was told so, or there was none. */
  readonly recovered: number
  /** The longest from a kill to the first request of the next start, in ms. */
  readonly maxRecoveryMs: number
  /** The longest from a kill to the next request for a delivery that it interrupted, behind whatever waited before it. */
  readonly maxRetryMs: number
  /** Deliveries of each destination by status, withheld events included. */
  readonly byDestination: Readonly<Record<string, Readonly<Record<string, number>>>>
}

/** Makes up the account. */
export function settleAccounts(ledgers: Ledgers): Account {
  const sent = readProducer(ledgers.producer)
  const stored = new Map(ledgers.system.events.map(event => [event.external_id, event]))
  const routes = destinationsById(ledgers)
  const found = compareDeliveries(ledgers, stored, sent)
  const acked = [...sent.values()].filter(letter => letter.event !== undefined)
  const lost = acked.flatMap(letter => {
    const event = stored.get(letter.id)
    if (event === undefined) return [`${letter.id} was answered with 202 and is not stored`]
    if (formatId("evt", event.id) !== letter.event) return [`${letter.id} was answered with the id ${letter.event}`]
    return missingDeliveries(event, [...routes.keys()], found.statuses)
  })
  const outcomes = acked.map(({ id }) => outcomeOf(stored.get(id), found.statuses))
  const count = (outcome: string) => outcomes.filter(one => one === outcome).length
  return {
    ...found,
    accepted: acked.length,
    delivered: count("delivered"),
    failed: count("failed"),
    skipped: count("skipped"),
    pending: count("pending"),
    withheld: count("withheld"),
    lost: [...lost, ...found.lost],
    unexpected: [
      ...[...stored.keys()].filter(id => !sent.has(id)).map(id => `${id} is stored and was never sent`),
      ...found.unexpected,
    ],
    refusedButStored: [...sent.values()]
      .filter(letter => letter.isRefused && stored.has(letter.id))
      .map(letter => `${letter.id} was refused and is stored`),
    recovered: [...sent.values()].filter(
      letter => letter.wasUnknown && stored.has(letter.id) && letter.wasNewWhenAnswered !== true,
    ).length,
    byDestination: countByDestination(ledgers, found.statuses),
  }
}

/** The line to publish (standards.md, 5.3). */
export function accountLine(account: Account, kills: number): string {
  const n = (value: number) => value.toLocaleString("en")
  const { accepted, delivered, failed, skipped, pending, withheld } = account
  const accountedFor = delivered + failed + skipped + pending + withheld
  const states = [
    `${n(delivered)} delivered`,
    `${n(failed)} failed`,
    `${n(skipped)} skipped`,
    `${n(pending)} pending`,
    `${n(withheld)} withheld`,
  ]
  const explained = account.duplicates - account.unexplained.length
  return [
    `${n(accepted)} accepted = ${n(accountedFor)} accounted for (${states.join(", ")})`,
    `${kills} kills`,
    `dup ${n(account.duplicates)} (explained ${n(explained)})`,
    `lost ${n(account.lost.length)}`,
    `recovered ${n(account.recovered)}`,
    `max recovery ${(account.maxRecoveryMs / 1_000).toFixed(1)} s`,
  ].join(" · ")
}

/** All faults of an account, the first few of each kind; empty where it adds up. */
export function faultsOf(account: Account): string[] {
  const { lost, unexpected, phantom, refusedButStored, unmatched, unsigned, unexplained } = account
  return Object.entries({ lost, unexpected, phantom, refusedButStored, unmatched, unsigned, unexplained }).flatMap(
    ([kind, sentences]) => sentences.slice(0, 5).map(sentence => `${kind} (${sentences.length}): ${sentence}`),
  )
}

/** An event as its producer knows it. */
interface Letter {
  readonly id: string
  readonly data: string
  /** The id that a 202 gave. */
  readonly event: string | undefined
  readonly wasUnknown: boolean
  /** The first 202 said that it was no duplicate; undefined where there was none. */
  readonly wasNewWhenAnswered: boolean | undefined
  /** Every request with it was refused. */
  readonly isRefused: boolean
}

function readProducer(entries: readonly ProducerEntry[]): Map<string, Letter> {
  const letters = new Map<string, Letter>()
  for (const entry of entries) {
    const before = letters.get(entry.id)
    if (entry.kind === "invoke") {
      letters.set(entry.id, {
        id: entry.id,
        event: undefined,
        wasUnknown: false,
        wasNewWhenAnswered: undefined,
        isRefused: true,
        ...before,
        data: entry.data,
      })
      continue
    }
    if (before === undefined) throw new Error(`The producer's ledger tells of ${entry.id} before it was sent.`)
    letters.set(entry.id, {
      ...before,
      event: before.event ?? entry.event,
      wasUnknown: before.wasUnknown || entry.kind === "unknown",
      wasNewWhenAnswered: before.wasNewWhenAnswered ?? (entry.duplicate === undefined ? undefined : !entry.duplicate),
      isRefused: before.isRefused && entry.kind === "fail",
    })
  }
  return letters
}

function destinationsById({ destinations }: Ledgers): Map<number, Destination> {
  return new Map(
    destinations.map(destination => {
      const id = parseId("int", destination.id)
      if (id === undefined) throw new Error(`${destination.id} is no id of an integration.`)
      return [id, destination]
    }),
  )
}

/** One delivery: `event/integration`. */
function deliveryKey(event: number, integration: number): string {
  return `${event}/${integration}`
}

/** What each delivery comes to over all ledgers. */
function compareDeliveries(
  ledgers: Ledgers,
  stored: ReadonlyMap<string, StoredEvent>,
  sent: ReadonlyMap<string, Letter>,
) {
  const { system, kills } = ledgers
  const faults = {
    lost: [] as string[],
    unexpected: [] as string[],
    phantom: [] as string[],
    unmatched: [] as string[],
    unsigned: [] as string[],
    unexplained: [] as string[],
  }
  const statuses = new Map(system.deliveries.map(d => [deliveryKey(d.event_id, d.integration_id), d.status]))
  const attempts = Map.groupBy(system.attempts, a => deliveryKey(a.event_id, a.integration_id))
  const receipts = new Map<string, Receipt[]>()
  for (const [integration, { name, receipts: all }] of destinationsById(ledgers)) {
    for (const receipt of all) {
      const event = parseId("evt", receipt.webhookId)
      const letter = sent.get(receipt.externalId)
      const what = `${receipt.webhookId} (${receipt.externalId}) at ${name}`
      if (!receipt.isSigned) faults.unsigned.push(`${what}, attempt ${receipt.attempt}`)
      if (event === undefined || letter === undefined || stored.get(receipt.externalId)?.id !== event) {
        faults.unexpected.push(`${what} was received and is not known`)
        continue
      }
      if (receipt.data !== letter.data) faults.phantom.push(`${what} has other data than were sent`)
      const key = deliveryKey(event, integration)
      const others = receipts.get(key)
      if (others === undefined) receipts.set(key, [receipt])
      else others.push(receipt)
    }
  }

  let duplicates = 0
  for (const [key, requests] of receipts) {
    const tries = attempts.get(key) ?? []
    if (new Set(requests.map(request => request.body)).size > 1) faults.phantom.push(`${key} went out with two bodies`)
    for (const request of requests) {
      const attempt = tries.find(({ number }) => number === request.attempt)
      const isTold = attempt?.outcome === "interrupted" || (attempt !== undefined && attempt.status === request.status)
      if (!isTold)
        faults.unmatched.push(`${key}: request ${request.attempt}, answered ${request.status}, is not recorded so`)
    }
    const inOrder = requests.toSorted((a, b) => a.at - b.at)
    for (const [i, request] of inOrder.entries()) {
      const earlier = inOrder.slice(0, i).find(({ status }) => isSuccess(status))
      if (earlier === undefined) continue
      duplicates++
      if (!isExplained(earlier, request, tries, kills)) {
        faults.unexplained.push(`${key}: request ${request.attempt} came after request ${earlier.attempt} had its 2xx`)
      }
    }
  }

  let interrupted = 0
  let maxRetryMs = 0
  for (const [key, tries] of attempts) {
    const requests = receipts.get(key) ?? []
    for (const attempt of tries) {
      const matching = requests.filter(request => request.attempt === attempt.number)
      if (attempt.outcome === "interrupted") {
        interrupted++
        maxRetryMs = Math.max(maxRetryMs, retryMs(attempt, requests, kills))
        if (matching.length > 1) faults.unmatched.push(`${key}: attempt ${attempt.number} was received twice`)
      } else if (matching.length !== (wasSent(attempt) ? 1 : 0)) {
        faults.unmatched.push(`${key}: attempt ${attempt.number} was received ${matching.length} times`)
      }
    }
  }
  for (const [key, status] of statuses) {
    const isProved = receipts.get(key)?.some(receipt => isSuccess(receipt.status)) === true
    if (status === "delivered" && !isProved) faults.lost.push(`${key} is called delivered and no receiver said 2xx`)
  }
  return { ...faults, statuses, duplicates, interrupted, maxRetryMs, maxRecoveryMs: maxRecoveryMs(ledgers) }
}

/** Whether a request left: not where Waybill itself could not send it, nor before there was a connection. */
function wasSent({ outcome, phase }: StoredAttempt): boolean {
  return outcome !== "sender_fault" && phase !== "dns" && phase !== "connect" && phase !== "tls"
}

function isSuccess(status: number | null): boolean {
  return status !== null && status >= 200 && status < 300
}

/** The attempt that had the 2xx is recorded as interrupted by a kill, and the repeat came after that kill. */
function isExplained(
  earlier: Receipt,
  repeat: Receipt,
  tries: readonly StoredAttempt[],
  kills: readonly number[],
): boolean {
  // A process that was stopped and woke up records what came of it after another has recorded it as interrupted.
  const attempt = tries.find(({ number, outcome }) => number === earlier.attempt && outcome === "interrupted")
  if (attempt === undefined) return false
  const kill = killBefore(attempt, kills)
  return kill !== undefined && kill <= repeat.at
}

/** The kill that interrupted an attempt: the start that follows a kill records what it interrupted. */
function killBefore(attempt: StoredAttempt, kills: readonly number[]): number | undefined {
  return kills.findLast(at => at <= attempt.started_at)
}

/** From the kill that interrupted an attempt to the delivery's next request. */
function retryMs(attempt: StoredAttempt, requests: readonly Receipt[], kills: readonly number[]): number {
  const kill = killBefore(attempt, kills)
  const next = requests.find(request => request.attempt > attempt.number)
  return kill === undefined || next === undefined ? 0 : next.at - kill
}

function maxRecoveryMs({ system, kills }: Ledgers): number {
  const starts = system.attempts.filter(({ outcome }) => outcome !== "interrupted").map(attempt => attempt.started_at)
  const firstAfter = (kill: number) => starts.reduce((first, at) => (at > kill && at < first ? at : first), Infinity)
  return Math.max(0, ...kills.map(kill => firstAfter(kill) - kill).filter(Number.isFinite))
}

/** Every integration either gets an event or is listed with the reason why not. */
function missingDeliveries(
  event: StoredEvent,
  integrations: readonly number[],
  statuses: ReadonlyMap<string, string>,
): string[] {
  const targets = JSON.parse(event.targets) as number[]
  const withheld = withheldFrom(event)
  return integrations.flatMap(integration => {
    const isThere = statuses.has(deliveryKey(event.id, integration))
    if (targets.includes(integration) ? isThere : withheld.includes(integration) && !isThere) return []
    return [`${event.external_id} has no account of itself for ${formatId("int", integration)}`]
  })
}

function withheldFrom(event: StoredEvent): number[] {
  return Object.values(JSON.parse(event.withheld) as Record<string, number[]>).flat()
}

/** Where an event's worst delivery stands. */
function outcomeOf(event: StoredEvent | undefined, statuses: ReadonlyMap<string, string>): string {
  if (event === undefined) return "lost"
  const targets = JSON.parse(event.targets) as number[]
  const found = targets.map(integration => statuses.get(deliveryKey(event.id, integration)) ?? "lost")
  if (found.includes("lost")) return "lost"
  if (found.includes("failed")) return "failed"
  if (found.some(status => status === "pending" || status === "sending" || status === "retrying")) return "pending"
  if (found.includes("skipped")) return "skipped"
  return found.includes("delivered") ? "delivered" : "withheld"
}

function countByDestination(
  ledgers: Ledgers,
  statuses: ReadonlyMap<string, string>,
): Record<string, Record<string, number>> {
  const counts: Record<string, Record<string, number>> = {}
  for (const [integration, { name }] of destinationsById(ledgers)) {
    const row: Record<string, number> = {}
    for (const event of ledgers.system.events) {
      const status = statuses.get(deliveryKey(event.id, integration)) ?? "withheld"
      row[status] = (row[status] ?? 0) + 1
    }
    counts[name] = row
  }
  return counts
}
