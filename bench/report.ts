/**
 * What a run prints: the machine, each window, the table beside bare, the verdict on each bar, and one line to quote:
 *
 *     Waybill <version>: <n> events/s (<r> × bare), <µs> µs CPU an event (<r> × bare), p50 <ms> ms and p99 <ms> ms at
 *     <n>/s, peak <MB> MB, <MB> MB with <n> waiting, start <s> s with them; <machine>; <day>
 *
 * A part that was not measured is left out, one that is void has `(void)` behind it. The same line is `line` in
 * results/latest.json, beside everything that it was made from.
 */
import Table from "cli-table3"
import type { Backlog } from "./backlog.ts"
import { beside, type Figure, type Findings, judge, median, medianOf, type Run, ratio } from "./bars.ts"
import type { Comparison, Row as ComparisonRow, Turn } from "./comparison.ts"
import { titleOf } from "./contenders.ts"
import { type Machine, machineLine } from "./machine.ts"
import type { LatencyWindow, Shares, Throughput } from "./measure.ts"
import type { Outage } from "./outage.ts"
import type { Recovery } from "./recovery.ts"

export interface Result extends Run {
  readonly at: string
  readonly version: string
  readonly seconds: number
  readonly machine: Machine
  readonly commands: readonly string[]
}

/** One window, as it is printed when it has ended. */
export function throughputLine({
  program,
  perSecond,
  cpuPerEventUs,
  shares,
  rate,
  refused,
  voidBecause,
}: Throughput): string {
  const offered = rate === null ? "" : `, offered ${whole(rate)}/s`
  const turnedAway = refused === 0 ? "" : `, ${whole(refused)} refused`
  return `${program}: ${whole(perSecond)} events/s${offered}${turnedAway}, ${cpuPerEventUs.toFixed(1)} µs CPU an event (${cores(shares)})${because(voidBecause)}`
}

/** One window of latency. */
export function latencyLine({
  program,
  rate,
  samples,
  p50Ms,
  p99Ms,
  maxMs,
  shares,
  voidBecause,
}: LatencyWindow): string {
  const times = `p50 ${p50Ms.toFixed(2)} ms, p99 ${p99Ms.toFixed(2)} ms, max ${maxMs.toFixed(1)} ms`
  return `${program}: ${times} at ${whole(rate)}/s (${whole(samples)} events; ${cores(shares)})${because(voidBecause)}`
}

/** What the backlog cost. */
export function backlogLine(backlog: Backlog): string {
  const { deliveries, fillPerSecond, fillBytes, drainBytes, startMs, startAfterKillMs, drainPerSecond } = backlog
  return [
    `waybill: ${whole(deliveries)} waiting, filled at ${whole(fillPerSecond)}/s with at most ${megabytes(fillBytes)}`,
    `start ${seconds(startMs)} after an orderly stop and ${seconds(startAfterKillMs)} after kill -9`,
    `delivered at ${whole(drainPerSecond)}/s with at most ${megabytes(drainBytes)}`,
  ].join("; ")
}

/** What a recovery cost. */
export function recoveryLine({ events, perSecond, peakBytes, aloneP99Ms, besideP99Ms }: Recovery): string {
  const ms = (values: readonly number[]) => values.map(value => value.toFixed(1)).join(", ")
  return [
    `waybill: ${whole(events)} events recovered at ${whole(perSecond)}/s with at most ${megabytes(peakBytes)}`,
    `p99 of live events ${ms(besideP99Ms)} ms beside it, ${ms(aloneP99Ms)} ms while it was paused`,
  ].join("; ")
}

/** What endpoints in trouble cost. */
export function outageLine({ aloneP99Ms, besideP99Ms, held, rate, drainSeconds, mostPerSecond }: Outage): string {
  const ms = (values: readonly number[]) => values.map(value => value.toFixed(1)).join(", ")
  return [
    `waybill: p99 of live events ${ms(besideP99Ms)} ms beside dead and slow neighbours, ${ms(aloneP99Ms)} ms without`,
    `${whole(held)} held drained in ${drainSeconds.toFixed(1)} s, at most ${whole(mostPerSecond)}/s of ${whole(rate)}/s allowed`,
  ].join("; ")
}

/** What was measured: Waybill beside bare, all that do the same job, then the bars. */
export function tables(result: Result): string {
  const besideBare = result.bare === null && result.waybill === null ? [] : [besideBareTable(result)]
  const comparison = result.comparison === null ? [] : [comparisonTable(result.comparison)]
  const bars = new Table({ head: ["bar", "asked", "measured", "verdict"], style: plain })
  for (const { name, bar, value, verdict } of judge(result)) {
    bars.push([name, bar, value === null ? "–" : value.toFixed(2), verdict])
  }
  return [...besideBare, ...comparison, bars.toString()].join("\n\n")
}

function besideBareTable(result: Result): string {
  const sideBySide = new Table({ head: ["", "bare", "waybill", "waybill / bare"], style: plain })
  for (const { name, digits, figure, quotient } of rows) {
    const [bare, waybill] = [result.bare && figure(result.bare), result.waybill && figure(result.waybill)]
    sideBySide.push([name, show(bare, digits), show(waybill, digits), show(quotient(result), 2)])
  }
  return sideBySide.toString()
}

/** All that did the same job, with what each took for it; below it what the table cannot say. */
export function comparisonTable(comparison: Comparison): string {
  const head = [
    "the same job",
    "events/s",
    "× waybill",
    "p50 ms",
    "p99 ms",
    "CPU µs",
    "its database",
    "statements",
    "all arrived",
  ]
  const table = new Table({ head, style: plain })
  const { rows, notes } = comparison
  for (const row of rows.filter(({ turns }) => turns.length > 0)) {
    const figure = (digits: number, pick: (turn: Turn) => number | null): string => {
      if (row.turns.some(turn => pick(turn) === null)) return "–"
      return show(
        medianOf(row, turn => pick(turn) ?? Number.NaN),
        digits,
      )
    }
    table.push([
      titleOf(row.name),
      figure(0, turn => turn.perSecond),
      show(beside(comparison, row.name, ["waybill"]), 2),
      figure(1, turn => turn.latency.p50Ms),
      figure(1, turn => turn.latency.p99Ms),
      figure(0, turn => turn.programUs),
      figure(0, turn => turn.storeUs),
      figure(2, turn => turn.statementsPerJob),
      arrivals(row),
    ])
  }
  const failures = rows.flatMap(({ name, turns, failure }) => {
    if (failure === null) return []
    return [
      `${titleOf(name)}: ${turns.length === 0 ? "not measured" : `ended after ${turns.length} rounds`}: ${failure}`,
    ]
  })
  return [table.toString(), ...failures, ...notes].join("\n")
}

function arrivals({ turns }: ComparisonRow): string {
  const sum = (pick: (turn: Turn) => number): number => turns.reduce((total, turn) => total + pick(turn), 0)
  const [missing, surplus] = [sum(turn => turn.missing), sum(turn => turn.surplus)]
  const again = surplus === 0 ? "" : `, ${whole(surplus)} twice`
  return (missing === 0 ? "yes" : `NO: ${whole(missing)} missing`) + again
}

/** The line to quote, whose form stands at the head of this file; null where nothing of Waybill was measured. */
export function quotableLine(result: Result): string | null {
  const { waybill, backlog, machine, at, version } = result
  const verdicts = judge(result)
  const times = (name: string): string => {
    const found = verdicts.find(verdict => verdict.name === name)
    return found?.value == null ? "" : ` (${found.value.toFixed(2)} × bare)`
  }
  const perSecond = waybill && median(waybill.throughput, window => window.perSecond)
  const cpu = waybill && median(waybill.throughput, window => window.cpuPerEventUs)
  const p50 = waybill && median(waybill.latency, window => window.p50Ms)
  const p99 = waybill && median(waybill.latency, window => window.p99Ms)
  const rate = waybill && median(waybill.latency, window => window.rate)
  const parts = [
    perSecond && `${whole(perSecond.value)} events/s${times("throughput")}${marked(perSecond)}`,
    cpu && `${whole(cpu.value)} µs CPU an event${times("CPU per event")}${marked(cpu)}`,
    p50 && p99 && rate && `${latencyText(p50, p99)} at ${whole(rate.value)}/s${marked(p99)}`,
    waybill && `peak ${megabytes(waybill.peakBytes)}`,
    backlog &&
      `${megabytes(Math.max(backlog.fillBytes, backlog.drainBytes))} with ${whole(backlog.deliveries)} waiting`,
    backlog && `start ${seconds(Math.max(backlog.startMs, backlog.startAfterKillMs))} with them`,
  ].filter(part => part)
  if (parts.length === 0) return null
  return `Waybill ${version}: ${parts.join(", ")}; ${machineLine(machine)}; ${at.slice(0, 10)}`
}

const plain = { head: [], border: [], compact: true }

interface Row {
  readonly name: string
  readonly digits: number
  figure(findings: Findings): Figure | null
  quotient(run: Run): Figure | null
}

const rows: readonly Row[] = [
  row("events/s", 0, throughputs, window => window.perSecond),
  row("CPU µs per event", 1, throughputs, window => window.cpuPerEventUs),
  row("rate of the latency run, events/s", 0, latencies, window => window.rate),
  row("p50, ms", 2, latencies, window => window.p50Ms),
  row("p99, ms", 2, latencies, window => window.p99Ms),
  {
    name: "peak memory, MB",
    digits: 0,
    figure: ({ peakBytes }) => ({ value: peakBytes / 1e6, isVoid: false }),
    quotient: ({ bare, waybill }) => bare && waybill && { value: waybill.peakBytes / bare.peakBytes, isVoid: false },
  },
]

function row<Window extends { readonly voidBecause: readonly string[] }>(
  name: string,
  digits: number,
  windowsOf: (findings: Findings) => readonly Window[],
  pick: (window: Window) => number,
): Row {
  return {
    name,
    digits,
    figure: findings => median(windowsOf(findings), pick),
    quotient: run => ratio(run, windowsOf, pick),
  }
}

function throughputs({ throughput }: Findings): readonly Throughput[] {
  return throughput
}

function latencies({ latency }: Findings): readonly LatencyWindow[] {
  return latency
}

function show(figure: Figure | null, digits: number): string {
  if (figure === null) return "–"
  const text = digits === 0 ? whole(figure.value) : figure.value.toFixed(digits)
  return text + marked(figure)
}

function marked({ isVoid }: Figure): string {
  return isVoid ? " (void)" : ""
}

function latencyText(p50: Figure, p99: Figure): string {
  return `p50 ${p50.value.toFixed(1)} ms and p99 ${p99.value.toFixed(1)} ms`
}

function cores({ program, generator, receiver, others }: Shares): string {
  return `cores: ${two(program)} own, ${two(generator)} generator, ${two(receiver)} receiver, ${two(others)} others`
}

function because(reasons: readonly string[]): string {
  return reasons.length === 0 ? "" : ` VOID: ${reasons.join("; ")}`
}

function whole(value: number): string {
  return Math.round(value).toLocaleString("en")
}

function two(value: number): string {
  return value.toFixed(2)
}

function megabytes(bytes: number): string {
  return `${(bytes / 1e6).toFixed(0)} MB`
}

function seconds(ms: number): string {
  return `${(ms / 1_000).toFixed(2)} s`
}
