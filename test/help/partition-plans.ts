/** What PostgreSQL really does for a question on a large store: which partitions it comes to, and how it reads them. */
import type { Sql } from "../../src/store/database.ts"
import type { Reader } from "../../src/store/reader.ts"

/** Tables whose rows are many. What is not among them is small, or is asked for by its primary key alone. */
const large = ["event", "delivery", "attempt", "payload", "exchange", "search_entry", "own_id"]

/** One table, or partition, that a statement came to. */
export interface Visit {
  readonly table: string
  /** The day or part; null for a table without partitions. */
  readonly partition: number | null
  /** Read from one end to the other, without an index. */
  readonly isWhole: boolean
  readonly index: string | undefined
  /** Rows that were looked at and not wanted. */
  readonly wasted: number
  readonly rows: number
}

/** A statement and what it came to. */
export interface Explained {
  readonly text: string
  readonly visits: readonly Visit[]
}

/** Carries each statement out twice: for its plan, and for its rows. */
export class PartitionPlans implements Reader {
  readonly #reads: Reader
  readonly #statements: Explained[] = []

  constructor(reads: Reader) {
    this.#reads = reads
  }

  async query<Row extends object>(statement: Sql): Promise<Row[]> {
    const { parts, values } = statement
    const [first = "", ...rest] = parts
    const explain = { parts: [`explain (analyze, timing off, format json) ${first}`, ...rest], values }
    const [row] = await this.#reads.query<{ "QUERY PLAN": readonly { readonly Plan: PlanNode }[] }>(explain)
    const visits = (row?.["QUERY PLAN"] ?? []).flatMap(({ Plan }) => visitsOf(Plan))
    this.#statements.push({ text: parts.join("?").replaceAll(/\s+/g, " ").trim(), visits })
    return this.#reads.query<Row>(statement)
  }

  /** What was asked since the last time. */
  take(): readonly Explained[] {
    return this.#statements.splice(0)
  }
}

interface PlanNode {
  readonly "Node Type": string
  readonly "Relation Name"?: string
  readonly "Index Name"?: string
  readonly "Actual Loops"?: number
  readonly "Actual Rows"?: number
  readonly "Rows Removed by Filter"?: number
  readonly Plans?: readonly PlanNode[]
}

function visitsOf(node: PlanNode): Visit[] {
  const below = (node.Plans ?? []).flatMap(visitsOf)
  const { "Relation Name": name = "", "Actual Loops": loops = 0 } = node
  const [, table = "", , partition] = /^([a-z_]+?)(_(\d+))?$/.exec(name) ?? []
  if (!large.includes(table) || loops === 0) return below
  return [
    {
      table,
      partition: partition === undefined ? null : Number(partition),
      isWhole: node["Node Type"] === "Seq Scan",
      index: node["Index Name"] ?? node.Plans?.[0]?.["Index Name"],
      wasted: loops * (node["Rows Removed by Filter"] ?? 0),
      rows: loops * (node["Actual Rows"] ?? 0),
    },
    ...below.filter(one => one.table !== table),
  ]
}
