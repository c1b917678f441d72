/** Batches as columns: what a verb of PostgreSQL is called with, one array for each column. */

import type { Sql, SqlValue } from "./database.ts"
import { ArrayWriter, type ElementOf, type ElementType } from "./postgres-arrays.ts"

/** The columns of a batch with their types, in the order in which the verb takes them. */
export type ColumnTypes = Readonly<Record<string, ElementType>>

/** A row of a batch. */
export type RowOf<Types extends ColumnTypes> = { readonly [Name in keyof Types]: ElementOf[Types[Name]] | null }

/** The values of a call, gathered row by row. */
export class Columns<const Types extends ColumnTypes> {
  readonly #types: readonly (readonly [name: string, type: ElementType])[]
  readonly #rows: RowOf<ColumnTypes>[] = []

  constructor(types: Types) {
    this.#types = Object.entries(types)
  }

  add(row: RowOf<Types>): void {
    this.#rows.push(row)
  }

  get arrays(): readonly Buffer[] {
    const rows = this.#rows
    const writer = new ArrayWriter(this.#types.length, this.#types.length * rows.length)
    for (const [name, type] of this.#types) writer.array(type, rows.length, i => rows[i]?.[name] ?? null)
    return writer.arrays
  }
}

/** A verb of so many values and then these columns, ready to be called. */
export function verb(
  name: string,
  values: number,
  ...columns: readonly ColumnTypes[]
): (values: readonly SqlValue[]) => Sql {
  const places = columns.reduce((sum, types) => sum + Object.keys(types).length, values)
  const parts = [`select * from ${name}(`, ...Array<string>(places - 1).fill(", "), ")"]
  return given => ({ parts, values: given })
}

/** The columns of tallies of deliveries, each for a row of the batch. */
export const tallyColumns = {
  i: "bigint",
  project: "bigint",
  integration: "bigint",
  hour: "bigint",
  app: "bigint",
  environment: "text",
  type: "text",
  outcome: "text",
  reason: "text",
} as const
