/** How the bench judges what it has measured: which figures count, which bars are met, and what the table admits. */
import assert from "node:assert/strict"
import { readFileSync } from "node:fs"
import { join } from "node:path"
import test from "node:test"
import { beside, judge, type Run } from "../bench/bars.ts"
import type { Comparison, Row, Turn } from "../bench/comparison.ts"
import { turnLine } from "../bench/comparison.ts"
import { type ContenderName, contenderNames, titleOf, types } from "../bench/contenders.ts"
import { EVENT_BYTES, makeEvents } from "../bench/events.ts"
import { comparisonTable } from "../bench/report.ts"
import { treeCpuUs } from "../bench/usage.ts"

test("a contender is held against the best of the others, round by round", () => {
  const comparison = compared({
    "postgres-1": [3_000, 4_000, 6_000],
    "pg-boss": [1_000, 500, 1_000],
    "graphile-worker": [500, 1_000, 2_000],
  })
  assert.deepEqual(beside(comparison, "postgres-1", ["pg-boss", "graphile-worker"]), { value: 3, isVoid: false })
})

test("a bar that is missed is shown as missed, one that is met as met", () => {
  assert.deepEqual(
    verdicts(
      compared({ "postgres-1": [2_900], "pg-boss": [1_000], "graphile-worker": [400], "bullmq-everysec": [2_900] }),
    ),
    {
      "≥ 3 × the best queue there": "missed",
      "≥ 1 × BullMQ, everysec": "met",
      "≤ 0.3": "met",
      "≥ 2 × BullMQ, always": "not measured",
    },
  )
})

test("a bar is not measured while one of those it names is missing, as that might have been the best", () => {
  const comparison = compared({ "postgres-1": [9_000], "pg-boss": [1_000] })
  assert.equal(verdicts(comparison)["≥ 3 × the best queue there"], "not measured")
  assert.equal(verdicts(null)["≥ 3 × the best queue there"], "not measured")
})

test("a contender that has lost an event meets no bar", () => {
  const lossy = compared({ waybill: [8_000], "bullmq-always": [1_000] }, { missing: 1 })
  assert.equal(verdicts(lossy)["≥ 2 × BullMQ, always"], "void")
})

test("the statements for each event are those of the process count that needs most", () => {
  const comparison = {
    ...compared({}),
    rows: [row("postgres-1", [turn({ statementsPerJob: 0.1 })]), row("postgres-3", [turn({ statementsPerJob: 0.31 })])],
  }
  assert.equal(verdicts(comparison)["≤ 0.3"], "missed")
  const uncounted = { ...comparison, rows: [row("postgres-1", [turn({ statementsPerJob: null })])] }
  assert.equal(verdicts(uncounted)["≤ 0.3"], "not measured")
})

test("the table names what is missing, what came twice and what was not measured", () => {
  const table = comparisonTable({
    ...compared({}),
    rows: [
      row("waybill", [turn({})]),
      row("pg-boss", [turn({ missing: 1_200 }), turn({ surplus: 3 })]),
      row("bullmq-always", [], "redis-server is not installed"),
    ],
    notes: ["PostgreSQL 18.4"],
  })
  assert.match(table, /Waybill, embedded database .* yes /)
  assert.match(table, /pg-boss .* NO: 1,200 missing, 3 twice/)
  assert.match(table, /^BullMQ .*, appendfsync always: not measured: redis-server is not installed$/m)
  assert.match(table, /^PostgreSQL 18.4$/m)
})

test("what was measured beside a contender in no condition is marked", () => {
  const rows = [row("waybill", [turn({ perSecond: 5_000, voidBecause: ["others used 90 % of a core"] })])]
  assert.match(comparisonTable({ ...compared({}), rows }), /5,000 \(void\)/)
})

test("the line of a turn says what did not go as it should", () => {
  const line = turnLine("pg-boss", turn({ backlog: 0.4, missing: 2, voidBecause: ["3 requests broke off"] }))
  assert.match(line, /40 % still to be delivered when the load ended, 2 MISSING, VOID: 3 requests broke off$/)
  assert.doesNotMatch(turnLine("pg-boss", turn({})), /still|MISSING|VOID|came again/)
})

test("the events of the comparison go to all of its destinations equally", () => {
  const counts = Map.groupBy(makeEvents(types), body => (JSON.parse(body) as { type: string }).type)
  assert.deepEqual([...counts.keys()].sort(), [...types].sort())
  const sizes = [...counts.values()].map(bodies => bodies.length)
  assert.ok(Math.max(...sizes) - Math.min(...sizes) <= 1)
  assert.deepEqual([...new Set(makeEvents(types).map(body => Buffer.byteLength(body)))], [EVENT_BYTES])
})

test("every contender has a title of its own, with the version of what it stands on", () => {
  assert.equal(new Set(contenderNames.map(titleOf)).size, contenderNames.length)
  assert.match(titleOf("bullmq-always"), /^BullMQ \d+\.\d+\.\d+, /)
})

test("the CPU time of a program's children is its own", { skip: process.platform !== "linux" }, () => {
  const used = process.cpuUsage()
  const tree = treeCpuUs(process.pid) ?? 0
  assert.ok(tree >= (used.user + used.system) * 0.5, `${tree} µs of at least ${used.user + used.system}`)
  assert.ok((treeCpuUs(process.ppid) ?? 0) >= tree)
})

test("what the comparison installs is pinned, and its lock file is complete and leaves it to npm where it comes from", () => {
  const { dependencies } = readOthers("package.json") as { dependencies: Record<string, string> }
  const { packages } = readOthers("package-lock.json") as {
    packages: Record<string, { resolved?: string; optionalDependencies?: object }>
  }
  assert.deepEqual(
    Object.entries(dependencies).filter(([, version]) => !/^\d+\.\d+\.\d+$/.test(version)),
    [],
  )
  const all = Object.entries(packages)
  assert.deepEqual(
    all.filter(([, entry]) => entry.resolved !== undefined),
    [],
  )
  const wanted = all.flatMap(([, entry]) => Object.keys(entry.optionalDependencies ?? {}))
  assert.deepEqual(
    wanted.filter(name => packages[`node_modules/${name}`] === undefined),
    [],
  )
})

function compared(perSecond: Partial<Record<ContenderName, readonly number[]>>, rest: Partial<Turn> = {}): Comparison {
  const rows = contenderNames.flatMap(name => {
    const rounds = perSecond[name]
    return rounds === undefined
      ? []
      : [
          row(
            name,
            rounds.map(rate => turn({ ...rest, perSecond: rate })),
          ),
        ]
  })
  return { seconds: 30, rounds: 3, rows, notes: [] }
}

function row(name: ContenderName, turns: readonly Turn[], failure: string | null = null): Row {
  return { name, turns, failure }
}

function turn(given: Partial<Turn>): Turn {
  return {
    perSecond: 1_000,
    accepted: 30_000,
    backlog: 0,
    missing: 0,
    surplus: 0,
    refused: 0,
    programUs: 200,
    storeUs: 300,
    statementsPerJob: 0.2,
    latency: { samples: 1_000, p50Ms: 2, p99Ms: 20, maxMs: 30 },
    voidBecause: [],
    ...given,
  }
}

/** The verdicts on the bars of the comparison, by what is asked. */
function verdicts(comparison: Comparison | null): Record<string, string> {
  const run: Run = { bare: null, waybill: null, backlog: null, recovery: null, outage: null, comparison }
  const own = judge(run).filter(({ name }) => /^(PostgreSQL|embedded):/.test(name))
  return Object.fromEntries(own.map(({ bar, verdict }) => [bar, verdict]))
}

function readOthers(name: string): unknown {
  return JSON.parse(readFileSync(join(import.meta.dirname, "../bench/others", name), "utf8"))
}
