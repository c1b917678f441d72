/**
 * The events that the bench sends: JSON of exactly 1 KiB each, as a subscription backend would send them, different from
 * one another in everything that is searched for. Each has room for the time at which it was sent.
 */

export const EVENT_BYTES = 1_024
export const EVENT_COUNT = 1_000

/** Before the time in an event's text; the time is `STAMP_DIGITS` digits, microseconds of the machine's monotonic clock. */
export const STAMP_MARK = '"sent_us":"'
export const STAMP_DIGITS = 16

/** The name of the app that all events belong to. */
export const APP = "bench-ios"

const usualTypes = [
  "subscription_renewed",
  "subscription_started",
  "trial_started",
  "trial_converted",
  "access_level_updated",
]
const countries = ["DE", "US", "BR", "JP", "FR", "IN", "GB", "KR"]

/** Bodies for `POST /v1/events`, of these types in turn. */
export function makeEvents(types: readonly string[] = usualTypes): string[] {
  return Array.from({ length: EVENT_COUNT }, (_, i) => makeEvent(i, types[i % types.length]))
}

/** The monotonic clock, the same for all processes of a machine, in microseconds. */
export function nowUs(): number {
  return Number(process.hrtime.bigint() / 1_000n)
}

function makeEvent(i: number, type: string | undefined): string {
  const event = (note: string): string => {
    const data = {
      sent_us: "0".repeat(STAMP_DIGITS),
      profile_event_id: hash(i, 32),
      vendor_product_id: `pro.${i % 3 === 0 ? "yearly" : "monthly"}.v${i % 7}`,
      store: i % 2 === 0 ? "app_store" : "play_store",
      transaction_id: String(1e15 + i * 7_919),
      original_transaction_id: String(1e15 + (i % 250) * 104_729),
      purchased_at: "2026-11-21T10:00:00.000Z",
      expires_at: "2026-12-21T10:00:00.000Z",
      price_usd: 9.99 + (i % 40),
      proceeds_usd: 6.99 + (i % 40),
      currency: "EUR",
      country: countries[i % countries.length],
      is_active: true,
      will_renew: i % 5 !== 0,
      cancellation_reason: null,
      attributes: {
        plan: i % 3 === 0 ? "pro" : "basic",
        cohort: `2026-${(i % 12) + 1}`,
        locale: "de-DE",
        tags: ["a", "b"],
      },
      note,
    }
    const rest = { app: APP, profile_id: `profile-${hash(i, 24)}`, source_record: `order-${hash(i + EVENT_COUNT, 16)}` }
    return JSON.stringify({ type, data, ...rest })
  }
  return event("n".repeat(EVENT_BYTES - event("").length))
}

/** Hex digits that look like chance and are the same in every run. */
function hash(seed: number, digits: number): string {
  let text = ""
  for (let state = seed + 1; text.length < digits; ) {
    state = Math.imul(state ^ (state >>> 15), 0x2c1b3c6d) + 0x9e3779b9
    text += ((state ^ (state >>> 13)) >>> 0).toString(16).padStart(8, "0")
  }
  return text.slice(0, digits)
}
