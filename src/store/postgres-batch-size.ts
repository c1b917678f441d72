/**
 * What arrivals and settlements take of a batch: one each, and once more for each so many bytes. Half a thousand events of
 * 256 KiB would be one statement of 128 MiB, which no disk takes in for sure before statements are given up.
 */
import type { Arrival, Settlement } from "./ledger.ts"

const PIECE_BYTES = 16_384

export function sizeOfArrivals(arrivals: readonly Arrival[]): number {
  return sizeOf(arrivals.map(bytesOfArrival))
}

export function sizeOfSettlements(settlements: readonly Settlement[]): number {
  return sizeOf(settlements.map(bytesOfAttempt))
}

function sizeOf(bytes: readonly number[]): number {
  return Math.max(
    1,
    bytes.reduce((size, each) => size + 1 + Math.floor(each / PIECE_BYTES), 0),
  )
}

/** Texts by their characters, which is near enough. */
function bytesOfArrival({ draft: { payload } }: Arrival): number {
  switch (payload.kind) {
    case "json":
    case "text":
      return payload.text.length
    case "bytes":
      return payload.bytes.length
    case "none":
      return 0
  }
}

function bytesOfAttempt({ attempt }: Settlement): number {
  const { exchange = null, requestBody = null } = attempt ?? {}
  const answer = exchange?.kind === "answered" ? exchange.answer : null
  return (requestBody?.length ?? 0) + (answer?.body.length ?? 0)
}
