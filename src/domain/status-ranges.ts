/** Sets of HTTP statuses as people write them in a policy: `200-299`, `200-299,304`, `none`. */

/** Inclusive ranges, in order, apart from one another. */
export type StatusRanges = readonly (readonly [from: number, to: number])[]

const LOWEST = 100
const HIGHEST = 599

/** The ranges in a text such as `200-299,304`; none for `""` and `none`. Where it cannot be read: a sentence that says why. */
export function parseStatuses(
  text: string,
): { kind: "ranges"; ranges: StatusRanges } | { kind: "fault"; message: string } {
  const written = text.trim()
  if (written === "" || written === "none") return { kind: "ranges", ranges: [] }
  const ranges: [number, number][] = []
  for (const part of written.split(",")) {
    const range = /^\s*(\d{3})(?:\s*-\s*(\d{3}))?\s*$/.exec(part)
    if (!range)
      return fault(`"${part.trim()}" is neither a status nor a range; write it like "200-299,304", or "none".`)
    const from = Number(range[1])
    const to = Number(range[2] ?? range[1])
    if (from > to) return fault(`"${part.trim()}" ends before it begins; write the smaller status first.`)
    if (from < LOWEST || to > HIGHEST) return fault(`"${part.trim()}" holds no HTTP status; they go from 100 to 599.`)
    ranges.push([from, to])
  }
  return { kind: "ranges", ranges: joined(ranges) }
}

/** The text of ranges, as `parseStatuses` reads it. */
export function formatStatuses(ranges: StatusRanges): string {
  if (ranges.length === 0) return "none"
  return ranges.map(([from, to]) => (from === to ? `${from}` : `${from}-${to}`)).join(",")
}

/** Whether one of the ranges holds a status. */
export function includesStatus(ranges: StatusRanges, status: number): boolean {
  return ranges.some(([from, to]) => from <= status && status <= to)
}

/** What two sets have in common. */
export function overlapOf(one: StatusRanges, other: StatusRanges): StatusRanges {
  return one.flatMap(([from, to]) =>
    other.flatMap(([otherFrom, otherTo]): [number, number][] => {
      const first = Math.max(from, otherFrom)
      const last = Math.min(to, otherTo)
      return first <= last ? [[first, last]] : []
    }),
  )
}

/** The ranges without one status. */
export function withoutStatus(ranges: StatusRanges, status: number): StatusRanges {
  return overlapOf(ranges, [
    [LOWEST, status - 1],
    [status + 1, HIGHEST],
  ])
}

/** In order, with those that touch made one: `304,200-299,250-303` is `200-304`. */
function joined(ranges: readonly (readonly [number, number])[]): StatusRanges {
  const result: [number, number][] = []
  for (const [from, to] of [...ranges].sort(([a], [b]) => a - b)) {
    const last = result.at(-1)
    if (last && from <= last[1] + 1) last[1] = Math.max(last[1], to)
    else result.push([from, to])
  }
  return result
}

function fault(message: string): { kind: "fault"; message: string } {
  return { kind: "fault", message }
}
