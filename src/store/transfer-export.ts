/**
 * Everything that an embedded database keeps, read in one transaction and written in the form of transfer-file.ts, for an
 * import into PostgreSQL. What lies otherwise there is written as it will lie: payloads and exchanges in parts by day and
 * retention class, the search index by the day of its events.
 */
import type { DatabaseSync, StatementSync } from "node:sqlite"
import { DAY_MS } from "../domain/duration.ts"
import { firstIdAt, timeOfId } from "../domain/id.ts"
import { openUntouched } from "./look.ts"
import { currentVersion, versionOf } from "./migrate.ts"
import { dayOf, partNumber } from "./postgres-parts.ts"
import { searchFields } from "./search.ts"
import { StoreFault } from "./store-fault.ts"
import { copyText, type ExportEnd, type ExportPart, ExportWriter } from "./transfer-file.ts"

export interface ExportOptions {
  /** The database's file. */
  readonly path: string
  /** A Waybill works on it: what comes after this moment is not in the export. */
  readonly isTrial: boolean
  /** Takes the text; resolves when it may have more. */
  write(text: string): Promise<void>
  /** Hears how many rows of a table have been written so far. */
  progress?(table: string, rows: number): void
}

/** Tables that go as they are, with all of their columns. */
export const plainTables = [
  "project",
  "app",
  "event_type",
  "person",
  "membership",
  "session",
  "invitation",
  "setup",
  "identity",
  "source",
  "profile",
  "api_key",
  "integration",
  "integration_revision",
  "integration_verification",
  "own_secret",
  "integration_secret",
  "signing_key",
  "event",
  "own_id",
  "idempotency",
  "sealed_payload",
  "delivery",
  "attempt",
  "delivery_tally",
  "ingest_tally",
  "failure_group",
  "rejection",
  "inbox_request",
  "inbox_script",
  "recovery",
  "recovery_lane",
  "recovery_returned",
  "recovery_tally",
  "change",
  "kept_answer",
  "job",
] as const

/** Tables that belong to the engine, and what is made of them on the other. A test holds the schema against both lists. */
export const ownTables: Readonly<Record<string, string>> = {
  meta: "the ids of the sealing keys and the greatest fencing number stand in the head",
  tally_marker: "stands in the head",
  part: "stands in the head, as PostgreSQL has its parts",
  lane: "without its holder, who will be another",
  search_segment: "made anew, one a day",
  search_entry: "made of the events, and of what was learned of destinations",
  password_reset: "good for half an hour: whoever waits for one asks again",
  sign_in_limit: "tries are counted anew",
  probe: "written again by the next /readyz",
}

/** Columns of bytes, also where the embedded engine keeps text in them. */
const bytes = new Set([
  "rejection.body",
  "inbox_request.body",
  "payload.data",
  "exchange.request_body",
  "exchange.response_body",
])

/** Columns that name a part. */
const partColumns = new Set(["event.payload_part", "attempt.exchange_part"])

interface Source {
  readonly table: string
  readonly columns: readonly string[]
  readonly statement: StatementSync
  readonly parameters?: readonly number[]
}

/** Writes everything; gives what stands at the end. Throws StoreFault for a database with another schema. */
export async function exportEmbedded(options: ExportOptions): Promise<ExportEnd> {
  const connection = openUntouched(options.path)
  try {
    const schema = versionOf(connection)
    if (schema !== currentVersion) {
      throw new StoreFault(
        `${options.path} has schema ${schema}, this program exports ${currentVersion}: run \`waybill migrate\` of this version first.`,
      )
    }
    // All that is read is of this one moment.
    connection.exec("begin; select 1 from sqlite_schema limit 1")
    return await new Exporter(connection, options).write(schema)
  } finally {
    connection.close()
  }
}

class Exporter {
  readonly #connection: DatabaseSync
  readonly #options: ExportOptions
  readonly #writer: ExportWriter
  /** The numbers of parts here, and what they will be. */
  readonly #parts = new Map<number, number>()
  #greatestId = 0

  constructor(connection: DatabaseSync, options: ExportOptions) {
    this.#connection = connection
    this.#options = options
    this.#writer = new ExportWriter(options.write)
  }

  async write(schema: number): Promise<ExportEnd> {
    const parts = this.#readParts()
    const fence = Number(this.#one("select value from meta where key = 'fence'") ?? 0)
    const claim = Number(this.#one("select max(claim) from delivery where claim is not null") ?? 0)
    const seal = this.#one("select value from meta where key = 'seal'")
    await this.#writer.begin({
      waybill: "export",
      format: 1,
      schema,
      isTrial: this.#options.isTrial,
      seal: seal === null ? null : String(seal),
      fence: Math.max(fence, claim),
      talliedUpTo: Number(this.#one("select event_id from tally_marker")),
      days: this.#days(),
      parts: [...new Map(parts.map(part => [partNumber(part.day, part.retentionDays), part])).values()],
    })
    for (const table of plainTables) await this.#table(table, [this.#plain(table)])
    await this.#table("lane", [this.#some("lane", ["integration_id", "protection", "rate", "health"])])
    const ids = [...this.#parts]
    const payloads = ["part", "event_id", "project_id", "kind", "data", "media_type"]
    await this.#table(
      "payload",
      ids.map(([id, part]) => this.#ofPart("payload", payloads, id, part)),
    )
    const exchanges = ["part", "attempt_id", "request_headers", "request_body", "response_headers", "response_body"]
    await this.#table(
      "exchange",
      ids.map(([id, part]) => this.#ofPart("exchange", exchanges, id, part)),
    )
    await this.#table("search_entry", this.#search())
    return this.#writer.end(this.#greatestId)
  }

  #readParts(): ExportPart[] {
    const rows = this.#connection.prepare("select id, retention_days, opened_at from part order by id desc").all()
    return rows.map(row => {
      const part = {
        day: dayOf(Number(row.opened_at)),
        retentionDays: Number(row.retention_days),
        openedAt: Number(row.opened_at),
      }
      this.#parts.set(Number(row.id), partNumber(part.day, part.retentionDays))
      return part
    })
  }

  /** One look for each day and integration, in place of a look at every row. */
  #days(): number[] {
    const days = new Set<number>()
    const walk = (text: string, ...scope: readonly number[]) => {
      const next = this.#connection.prepare(text)
      for (let from = 0; ; ) {
        const id = Object.values(next.get(...scope, from) ?? {})[0] ?? null
        if (id === null) return
        const day = dayOf(timeOfId(Number(id)))
        days.add(day)
        from = firstIdAt((day + 1) * DAY_MS)
      }
    }
    walk("select min(id) from attempt where id >= ?")
    for (const project of this.#each("event", "project_id")) {
      walk("select min(id) from event where project_id = ? and id >= ?", project)
    }
    for (const integration of this.#each("delivery", "integration_id")) {
      walk("select min(event_id) from delivery where integration_id = ? and event_id >= ?", integration)
    }
    return [...days].sort((a, b) => a - b)
  }

  /** The values of the first column of a table's key. */
  *#each(table: string, column: string): Generator<number> {
    const next = this.#connection.prepare(`select min(${column}) from ${table} where ${column} > ?`)
    for (let last = -1; ; ) {
      const found = Object.values(next.get(last) ?? {})[0] ?? null
      if (found === null) return
      last = Number(found)
      yield last
    }
  }

  #one(text: string): unknown {
    return Object.values(this.#connection.prepare(text).get() ?? {})[0] ?? null
  }

  #plain(table: string): Source {
    // What is generated is made again.
    const columns = this.#connection
      .prepare("select name from pragma_table_xinfo(?) where hidden = 0")
      .all(table)
      .map(row => String(row.name))
    return this.#some(table, columns)
  }

  #some(table: string, columns: readonly string[]): Source {
    return { table, columns, statement: this.#connection.prepare(`select ${columns.join(", ")} from ${table}`) }
  }

  #ofPart(table: "payload" | "exchange", columns: readonly string[], id: number, part: number): Source {
    const [, ...own] = columns
    const statement = this.#connection.prepare(`select ? as part, ${own.join(", ")} from ${table}_${id}`)
    return { table, columns, statement, parameters: [part] }
  }

  #search(): Source[] {
    const columns = ["segment", "project_id", "field", "value", "event_id"]
    const of = (text: string): Source => ({ table: "search_entry", columns, statement: this.#connection.prepare(text) })
    const day = (id: string) => `(${id} / 4096 + ${timeOfId(0)}) / ${DAY_MS}`
    const fields = Object.entries(searchFields).filter(([name]) => name !== "destination_record")
    const { destination_record: record } = searchFields
    return [
      ...fields.map(([name, field]) =>
        of(`select ${day("id")}, project_id, ${field}, ${name}, id from event where ${name} is not null`),
      ),
      // Of a destination's record ids a delivery keeps the last; the index knows them all.
      of(`
        select ${day("event_id")}, project_id, ${record}, record_id, event_id from delivery where record_id is not null
        union
        select ${day("event_id")}, project_id, ${record}, value, event_id from search_entry s
        where field = ${record} and exists (select 1 from event e where e.project_id = s.project_id and e.id = s.event_id)`),
    ]
  }

  async #table(table: string, sources: readonly Source[]): Promise<void> {
    const columns = sources[0]?.columns
    // No part has been made yet.
    if (columns === undefined) return
    const writer = this.#writer
    await writer.table({ table, columns })
    const isBytes = columns.map(column => bytes.has(`${table}.${column}`))
    const isPart = columns.map(column => partColumns.has(`${table}.${column}`))
    const id = columns.indexOf("id")
    let count = 0
    for (const { statement, parameters = [] } of sources) {
      statement.setReturnArrays(true)
      for (const row of statement.iterate(...parameters) as Iterable<readonly unknown[]>) {
        let text = ""
        for (let i = 0; i < columns.length; i++) {
          const value = row[i]
          // One that has been dropped keeps its number, which no part will ever have.
          text += `${i === 0 ? "" : "\t"}${copyText(isPart[i] ? (this.#parts.get(Number(value)) ?? value) : value, isBytes[i] === true)}`
        }
        if (id >= 0 && typeof row[id] === "number") this.#greatestId = Math.max(this.#greatestId, row[id])
        count++
        if (writer.row(`${text}\n`)) {
          await writer.flush()
          this.#options.progress?.(table, count)
        }
      }
    }
    const { rows } = await writer.endTable()
    this.#options.progress?.(table, rows)
  }
}
