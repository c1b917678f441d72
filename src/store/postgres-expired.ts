/**
 * Deliveries whose payload's time is over, on PostgreSQL: many of them fail in one statement, where `endExpired` in move.ts
 * takes some for each. A paused integration may have a million (measured: 4,000 in 0.4 s rather than in 5.3 s).
 */
import type { EventId, IntegrationId } from "../domain/id.ts"
import type { Commit } from "./commit.ts"
import { release } from "./line.ts"
import type { Holder } from "./move.ts"
import { arrayOf } from "./postgres-arrays.ts"
import { verb } from "./postgres-columns.ts"
import { rows, type Step } from "./step.ts"

const failWaiting = verb("fail_waiting_1", 5)

/** Which deliveries are asked about, and which of them fail. */
export interface Waiting {
  readonly lanes: readonly IntegrationId[]
  /** One for each of `lanes`. */
  readonly events: readonly EventId[]
  /** Only those whose payload's time was over by then. */
  readonly at: number
  /** Only those that are held still; undefined: all that wait. */
  readonly held?: Holder | undefined
}

/** What a piece came to. */
export interface Ended {
  readonly ended: number
  /** Integrations in which something is due now that stood behind one of them in its line. */
  readonly released: readonly IntegrationId[]
}

/** Fails those that still wait, and counts them; what stands behind them in the lines of their keys takes its turn. */
export function* endTogether(commit: Commit, { lanes, events, at, held }: Waiting): Step<Ended> {
  const { tallies, now } = commit
  const ended = yield* rows<EndedRow>(
    failWaiting([now, arrayOf("bigint", lanes), arrayOf("bigint", events), at, held ?? ""]),
  )
  const lines = new Map<string, { lane: IntegrationId; key: string }>()
  for (const one of ended) {
    const { lane, project, recovery, ordering_key: key } = one
    const reason = "payload_expired"
    if (recovery !== null) tallies.recovery({ recovery, integration: lane, outcome: "failed", reason })
    if (key !== null) lines.set(`${lane} ${key}`, { lane, key })
    if (one.test === 1) continue
    const { environment, type, app_id: app } = one
    tallies.delivery({ project, integration: lane, at: now, app, environment, type, outcome: "failed", reason })
  }
  const released = new Set<IntegrationId>()
  // In one order everywhere, so that two of them never wait for each other.
  for (const [, { lane, key }] of [...lines].sort(([a], [b]) => (a < b ? -1 : 1))) {
    if ((yield* release(commit, lane, key)) !== null) released.add(lane)
  }
  return { ended: ended.length, released: [...released] }
}

interface EndedRow {
  readonly lane: number
  readonly project: number
  readonly ordering_key: string | null
  readonly recovery: number | null
  readonly app_id: number | null
  readonly environment: string
  readonly type: string
  readonly test: number
}
