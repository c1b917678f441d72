/** Every sealed value of a database is sealed anew with a new key, whatever table it lies in; and no table is forgotten. */
import assert from "node:assert/strict"
import { readdirSync, readFileSync } from "node:fs"
import { describe, test } from "node:test"
import { sql } from "../../src/store/database.ts"
import { countByKey, type ResealedPage, type ResealParts, resealAll } from "../../src/store/reseal.ts"
import { Ring, sealingKeyId } from "../../src/store/seal.ts"
import { sealedColumns } from "../../src/store/sealed-columns.ts"
import type { Store } from "../../src/store/store.ts"
import { engine } from "../help/engines.ts"
import { openFilledStore } from "../help/filled-store.ts"
import { makeIntegrations } from "../help/letting-go.ts"

const sources = new URL("../../src/", import.meta.url)
const [older, newer] = [new Uint8Array(32).fill(1), new Uint8Array(32).fill(2)] as const

/** Where something is sealed, and what becomes of it: the table of a sealed column, or why it stands in none. */
const sealers: Readonly<Record<string, string>> = {
  "store/keys-in-use.ts": "own_secret",
  "store/integrations.ts": "integration_secret, signing_key",
  "store/sealed-payloads.ts": "sealed_payload",
  "api/repeats.ts": "kept_answer",
  "api/invitations.ts": "job",
  "engine/password-resets.ts": "job",
  "api/session-oidc.ts": "a cookie that holds for ten minutes",
  "store/reseal.ts": "all of them",
}

function partsOf({ reads, ledger }: Store, seal: Ring): ResealParts {
  return { reads, seal, inTransaction: work => ledger.inNextCommit(() => work()) }
}

async function walk(parts: ResealParts): Promise<ResealedPage[]> {
  const pages: ResealedPage[] = []
  for await (const page of resealAll(parts)) pages.push(page)
  return pages
}

const sum = (pages: readonly ResealedPage[], what: "resealed" | "damaged") =>
  pages.reduce((all, page) => all + page[what], 0)

describe("sealed columns", () => {
  test("are all columns of the schema that are called so, and those that are named for what they hold beside", async t => {
    const { store } = await openFilledStore(t)
    const found = await store.db.query<{ table: string }>(
      engine === "sqlite"
        ? sql`
            select m.name as "table" from sqlite_schema m, pragma_table_info(m.name) c
            where m.type = 'table' and c.name = 'sealed'`
        : sql`select table_name as "table" from information_schema.columns where table_schema = 'public' and column_name = 'sealed'`,
    )
    const listed = sealedColumns.filter(({ column }) => column === "sealed").map(({ table }) => table)
    assert.deepEqual(found.map(({ table }) => table).sort(), listed.sort(), "add a new one to sealed-columns.ts")
  })

  test("are written by no other file than is known", () => {
    const files = readdirSync(sources, { recursive: true, encoding: "utf8" }).filter(name => name.endsWith(".ts"))
    const found = files.filter(name => /\b(?:seal|ring)\.seal\(/.test(readFileSync(new URL(name, sources), "utf8")))
    assert.deepEqual(
      found.map(name => name.replaceAll("\\", "/")).sort(),
      Object.keys(sealers).sort(),
      "what is sealed there has to stand in sealed-columns.ts, or go by itself",
    )
  })

  test("hold what the newest key seals after a walk, each value in its place; what is damaged is left", async t => {
    const filled = await openFilledStore(t)
    await makeIntegrations(filled)
    const { store, project } = filled
    await store.db.query(sql`delete from own_secret`)
    const before = new Ring([older])
    const rows = sealedColumns.map(column => ({ column, rows: column.table === "job" ? 1 : 450 }))
    for (const { column, rows: count } of rows) {
      for (let i = 1; i <= count; i++) await fill(store, project, column.table, i, before)
    }
    const total = rows.reduce((all, { rows }) => all + rows, 0)
    assert.deepEqual([...(await countByKey(store.reads))], [[sealingKeyId(older), total]])
    await store.db.query(sql`update signing_key set sealed = ${before.seal("elsewhere", "moved")} where number = 7`)

    const ring = new Ring([newer, older])
    const pages = await walk(partsOf(store, ring))
    assert.equal(sum(pages, "resealed"), total - 1)
    assert.equal(sum(pages, "damaged"), 1)
    assert.ok(pages.every(({ resealed }) => resealed <= 200))
    assert.deepEqual(
      new Map(await countByKey(store.reads)),
      new Map([
        [sealingKeyId(newer), total - 1],
        [sealingKeyId(older), 1],
      ]),
    )
    const again = await walk(partsOf(store, ring))
    assert.equal(sum(again, "resealed"), 0)

    // The new key alone opens each of them in its place.
    const last = await walk(partsOf(store, new Ring([new Uint8Array(32).fill(3), newer])))
    assert.equal(sum(last, "resealed"), total - 1)
    assert.equal(sum(last, "damaged"), 1)
  })

  test("keep what somebody writes while they are sealed anew", async t => {
    const filled = await openFilledStore(t)
    await makeIntegrations(filled)
    const { store, project } = filled
    const ring = new Ring([newer, older])
    await fill(store, project, "signing_key", 1, new Ring([older]))
    const parts = partsOf(store, ring)
    const written = ring.seal("signing_key/written", "meanwhile")
    await walk({
      ...parts,
      inTransaction: async work => {
        await store.db.query(sql`update signing_key set sealed = ${written}`)
        return parts.inTransaction(work)
      },
    })
    const [row] = await store.db.query<{ sealed: string }>(sql`select sealed from signing_key`)
    assert.equal(row?.sealed, written)
  })
})

/** Puts a row into a table, sealed for its place. */
async function fill({ db }: Store, project: number, table: string, i: number, ring: Ring): Promise<void> {
  const column = sealedColumns.find(one => one.table === table)
  assert.ok(column !== undefined)
  const text = (row: Record<string, number | string>) => ring.seal(column.placeOf(row)[0], `secret ${i}`)
  switch (table) {
    case "own_secret":
      return void (await db.query(sql`
        insert into own_secret (name, sealed) values (${`name ${i}`}, ${text({ name: `name ${i}` })})`))
    case "integration_secret": {
      const [pointer, integration_id] = [`/production/headers/${i}`, await integrationOf(db)]
      const sealed = text({ integration_id, pointer, project_id: project })
      return void (await db.query(sql`
        insert into integration_secret (integration_id, pointer, sealed) values (${integration_id}, ${pointer}, ${sealed})`))
    }
    case "signing_key": {
      const integration_id = await integrationOf(db)
      const sealed = text({ integration_id, number: i, project_id: project })
      return void (await db.query(sql`
        insert into signing_key (integration_id, number, scheme, sealed, created_at)
        values (${integration_id}, ${i}, 'v1', ${sealed}, 0)`))
    }
    case "sealed_payload": {
      const sealed = text({ project_id: project, event_id: i })
      return void (await db.query(sql`
        insert into sealed_payload (project_id, event_id, sealed, expires_at) values (${project}, ${i}, ${sealed}, 1)`))
    }
    case "kept_answer": {
      const [route, key] = ["POST /v1/apps", `key ${i}`]
      const sealed = text({ project_id: project, route, key })
      return void (await db.query(sql`
        insert into kept_answer (project_id, route, key, fingerprint, status, sealed, created_at)
        values (${project}, ${route}, ${key}, 'x', 201, ${sealed}, 0)`))
    }
    case "job": {
      const key = `invitation:${i}`
      const content = JSON.stringify({ cause: "invitation", sealedToken: text({ key }) })
      return void (await db.query(sql`
        insert into job (id, kind, key, project_id, state, due_at, fence, cursor, progress, created_at, updated_at)
        values (${i}, 'mail', ${key}, ${project}, 'due', 0, 0, ${content}, '{}', 0, 0)`))
    }
    default:
      throw new Error(`This test knows no row of ${table}.`)
  }
}

/** An integration of the store. */
async function integrationOf(db: Store["db"]): Promise<number> {
  const [row] = await db.query<{ id: number }>(sql`select min(id) as id from integration`)
  return row?.id ?? 0
}
