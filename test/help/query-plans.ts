/** Watches the statements that a reader is given, and says which of them would read a whole table. */
import assert from "node:assert/strict"
import { raw, type Sql, type SqlValue } from "../../src/store/database.ts"
import type { Reader } from "../../src/store/reader.ts"
import type { Store } from "../../src/store/store.ts"
import { embedded } from "./engines.ts"

/** Tables that may have millions of rows. */
const large = [
  "event",
  "delivery",
  "attempt",
  "search_entry",
  "own_id",
  "change",
  "rejection",
  "inbox_request",
  "delivery_tally",
]

export class PlanWatcher implements Reader {
  readonly #store: Store
  readonly statements: Sql[] = []

  constructor(store: Store) {
    this.#store = store
  }

  query<Row extends object>(statement: Sql): Promise<Row[]> {
    this.statements.push(statement)
    return this.#store.reads.query<Row>(statement)
  }

  /**
   * The steps of all plans that touch a large table, each once: `SEARCH <table> …` where an index finds the rows, and `SCAN
   * <table>`. On the embedded engine in the words of `explain query plan`, on PostgreSQL with the index and its condition.
   */
  async steps(): Promise<string[]> {
    const steps = this.#store.engine === "sqlite" ? this.#sqliteSteps() : await this.#postgresSteps()
    return [...new Set(steps)].sort()
  }

  /** Fails where a step reads a large table from one end to the other. */
  async assertNoScan(): Promise<void> {
    assert.deepEqual(
      (await this.steps()).filter(step => step.startsWith("SCAN")),
      [],
    )
  }

  /** Fails where no step is like this one. In SQLite's words, so that it asks for nothing on PostgreSQL. */
  async assertStep(step: RegExp, about = ""): Promise<void> {
    if (this.#store.engine !== "sqlite") return
    const steps = (await this.steps()).join("\n")
    assert.ok(step.test(steps), `no ${step} ${about} in\n${steps}`)
  }

  /** Fails where a step is like this one; on the embedded engine too. */
  async assertNoStep(step: RegExp, about = ""): Promise<void> {
    if (this.#store.engine !== "sqlite") return
    const steps = (await this.steps()).join("\n")
    assert.ok(!step.test(steps), `${step} ${about} in\n${steps}`)
  }

  #sqliteSteps(): string[] {
    const { connection } = embedded(this.#store).sqlite
    return this.statements.flatMap(({ parts, values }) => {
      const text = parts.join("?")
      const tables = new Map<string, string>(large.map(table => [table, table]))
      for (const [, table = "", alias = ""] of text.matchAll(/\b(?:from|join|,)\s+(\w+) (\w)\b/g))
        tables.set(alias, table)
      const plan = connection.prepare(`explain query plan ${text}`).all(...(values as SqlValue[]))
      return plan.flatMap(row => {
        const [, verb = "", name = "", rest = ""] = /^(SEARCH|SCAN) (\w+)(.*)$/.exec(String(row["detail"])) ?? []
        const table = tables.get(name)
        return table !== undefined && large.includes(table) ? [`${verb} ${table}${rest}`] : []
      })
    })
  }

  /** Small tables are read whole, which is right: so what is asked is whether any plan does without. */
  #postgresSteps(): Promise<string[]> {
    return this.#store.db.transaction(async tx => {
      await tx.query(raw("set local enable_seqscan = off"))
      const steps: string[] = []
      for (const { parts, values } of this.statements) {
        const [first = "", ...rest] = parts
        const explain = { parts: [`explain (format json) ${first}`, ...rest], values }
        const [row] = await tx.query<{ "QUERY PLAN": readonly { readonly Plan: PlanNode }[] }>(explain)
        for (const { Plan } of row?.["QUERY PLAN"] ?? []) steps.push(...stepsOf(Plan))
      }
      return steps
    })
  }
}

/** A step of PostgreSQL's plan, as far as it is looked at here. */
interface PlanNode {
  readonly "Node Type": string
  readonly "Relation Name"?: string
  readonly "Index Name"?: string
  readonly "Index Cond"?: string
  readonly Plans?: readonly PlanNode[]
}

function stepsOf(node: PlanNode): string[] {
  const below = (node.Plans ?? []).flatMap(stepsOf)
  // A partition is called after its table and its day.
  const table = node["Relation Name"]?.replace(/_\d+$/, "")
  if (table === undefined || !large.includes(table)) return below
  const { "Index Name": index, "Index Cond": condition } = node
  // A bitmap says what it is made of in the steps below it.
  const found = index ?? node.Plans?.[0]?.["Index Name"]
  const by = condition ?? node.Plans?.[0]?.["Index Cond"]
  return [found === undefined ? `SCAN ${table}` : `SEARCH ${table} USING INDEX ${found} ${by ?? ""}`, ...below]
}
