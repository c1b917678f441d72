/** Pictures of integrations for the tests of diagnosis: a healthy one, and what is to differ from it. */
import { diagnose } from "../../src/domain/diagnosis.ts"
import { DAY_MS, HOUR_MS } from "../../src/domain/duration.ts"
import type { ByReason, Hour, Picture, Tried } from "../../src/domain/picture.ts"

/** Saturday, 21 November 2026, half past ten in UTC: half an hour into the running hour. */
export const NOW = Date.UTC(2026, 10, 21, 10, 30)
const RUNNING = NOW - (NOW % HOUR_MS)
const HOURS = 21 * 24

/** What an hour differs in, by how many hours before the running one it is. */
export type InHour = (hoursAgo: number, at: number) => Partial<Hour>

/** 21 days of hours, quiet unless said otherwise; whatever gets through was routed and delivered too. */
export function hoursWith(inHour: InHour): Hour[] {
  return Array.from({ length: HOURS }, (_, i) => {
    const hoursAgo = HOURS - 1 - i
    const at = RUNNING - hoursAgo * HOUR_MS
    const given = inHour(hoursAgo, at)
    const success = given.success ?? 0
    return {
      at,
      routed: success,
      delivered: success,
      failed: {},
      withheld: {},
      success,
      errors: {},
      skipped: 0,
      ...given,
    }
  })
}

/** An integration that gets `perHour` events in each hour and sends them. */
export function steady(perHour = 10): InHour {
  return () => ({ success: perHour })
}

/** Attempts, the newest first, one a minute: `ok`, or a reason with a status such as `server_error 503`. */
export function tried(...said: readonly string[]): Tried[] {
  return said.map((one, i) => {
    const [reason = "", status] = one.split(" ")
    const isSuccess = reason === "ok"
    return {
      at: NOW - (i + 1) * 60_000,
      event: 1_000 - i,
      isSuccess,
      reason: isSuccess ? null : (reason as Tried["reason"]),
      status: status === undefined ? null : Number(status),
      message: "",
    }
  })
}

/** So many of one kind. */
export function times(count: number, said: string): string[] {
  return Array<string>(count).fill(said)
}

/** The run of failures that attempts such as these show. */
export function runOf(attempts: readonly Tried[], more: Partial<Picture["run"] & object> = {}): Picture["run"] {
  const first = attempts.findIndex(one => one.isSuccess)
  const failed = first < 0 ? attempts : attempts.slice(0, first)
  const [newest, oldest] = [failed[0], failed.at(-1)]
  if (newest === undefined || oldest === undefined) return null
  return {
    since: oldest.at,
    lastAt: newest.at,
    attempts: failed.length,
    events: new Set(failed.map(one => one.event)).size,
    lastSuccessAt: attempts[first]?.at ?? null,
    ...more,
  }
}

/** A healthy integration, 60 days old, but for what is given. */
export function pictureOf(
  given: Partial<Omit<Picture, "integration" | "waiting">> & {
    readonly integration?: Partial<Picture["integration"]>
    readonly waiting?: Partial<Picture["waiting"]>
  } = {},
): Picture {
  const { integration, waiting, ...rest } = given
  const attempts = rest.attempts ?? tried(...times(50, "ok"))
  return {
    now: NOW,
    hours: hoursWith(steady()),
    run: runOf(attempts),
    arrived: null,
    missingFields: [],
    ownTrouble: null,
    ...rest,
    attempts,
    integration: {
      name: "CRM",
      createdAt: NOW - 60 * DAY_MS,
      enabled: true,
      disabledBy: null,
      disabledAt: null,
      disabledReason: null,
      paused: false,
      namedTypes: [],
      ...integration,
    },
    waiting: { total: 0, oldestEvent: null, oldestDueAt: null, oldestSendingAt: null, heldBy: null, ...waiting },
  }
}

/** Errors of one reason. */
export function errors(count: number, reason: keyof ByReason = "server_error"): ByReason {
  return count === 0 ? {} : { [reason]: count }
}

/** The code of the verdict, with its case where it has one. */
export function verdictOf(picture: Picture): string {
  const { verdict } = diagnose(picture)
  return verdict.case === undefined ? verdict.code : `${verdict.code} ${verdict.case}`
}

/** What else it shows, in the same way. */
export function alsoOf(picture: Picture): string[] {
  return diagnose(picture).also.map(({ code, case: of }) => (of === undefined ? code : `${code} ${of}`))
}
