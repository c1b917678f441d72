/** Batches as columns: what a verb of PostgreSQL is called with, one array for each column. */

import type { Sql, SqlValue } from "./database.ts"

/** The values of a call, gathered row by row. */
export class Columns<Name extends string> {
  readonly #names: readonly Name[]
  readonly #values: unknown[][]

  /** The names in the order in which the verb takes them. */
  constructor(names: readonly Name[]) {
    this.#names = names
    this.#values = names.map(() => [])
  }

  add(row: Readonly<Record<Name, unknown>>): void {
    for (const [i, name] of this.#names.entries()) this.#values[i]?.push(row[name])
  }

  get size(): number {
    return this.#values[0]?.length ?? 0
  }

  get arrays(): readonly unknown[][] {
    return this.#values
  }
}

/** A verb of so many places, ready to be called. */
export function verb(name: string, places: number): (values: readonly unknown[]) => Sql {
  const parts = [`select * from ${name}(`, ...Array<string>(places - 1).fill(", "), ")"]
  // Arrays are values too, of this engine alone.
  return values => ({ parts, values: values as readonly SqlValue[] })
}

/** The columns of tallies of deliveries, each for a row of the batch. */
export const tallyColumns = [
  "i",
  "project",
  "integration",
  "hour",
  "app",
  "environment",
  "type",
  "outcome",
  "reason",
] as const
