/** Every column that holds sealed values, and what each value of it is bound to. Whoever seals something new adds it here. */
import { type Sql, type SqlValue, sql } from "./database.ts"
import { keyPlace, keyPlaceOfV1, secretPlace, secretPlaceOfV1 } from "./integrations.ts"
import { placeOf as placeOfAnswer } from "./kept-answers.ts"
import { ownSecretPlace } from "./keys-in-use.ts"
import { mailPlace } from "./mails.ts"
import { placeOfSealed } from "./sealed-payloads.ts"

/** A row of one of these tables, which is called `t`: its key, and what else its place is made of. */
export type SealedColumnRow = Readonly<Record<string, SqlValue>>

/** What a value is bound to, and what it was bound to in the form `v1` where that was another place. */
export type SealedPlace = readonly [place: string, placeOfV1?: string]

export interface SealedColumn {
  readonly table: string
  readonly column: string
  /** The table's primary key. */
  readonly key: readonly string[]
  /** Columns beside the key that the place is made of. */
  readonly more?: Sql
  /** Which rows, where not all that have something in the column. */
  readonly only?: Sql
  /** The column holds JSON, and the sealed value is this member of it. */
  readonly member?: string
  /** How many rows are read at a time. */
  readonly page: number
  placeOf(row: SealedColumnRow): SealedPlace
}

const project = sql`(select i.project_id from integration i where i.id = t.integration_id) as project_id`

export const sealedColumns: readonly SealedColumn[] = [
  {
    table: "own_secret",
    column: "sealed",
    key: ["name"],
    page: 200,
    placeOf: row => [ownSecretPlace(String(row["name"]))],
  },
  {
    table: "integration_secret",
    column: "sealed",
    key: ["integration_id", "pointer"],
    more: project,
    page: 200,
    placeOf: row => {
      const [id, pointer] = [Number(row["integration_id"]), String(row["pointer"])]
      return [secretPlace({ id, project: Number(row["project_id"]) }, pointer), secretPlaceOfV1(id, pointer)]
    },
  },
  {
    table: "signing_key",
    column: "sealed",
    key: ["integration_id", "number"],
    more: project,
    page: 200,
    placeOf: row => {
      const [id, number] = [Number(row["integration_id"]), Number(row["number"])]
      return [keyPlace({ id, project: Number(row["project_id"]) }, number), keyPlaceOfV1(id, number)]
    },
  },
  {
    table: "kept_answer",
    column: "sealed",
    key: ["project_id", "route", "key"],
    page: 200,
    placeOf: row => {
      const [route, key] = [String(row["route"]), String(row["key"])]
      return [placeOfAnswer({ project: Number(row["project_id"]), route, key })]
    },
  },
  {
    // Mails that are still to be sent; of what was sent nobody needs the token any more.
    table: "job",
    column: "cursor",
    key: ["id"],
    more: sql`t.key as key`,
    only: sql`t.kind = 'mail' and t.state <> 'done' and t.cursor like '%"sealedToken"%'`,
    member: "sealedToken",
    page: 200,
    placeOf: row => [mailPlace(String(row["key"]))],
  },
  {
    table: "sealed_payload",
    column: "sealed",
    key: ["project_id", "event_id"],
    // Of up to 350 KB each.
    page: 20,
    placeOf: row => [placeOfSealed({ project: Number(row["project_id"]), event: Number(row["event_id"]) })],
  },
]
