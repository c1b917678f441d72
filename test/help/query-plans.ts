/** Watches the statements that a reader is given, and says which of them would read a whole table. */
import assert from "node:assert/strict"
import type { Sql, SqlValue } from "../../src/store/database.ts"
import type { Reader } from "../../src/store/reader.ts"
import type { EmbeddedStore } from "../../src/store/store.ts"

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
  readonly #store: EmbeddedStore
  readonly statements: Sql[] = []

  constructor(store: EmbeddedStore) {
    this.#store = store
  }

  query<Row extends object>(statement: Sql): Promise<Row[]> {
    this.statements.push(statement)
    return this.#store.reads.query<Row>(statement)
  }

  /** The steps of all plans that touch a large table, each once, in the words of `explain query plan`. */
  steps(): string[] {
    const connection = this.#store.sqlite.connection
    const steps = this.statements.flatMap(({ parts, values }) => {
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
    return [...new Set(steps)].sort()
  }

  /** Fails where a step reads a large table from one end to the other. */
  assertNoScan(): void {
    assert.deepEqual(
      this.steps().filter(step => step.startsWith("SCAN")),
      [],
    )
  }
}
