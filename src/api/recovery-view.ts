/** Recoveries as the API shows them: what was asked for, how far they are, what came of it. */
import { type Static, Type } from "typebox"
import type { Reason } from "../domain/delivery.ts"
import { formatId, type IntegrationId, timeOfId } from "../domain/id.ts"
import { describeReason, type ReasonCode, reasonCodes } from "../domain/reason.ts"
import { estimatedEndAt, recoverableStatuses, shareDone, walkFrom } from "../domain/recovery.ts"
import type { RoutedEvent } from "../domain/route.ts"
import type { Directory } from "../engine/directory.ts"
import type { Preview, Sample } from "../engine/recovery-preview.ts"
import { METADATA_MS } from "../store/kept.ts"
import type { OnTheirWay, RecoveryCount, RecoveryRecord } from "../store/recoveries.ts"
import type { RecoveryOutcome } from "../store/tallies.ts"
import { IntegrationName, nameOfIntegration } from "./delivery-view.ts"
import { ReasonView } from "./reasons.ts"
import { Environment, Nullable, Time, timeText } from "./schemas.ts"

const RecoveryId = Type.String({ examples: ["rec_01j9zq4kx2m"] })

const counts = {
  found: Type.Integer({ description: "Events, once for each integration, that fit what was asked for so far." }),
  queued: Type.Integer({ description: "Made due again. What a pause or a cancel gave back is taken off." }),
  waiting: Type.Integer({ description: "Queued and not sent yet: a few thousand at a time for each integration." }),
  sending: Type.Integer(),
  retrying: Type.Integer({ description: "Sent without success; tried again by the integration's schedule." }),
  delivered: Type.Integer(),
  failed: Type.Integer({ description: "Failed again." }),
  withheld: Type.Integer({ description: "Not sent, as today's configuration does not let them go either." }),
  expired: Type.Integer({ description: "Not sent, as their payload is no longer kept." }),
  other_apps: Type.Integer({ description: "Not sent, as the integration is limited to other apps." }),
  changed: Type.Integer({ description: "Retried by hand, or otherwise no longer as they were found." }),
}
type Counts = Static<typeof CountsView>
const CountsView = Type.Object(counts)

const ReasonCount = Type.Object({
  outcome: Type.Enum(["failed", "withheld"]),
  code: Type.Enum([...reasonCodes]),
  title: Type.String(),
  count: Type.Integer(),
})

const recoveryFields = {
  id: RecoveryId,
  state: Type.Enum(["running", "paused", "done", "canceled"], {
    description:
      "`done`: all was looked at, and everything that was queued has had its first try. `canceled`, `paused`: what was queued and not sent is as it was before.",
  }),
  integrations: Type.Array(IntegrationName),
  from: Time,
  to: Time,
  statuses: Type.Array(Type.Enum([...recoverableStatuses])),
  reasons: Nullable(Type.Array(Type.Enum([...reasonCodes]))),
  event_types: Nullable(Type.Array(Type.String())),
  environment: Nullable(Environment),
  app: Nullable(Type.String()),
  include_historical: Type.Boolean(),
  configuration: Type.Enum(["current", "original"]),
  max_per_second: Nullable(Type.Number()),
  progress: Type.Object({
    ...counts,
    share_done: Type.Number({ description: "How much of the time range has been looked at, from 0 to 1." }),
    looked_to: Nullable(Time, "Events received before this time have been looked at, for all its integrations."),
    estimated_end_at: Nullable(Time, "When all has been looked at, going on as so far. null where nothing goes on."),
    reasons: Type.Array(ReasonCount, { description: "Why what was not delivered was not, the most frequent first." }),
  }),
  created_at: Time,
  created_by: Type.Object({ kind: Type.String(), id: Nullable(Type.String()) }),
  updated_at: Time,
  ended_at: Nullable(Time),
}

/** A recovery in a list. */
export const RecoveryView = Type.Object(recoveryFields)
export type RecoveryView = Static<typeof RecoveryView>

/** A recovery with its progress at each integration. */
export const FullRecoveryView = Type.Object({
  ...recoveryFields,
  by_integration: Type.Array(
    Type.Object({
      integration: IntegrationName,
      held_by: Nullable(
        Type.Enum(["integration_paused", "integration_disabled", "integration_removed"]),
        "What keeps it from going on there.",
      ),
      ...counts,
    }),
  ),
})
export type FullRecoveryView = Static<typeof FullRecoveryView>

const SampleView = Type.Object({
  event: Type.Object({ id: Type.String(), type: Type.String(), environment: Environment, received_at: Time }),
  integration: IntegrationName,
  status: Type.Enum(["failed", "withheld", "missing", "delivered"], { description: "How it stands there now." }),
  outcome: Type.Enum(["send", "withheld", "expired", "other_apps"], { description: "What would become of it." }),
  why: Nullable(ReasonView, "Why it would not be sent."),
})

/** What a recovery would do. */
export const RecoveryPlan = Type.Object({
  dry_run: Type.Literal(true),
  count: Type.Integer({ description: "How many would be sent." }),
  found: counts.found,
  withheld: counts.withheld,
  expired: counts.expired,
  other_apps: counts.other_apps,
  reasons: Type.Array(ReasonCount),
  counted_to: Nullable(
    Time,
    "Set where counting would have taken long: what was received before this time is counted, the rest is not.",
  ),
  sample: Type.Array(SampleView, { description: "Up to 10 of them, the oldest of each integration." }),
})
export type RecoveryPlan = Static<typeof RecoveryPlan>

/** What is known of some recoveries beside their own rows. */
export interface Surroundings {
  readonly directory: Directory
  readonly counts: readonly RecoveryCount[]
  readonly onTheirWay: readonly OnTheirWay[]
  readonly now: number
}

export function viewOfRecovery(recovery: RecoveryRecord, surroundings: Surroundings): RecoveryView {
  const { id, ask, state, by, createdAt, lanes, endedAt } = recovery
  const { directory, now } = surroundings
  const [own, there] = ownOf(recovery, surroundings)
  const after = walkFrom(Math.max(ask.from, createdAt - METADATA_MS))
  const reached = lanes.map(lane => (lane.isThrough ? recovery.upTo : lane.reached))
  const share = shareDone({ after, upTo: recovery.upTo }, reached)
  const isGoing = state === "running" && share < 1
  return {
    id: formatId("rec", id),
    state,
    integrations: ask.integrations.map(integration => nameOfIntegration(directory, integration)),
    from: timeText(ask.from),
    to: timeText(ask.to),
    statuses: [...ask.statuses],
    reasons: ask.reasons === null ? null : [...ask.reasons],
    event_types: ask.eventTypes === null ? null : [...ask.eventTypes],
    environment: ask.environment,
    app: ask.app === null ? null : (directory.appName(ask.app) ?? null),
    include_historical: ask.includeHistorical,
    configuration: ask.configuration,
    max_per_second: ask.maxPerSecond,
    progress: {
      ...sumUp(own, there),
      share_done: Math.floor(share * 1_000) / 1_000,
      looked_to: lookedTo(recovery),
      estimated_end_at: isGoing ? timeText(estimatedEndAt(createdAt, share, now)) : null,
      reasons: reasonsOf(own),
    },
    created_at: timeText(createdAt),
    created_by: { kind: by.kind, id: by.id },
    updated_at: timeText(recovery.updatedAt),
    ended_at: timeText(endedAt),
  }
}

export function viewOfFullRecovery(recovery: RecoveryRecord, surroundings: Surroundings): FullRecoveryView {
  const { directory } = surroundings
  const [own, there] = ownOf(recovery, surroundings)
  return {
    ...viewOfRecovery(recovery, surroundings),
    by_integration: recovery.ask.integrations.map(integration => ({
      integration: nameOfIntegration(directory, integration),
      held_by: heldBy(directory, integration),
      ...sumUp(
        own.filter(each => each.integration === integration),
        there.filter(each => each.integration === integration),
      ),
    })),
  }
}

export function viewOfPlan(preview: Preview, directory: Directory): RecoveryPlan {
  const unsent = (outcome: RecoveryOutcome) =>
    preview.unsent.reduce((sum, each) => sum + (each.outcome === outcome ? each.count : 0), 0)
  return {
    dry_run: true,
    count: preview.send,
    found: preview.found,
    withheld: unsent("kept"),
    expired: unsent("expired"),
    other_apps: unsent("other_apps"),
    reasons: reasonsOf(preview.unsent),
    counted_to: timeText(preview.countedTo),
    sample: preview.sample.map(sample => viewOfSample(sample, directory)),
  }
}

function viewOfSample({ found, ruling, integration }: Sample, directory: Directory): Static<typeof SampleView> {
  const { id, event, standing } = found
  const status = standing.kind === "delivery" ? standing.status : standing.kind
  if (status !== "failed" && status !== "delivered" && status !== "withheld" && status !== "missing")
    throw new Error(`A delivery that is ${status} is nothing to recover.`)
  const code = ruling.kind === "withheld" ? ruling.reason : ruling.kind === "expired" ? "payload_expired" : null
  const facts = ruling.kind === "expired" ? { expired_at: found.payloadExpiresAt } : {}
  return {
    event: {
      id: formatId("evt", id),
      type: event.type,
      environment: event.environment,
      received_at: timeText(event.receivedAt),
    },
    integration: nameOfIntegration(directory, integration),
    status,
    outcome: ruling.kind,
    why: code === null ? null : whyNot(event, integration, { code, facts }),
  }
}

function whyNot({ environment, type }: RoutedEvent, id: IntegrationId, reason: Reason): ReasonView {
  const context = {
    status: "withheld",
    nextAt: null,
    integration: formatId("int", id),
    facts: { environment, type },
  } as const
  const text = describeReason(reason, context)
  return { ...text, links: text.links.map(link => ({ ...link })) }
}

function ownOf({ id }: RecoveryRecord, { counts, onTheirWay }: Surroundings) {
  return [counts.filter(each => each.recovery === id), onTheirWay.filter(each => each.recovery === id)] as const
}

function sumUp(counts: readonly RecoveryCount[], there: readonly OnTheirWay[]): Counts {
  const sum = (...outcomes: readonly RecoveryOutcome[]) =>
    counts.reduce((total, each) => total + (outcomes.includes(each.outcome) ? each.count : 0), 0)
  const way = (name: "waiting" | "sending" | "retrying") => there.reduce((total, each) => total + each[name], 0)
  return {
    found: sum("found"),
    queued: sum("queued") - sum("returned"),
    waiting: way("waiting"),
    sending: way("sending"),
    retrying: way("retrying"),
    delivered: sum("delivered"),
    failed: sum("failed"),
    withheld: sum("kept", "withheld"),
    expired: sum("expired"),
    other_apps: sum("other_apps"),
    changed: sum("changed", "taken"),
  }
}

function reasonsOf(
  counts: readonly { readonly outcome: RecoveryOutcome; readonly reason: string; readonly count: number }[],
): Static<typeof ReasonCount>[] {
  const sums = new Map<string, { outcome: "failed" | "withheld"; code: ReasonCode; count: number }>()
  for (const { outcome, reason, count } of counts) {
    const code = reasonCodes.find(known => known === reason)
    if (code === undefined) continue
    const end = outcome === "failed" ? "failed" : "withheld"
    const entry = sums.get(`${end}/${code}`)
    if (entry === undefined) sums.set(`${end}/${code}`, { outcome: end, code, count })
    else entry.count += count
  }
  return [...sums.values()]
    .sort((a, b) => b.count - a.count)
    .map(({ outcome, code, count }) => {
      const { title } = describeReason({ code, facts: {} }, { status: outcome, nextAt: null })
      return { outcome, code, title, count }
    })
}

function heldBy(directory: Directory, id: IntegrationId) {
  const live = directory.integration(id)
  if (live === undefined) return "integration_removed"
  if (!live.integration.enabled) return "integration_disabled"
  return live.integration.paused ? "integration_paused" : null
}

function lookedTo({ lanes, ask }: RecoveryRecord): string | null {
  const times = lanes.map(lane => (lane.isThrough ? ask.to : Math.min(ask.to, timeOfId(lane.reached))))
  const earliest = Math.min(...times)
  return earliest <= ask.from || lanes.length === 0 ? null : timeText(earliest)
}
