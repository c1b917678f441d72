/**
 * Steps: work on the store, written once for both engines. A step is a generator that asks for one statement after the
 * other; who runs it decides how they are carried out. The embedded engine answers at once, in the commit that is open;
 * PostgreSQL answers when the server has.
 */
import type { Sql } from "./database.ts"

/** A statement that a step asks for, and what it wants to know of it. */
export interface Ask {
  readonly statement: Sql
  readonly wants: "rows" | "changes"
}

/** Work that comes to a `T`. */
export type Step<T> = Generator<Ask, T, readonly object[] | number>

/** The rows of a statement. */
export function* rows<Row extends object>(statement: Sql): Step<readonly Row[]> {
  return (yield { statement, wants: "rows" }) as readonly Row[]
}

/** The first row of a statement, or undefined. */
export function* row<Row extends object>(statement: Sql): Step<Row | undefined> {
  return (yield* rows<Row>(statement))[0]
}

/** Carries a statement out; gives how many rows it changed. */
export function* change(statement: Sql): Step<number> {
  return (yield { statement, wants: "changes" }) as number
}

/** A step that asks for nothing. */
// biome-ignore lint/correctness/useYield: it is a step, whose answer is there at once.
export function* given<T>(value: T): Step<T> {
  return value
}
