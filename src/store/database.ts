/**
 * The seam to a storage engine: five calls and one fragment. Queries are written once, on top of it, in the words that both
 * know: `case` for iif and the least of two, a name for every subquery, `cross join` where nothing joins, the columns after
 * `on conflict`. Three words of the embedded engine have a double on PostgreSQL: `instr` and `json_each`, for lists of ids,
 * are made in 001_tables.sql, and ` indexed by` is left out (`along` in walk.ts). PostgreSQL takes a value that stands in a
 * `case`, or for nothing but itself, for text; and it keeps payloads and bodies as bytes, whatever they are (rows.ts).
 */

/** Everything a column can hold and a query can be given. */
export type SqlValue = null | number | string | Uint8Array

/** A statement whose values travel apart from its text, so that nothing a user sends can become SQL (API-24). */
export interface Sql {
  readonly parts: readonly string[]
  readonly values: readonly SqlValue[]
}

/** All that a storage engine must provide. */
export interface Database {
  query<Row extends object>(statement: Sql): Promise<Row[]>
  /** Runs `work` in a transaction of its own; nobody else's statements come in between. Rolled back if it throws. */
  transaction<T>(work: (tx: Database) => Promise<T>): Promise<T>
  /** ` for update skip locked` where the engine has it, else nothing. */
  readonly skipLocked: Sql
  close(): Promise<void>
}

/** Thrown when the database cannot do its work just now: full, read-only, gone. The API answers 503. */
export class StoreUnavailable extends Error {
  readonly reason: "full" | "read_only" | "standby" | "old_primary" | "unavailable"
  /** The connection broke before the answer came: it may have been done all the same. */
  readonly mayBeDone: boolean
  constructor(reason: StoreUnavailable["reason"], cause: unknown, mayBeDone = false) {
    super(`The database cannot be written (${reason}).`, { cause })
    this.reason = reason
    this.mayBeDone = mayBeDone
  }
}

/** Writes a statement: sql`select … where id = ${id}`. Values may be fragments made by `sql` themselves. */
export function sql(strings: TemplateStringsArray, ...values: readonly (SqlValue | Sql)[]): Sql {
  if (!values.some(isSql)) return { parts: strings, values: values as readonly SqlValue[] }
  const parts: string[] = [strings[0] ?? ""]
  const flat: SqlValue[] = []
  for (const [i, value] of values.entries()) {
    const after = strings[i + 1] ?? ""
    if (isSql(value)) {
      parts[parts.length - 1] += value.parts[0] ?? ""
      parts.push(...value.parts.slice(1))
      flat.push(...value.values)
      parts[parts.length - 1] += after
    } else {
      parts.push(after)
      flat.push(value)
    }
  }
  return { parts, values: flat }
}

/** Joins fragments: `join([a, b], " and ")`. */
export function join(fragments: readonly Sql[], separator: string): Sql {
  const parts: string[] = [""]
  const values: SqlValue[] = []
  for (const [i, fragment] of fragments.entries()) {
    parts[parts.length - 1] += (i > 0 ? separator : "") + (fragment.parts[0] ?? "")
    parts.push(...fragment.parts.slice(1))
    values.push(...fragment.values)
  }
  return { parts, values }
}

/** `(1, 2, 3)` for `in`; `(null)` for an empty list, which matches nothing. */
export function list(values: readonly SqlValue[]): Sql {
  if (values.length === 0) return sql`(null)`
  return { parts: ["(", ...Array(values.length - 1).fill(", "), ")"], values }
}

/** A name of a table that we made ourselves, such as `payload_12`. Never call it with anything a user sent. */
export function raw(text: string): Sql {
  return { parts: [text], values: [] }
}

function isSql(value: SqlValue | Sql): value is Sql {
  return typeof value === "object" && value !== null && "parts" in value
}
