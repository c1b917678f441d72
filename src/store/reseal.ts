/**
 * Seals anew, with the newest key, what older keys have sealed: page by page, each a short transaction, while everything
 * works. A value that somebody writes meanwhile is left as it was written: it was sealed with the newest key then.
 */
import { join, raw, type Sql, type SqlValue, sql } from "./database.ts"
import type { Reader } from "./reader.ts"
import { PREFIX_LENGTH, type Ring } from "./seal.ts"
import { type SealedColumn, type SealedColumnRow, sealedColumns } from "./sealed-columns.ts"
import { change, type Step } from "./step.ts"

export interface ResealParts {
  readonly reads: Reader
  readonly seal: Ring
  /** Carries work out in one transaction. */
  inTransaction<T>(work: () => Step<T>): Promise<T>
}

/** What a page came to. */
export interface ResealedPage {
  readonly table: string
  readonly resealed: number
  /** Values that no key opens: they were changed on disk. Nothing helps them. */
  readonly damaged: number
  /** How long it held the writer; 0 where there was nothing to write. */
  readonly ms: number
}

/** How many rows a count reads at a time. */
const COUNT_PAGE = 2_000

/** Goes through everything that is sealed, once. */
export async function* resealAll(parts: ResealParts): AsyncGenerator<ResealedPage> {
  for (const column of sealedColumns) {
    for (let after: SealedColumnRow | null = null; ; ) {
      const rows: readonly SealedColumnRow[] = await parts.reads.query<SealedColumnRow>(
        pageOf(column, after, oldValue(column, parts.seal.prefix), column.page),
      )
      const last = rows.at(-1)
      if (last === undefined) break
      yield await resealPage(parts, column, rows)
      after = last
    }
  }
}

/** How many values each key has sealed, by its id. */
export async function countByKey(reads: Reader): Promise<ReadonlyMap<string, number>> {
  const counts = new Map<string, number>()
  for (const column of sealedColumns) {
    // JSON has to come whole.
    const value =
      column.member === undefined ? sql`substr(t.sealed, 1, ${PREFIX_LENGTH})` : sql`t.${raw(column.column)}`
    for (let after: SealedColumnRow | null = null; ; ) {
      const rows: readonly SealedColumnRow[] = await reads.query<SealedColumnRow>(
        pageOf(column, after, value, COUNT_PAGE),
      )
      for (const row of rows) {
        const [, id = ""] = sealedIn(column, row)?.split(".") ?? []
        if (id !== "") counts.set(id, (counts.get(id) ?? 0) + 1)
      }
      const last = rows.at(-1)
      if (last === undefined) break
      after = last
    }
  }
  return counts
}

async function resealPage(
  { seal, inTransaction }: ResealParts,
  column: SealedColumn,
  rows: readonly SealedColumnRow[],
): Promise<ResealedPage> {
  const updates: Sql[] = []
  let damaged = 0
  for (const row of rows) {
    const before = sealedIn(column, row)
    if (before === null || before.startsWith(seal.prefix)) continue
    const [place, placeOfV1] = column.placeOf(row)
    try {
      updates.push(updateOf(column, row, seal.seal(place, seal.open(place, before, placeOfV1))))
    } catch {
      damaged++
    }
  }
  if (updates.length === 0) return { table: column.table, resealed: 0, damaged, ms: 0 }
  const startedAt = performance.now()
  const resealed = await inTransaction(function* () {
    let changed = 0
    for (const update of updates) changed += yield* change(update)
    return changed
  })
  return { table: column.table, resealed, damaged, ms: performance.now() - startedAt }
}

/** Selects a page of a table by its primary key: each row with its key, what its place is made of, and a value. */
function pageOf(
  { table, column, key, more, only }: SealedColumn,
  after: SealedColumnRow | null,
  value: Sql,
  rows: number,
) {
  const columns = join(
    key.map(name => raw(`t.${name}`)),
    ", ",
  )
  const from =
    after === null
      ? sql``
      : sql`and (${columns}) > (${join(
          key.map(name => sql`${after[name] ?? null}`),
          ", ",
        )})`
  return sql`
    select ${columns}, ${more === undefined ? sql`` : sql`${more}, `}${value} as value
    from ${raw(table)} t where t.${raw(column)} is not null ${only === undefined ? sql`` : sql`and ${only}`} ${from}
    order by ${columns} limit ${rows}`
}

/** The value of a row that the newest key has not sealed; null in place of one that it has. */
function oldValue({ column, member }: SealedColumn, prefix: string): Sql {
  const value = raw(`t.${column}`)
  if (member !== undefined) return value
  return sql`case when substr(${value}, 1, ${PREFIX_LENGTH}) = ${prefix} then null else ${value} end`
}

function updateOf({ table, column, key, member }: SealedColumn, row: SealedColumnRow, sealed: string): Sql {
  const before: SqlValue = row["value"] ?? null
  const now = member === undefined ? sealed : JSON.stringify({ ...membersOf(String(before)), [member]: sealed })
  const own = key.map(name => sql`${raw(name)} = ${row[name] ?? null}`)
  return sql`
    update ${raw(table)} set ${raw(column)} = ${now} where ${join(own, " and ")} and ${raw(column)} = ${before}`
}

function sealedIn({ member }: SealedColumn, { value }: SealedColumnRow): string | null {
  if (typeof value !== "string") return null
  if (member === undefined) return value
  const sealed = membersOf(value)[member]
  return typeof sealed === "string" ? sealed : null
}

function membersOf(text: string): Readonly<Record<string, unknown>> {
  return JSON.parse(text) as Record<string, unknown>
}
