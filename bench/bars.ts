/** The bars that Waybill is held against, as data, and the verdict of a run on each. */
import type { Backlog } from "./backlog.ts"
import type { Comparison, Row, Turn } from "./comparison.ts"
import type { ContenderName } from "./contenders.ts"
import type { LatencyWindow, Throughput } from "./measure.ts"
import type { Outage } from "./outage.ts"
import type { Recovery } from "./recovery.ts"

/** What a run has found of one program. */
export interface Findings {
  readonly throughput: readonly Throughput[]
  readonly latency: readonly LatencyWindow[]
  readonly peakBytes: number
}

export interface Run {
  readonly bare: Findings | null
  readonly waybill: Findings | null
  readonly backlog: Backlog | null
  readonly recovery: Recovery | null
  readonly outage: Outage | null
  readonly comparison: Comparison | null
}

export interface Verdict {
  readonly name: string
  readonly bar: string
  /** Null where the run did not measure it. */
  readonly value: number | null
  /** "void": the figure stands on windows that do not count, or on a smaller backlog than the bar asks for. */
  readonly verdict: "met" | "missed" | "void" | "not measured"
}

interface Bar {
  readonly name: string
  readonly bar: string
  value(run: Run): Figure | null
  isMet(value: number): boolean
}

/** A number, and whether anything that it stands on counts. */
export interface Figure {
  readonly value: number
  readonly isVoid: boolean
}

const BAR_BACKLOG = 1_000_000
const BAR_HELD = 100_000

/** Each bar once, with what is held against it. */
export const bars: readonly Bar[] = [
  {
    name: "throughput",
    bar: "≥ 0.6 × bare",
    value: run =>
      ratio(
        run,
        ({ throughput }) => throughput,
        window => window.perSecond,
      ),
    isMet: value => value >= 0.6,
  },
  {
    name: "CPU per event",
    bar: "≤ 1.7 × bare",
    value: run =>
      ratio(
        run,
        ({ throughput }) => throughput,
        window => window.cpuPerEventUs,
      ),
    isMet: value => value <= 1.7,
  },
  {
    name: "p99 at half load, ms",
    bar: "≤ 100",
    value: ({ waybill }) => (waybill === null ? null : median(waybill.latency, window => window.p99Ms)),
    isMet: value => value <= 100,
  },
  {
    name: "memory with the backlog, MB",
    bar: "≤ 300",
    value: ({ backlog }) => withBacklog(backlog, ({ fillBytes, drainBytes }) => Math.max(fillBytes, drainBytes) / 1e6),
    isMet: value => value <= 300,
  },
  {
    name: "start with the backlog, s",
    bar: "≤ 3",
    value: ({ backlog }) =>
      withBacklog(backlog, ({ startMs, startAfterKillMs }) => Math.max(startMs, startAfterKillMs) / 1_000),
    isMet: value => value <= 3,
  },
  {
    name: "memory during a recovery, MB",
    bar: "≤ 300",
    value: ({ recovery }) =>
      recovery === null ? null : { value: recovery.peakBytes / 1e6, isVoid: recovery.events < BAR_BACKLOG },
    isMet: value => value <= 300,
  },
  {
    name: "live p99 beside a recovery",
    bar: "≤ 1.5 × alone",
    value: ({ recovery }) =>
      recovery === null
        ? null
        : middle(
            recovery.besideP99Ms.map((ms, round) => ms / (recovery.aloneP99Ms[round] ?? Number.NaN)),
            false,
          ),
    isMet: value => value <= 1.5,
  },
  {
    name: "live p99 beside dead neighbours",
    bar: "≤ 2 × alone",
    value: ({ outage }) =>
      outage === null
        ? null
        : middle(
            outage.besideP99Ms.map((ms, round) => ms / (outage.aloneP99Ms[round] ?? Number.NaN)),
            false,
          ),
    isMet: value => value <= 2,
  },
  {
    name: "drain after an outage, of its rate",
    bar: "≤ 1.05",
    value: ({ outage }) =>
      outage === null ? null : { value: outage.mostPerSecond / outage.rate, isVoid: outage.held < BAR_HELD },
    isMet: value => value <= 1.05,
  },
  {
    name: "PostgreSQL: events/s of one process",
    bar: "≥ 3 × the best queue there",
    value: ({ comparison }) => beside(comparison, "postgres-1", ["pg-boss", "graphile-worker"]),
    isMet: value => value >= 3,
  },
  {
    name: "PostgreSQL: events/s of one process",
    bar: "≥ 1 × BullMQ, everysec",
    value: ({ comparison }) => beside(comparison, "postgres-1", ["bullmq-everysec"]),
    isMet: value => value >= 1,
  },
  {
    name: "PostgreSQL: statements per event",
    bar: "≤ 0.3",
    value: ({ comparison }) => statementsOf(comparison, ["postgres-1", "postgres-2", "postgres-3"]),
    isMet: value => value <= 0.3,
  },
  {
    name: "embedded: events/s",
    bar: "≥ 2 × BullMQ, always",
    value: ({ comparison }) => beside(comparison, "waybill", ["bullmq-always"]),
    isMet: value => value >= 2,
  },
]

/** Holds a run against every bar. */
export function judge(run: Run): Verdict[] {
  return bars.map(({ name, bar, value, isMet }) => {
    const figure = value(run)
    if (figure === null) return { name, bar, value: null, verdict: "not measured" }
    if (figure.isVoid) return { name, bar, value: figure.value, verdict: "void" }
    return { name, bar, value: figure.value, verdict: isMet(figure.value) ? "met" : "missed" }
  })
}

/** The median over the windows that count, or over all where none does. Null where there is none. */
export function median<Window extends { readonly voidBecause: readonly string[] }>(
  windows: readonly Window[],
  pick: (window: Window) => number,
): Figure | null {
  const counting = windows.filter(window => window.voidBecause.length === 0)
  const isVoid = counting.length === 0
  return middle((isVoid ? windows : counting).map(pick), isVoid)
}

/**
 * Waybill's figure divided by bare's: of each round by itself, because a busy neighbour slows both programs of a round,
 * and of those the median. Null where one of them was not measured.
 */
export function ratio<Window extends { readonly voidBecause: readonly string[] }>(
  { bare, waybill }: Pick<Run, "bare" | "waybill">,
  windowsOf: (findings: Findings) => readonly Window[],
  pick: (window: Window) => number,
): Figure | null {
  if (bare === null || waybill === null) return null
  const others = windowsOf(bare)
  const pairs = windowsOf(waybill).flatMap((window, round) => {
    const other = others[round]
    return other === undefined ? [] : [{ window, other, voidBecause: [...window.voidBecause, ...other.voidBecause] }]
  })
  return median(pairs, ({ window, other }) => pick(window) / pick(other))
}

/** A contender's median; null where it was not measured. What lost an event, or did not get through, is void. */
export function medianOf(row: Row | undefined, pick: (turn: Turn) => number): Figure | null {
  const figure = row === undefined ? null : median(row.turns.map(asWindow), pick)
  return figure && { ...figure, isVoid: figure.isVoid || row?.failure !== null }
}

/**
 * Whole jobs a second of a contender, divided by those of the best among others: round by round, as in `ratio`. Null where
 * any of them was not measured, as that might have been the best.
 */
export function beside(
  comparison: Comparison | null,
  name: ContenderName,
  others: readonly ContenderName[],
): Figure | null {
  const rowOf = (wanted: ContenderName): Row | undefined => comparison?.rows.find(row => row.name === wanted)
  const own = rowOf(name)
  const rows = others.flatMap(other => rowOf(other) ?? [])
  if (own === undefined || rows.length < others.length) return null
  const pairs = own.turns.flatMap((turn, round) => {
    const rivals = rows.flatMap(row => row.turns[round] ?? [])
    if (rivals.length < others.length) return []
    const voidBecause = [turn, ...rivals].flatMap(each => asWindow(each).voidBecause)
    return [{ quotient: turn.perSecond / Math.max(...rivals.map(rival => rival.perSecond)), voidBecause }]
  })
  return median(pairs, ({ quotient }) => quotient)
}

/** The most that any of these needs; null where none of them was measured, or statements were not counted. */
function statementsOf(comparison: Comparison | null, names: readonly ContenderName[]): Figure | null {
  const figures = names.flatMap(name => {
    const row = comparison?.rows.find(each => each.name === name)
    return row?.turns.every(turn => turn.statementsPerJob !== null)
      ? (medianOf(row, turn => turn.statementsPerJob ?? Number.NaN) ?? [])
      : []
  })
  return figures.length === 0
    ? null
    : { value: Math.max(...figures.map(({ value }) => value)), isVoid: figures.some(({ isVoid }) => isVoid) }
}

function asWindow(turn: Turn): Turn {
  if (turn.missing === 0) return turn
  return { ...turn, voidBecause: [...turn.voidBecause, `${turn.missing} accepted events have not arrived`] }
}

function middle(values: readonly number[], isVoid: boolean): Figure | null {
  const sorted = [...values].sort((a, b) => a - b)
  const [low, high] = [sorted[(sorted.length - 1) >> 1], sorted[sorted.length >> 1]]
  return low === undefined || high === undefined ? null : { value: (low + high) / 2, isVoid }
}

/** Only a backlog of the size that the bars name counts. */
function withBacklog(backlog: Backlog | null, pick: (backlog: Backlog) => number): Figure | null {
  return backlog === null ? null : { value: pick(backlog), isVoid: backlog.deliveries < BAR_BACKLOG }
}
