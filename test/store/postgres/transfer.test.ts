/** What goes from an embedded database into PostgreSQL: everything, as it was, or nothing. */
import assert from "node:assert/strict"
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { DatabaseSync } from "node:sqlite"
import test, { type TestContext } from "node:test"
import { firstIdAt } from "../../../src/domain/id.ts"
import { sql } from "../../../src/store/database.ts"
import { withSession } from "../../../src/store/postgres-session.ts"
import { openPostgres } from "../../../src/store/postgres-store.ts"
import { openStore } from "../../../src/store/store.ts"
import { exportEmbedded, ownTables, plainTables } from "../../../src/store/transfer-export.ts"
import { importExport } from "../../../src/store/transfer-import.ts"
import { testDatabase, withClient } from "../../help/postgres.ts"

const NOW = Date.now()
/** One that every table's row can bear. */
const ID = firstIdAt(NOW - 3_600_000)
/** Everything that a text format has to write otherwise. */
const NASTY = 'Grüße\t"\\N"\\.\n\r\\x00 \u{1F600} \\'

/** Values that a check asks for. */
const asked: Readonly<Record<string, string | number | null>> = {
  "sealed_payload.masked_at": null,
  "membership.role": "viewer",
  "setup.by_operator": 1,
  "invitation.role": "viewer",
  "session.way": "password",
  "delivery.status": "sending",
  "delivery.next_at": null,
  "delivery.claim": 41,
  "recovery.state": "done",
  "inbox_request.answer": "sent",
  "event.payload_part": 1,
  "event.targets": "[5]",
  "event.withheld": "{}",
  "event.cloud": null,
  "attempt.exchange_part": 1,
}

test("every table of the embedded database goes into an export, or it is said what becomes of it", async t => {
  const { path } = await filled(t)
  const connection = new DatabaseSync(path, { readOnly: true })
  const tables = connection
    .prepare("select name from sqlite_schema where type = 'table' and name not like 'sqlite_%'")
    .all()
    .map(row => String(row["name"]))
    .filter(name => !/^(payload|exchange)_\d+$/.test(name))
  connection.close()
  assert.deepEqual(tables.sort(), [...plainTables, ...Object.keys(ownTables)].sort())
})

test("an import gives back every row of every table as it was", async t => {
  const place = await filled(t)
  const url = await testDatabase()
  const { tables } = await importText(url, await exportText(place.path))
  for (const table of plainTables) assert.equal(tables[table], 1, table)
  const day = Math.floor((NOW - 3_600_000) / 86_400_000)
  const part = Math.floor(NOW / 86_400_000) * 1_000 + 7
  const connection = new DatabaseSync(place.path, { readOnly: true })
  await withSession(url, async ({ db }) => {
    for (const table of plainTables) {
      const [there] = connection.prepare(`select * from ${table}`).all()
      const [here] = await db.query<Record<string, unknown>>({ parts: [`select * from ${table}`], values: [] })
      const expected = Object.fromEntries(
        Object.entries(there ?? {}).map(([name, value]) => [
          name,
          asked[`${table}.${name}`] === 1 && /_part$/.test(name) ? part : plain(value),
        ]),
      )
      const found = Object.fromEntries(Object.entries(here ?? {}).map(([name, value]) => [name, plain(value)]))
      assert.deepEqual(found, expected, table)
    }
    assert.deepEqual(
      await db.query(sql`select part, event_id, kind, convert_from(data, 'UTF8') as data from payload`),
      [{ part, event_id: ID, kind: "json", data: NASTY }],
    )
    const [exchange] = await db.query<{ response_body: Uint8Array; request_body: Uint8Array; request_headers: string }>(
      sql`select * from exchange where part = ${part}`,
    )
    assert.deepEqual([...(exchange?.response_body ?? [])], [0, 255, 10, 92, 9])
    assert.equal(Buffer.from(exchange?.request_body ?? []).toString(), NASTY)
    assert.equal(exchange?.request_headers, NASTY)
    const found = await db.query(sql`select segment, field, value from search_entry order by field`)
    assert.deepEqual(
      found,
      [1, 2, 3, 4].map(field => ({ segment: day, field, value: NASTY })),
    )
    assert.deepEqual(await db.query(sql`select integration_id, holder, rate from lane`), [
      { integration_id: 5, holder: null, rate: NASTY },
    ])
  })
  connection.close()
})

test("a character that PostgreSQL cannot hold becomes the sign for one that is unknown", async t => {
  const place = await filled(t)
  const connection = new DatabaseSync(place.path)
  connection.prepare("update project set name = ?").run("a\0b")
  connection.close()
  const url = await testDatabase()
  await importText(url, await exportText(place.path))
  assert.deepEqual(await rowsOf(url, "select name from project"), [{ name: "a\ufffdb" }])
})

test("what was being sent is a lost claim, and whatever is made later has a greater id", async t => {
  const place = await filled(t)
  const url = await testDatabase()
  await importText(url, await exportText(place.path))
  const store = await openPostgres({
    url,
    name: "test",
    dataDir: place.dataDir,
    sealingKeys: undefined,
    // Behind the greatest id that was imported.
    now: () => NOW - 7_200_000,
    allowUnsafe: true,
  })
  try {
    assert.ok(store.fence > 41, "no process that is to come has a number of a claim")
    const lost = await store.ledger.lost(10)
    assert.deepEqual(
      lost.map(({ delivery }) => delivery.event),
      [ID],
    )
    const id = await store.ledger.inNextCommit(commit => commit.nextId())
    assert.ok(id > ID)
  } finally {
    await store.close()
  }
})

test("what had not been tallied yet is not tallied in the import either, and is left to whoever starts on it", async t => {
  const place = await filled(t)
  const connection = new DatabaseSync(place.path)
  connection.exec(`update tally_marker set event_id = ${ID - 1}`)
  connection.close()
  const url = await testDatabase()
  await importText(url, await exportText(place.path))
  assert.deepEqual(await rowsOf(url, "select event_id from tally_marker"), [{ event_id: String(ID - 1) }])
})

test("an export that was cut off or changed leaves the database empty, and the whole one goes in afterwards", async t => {
  const place = await filled(t)
  const text = await exportText(place.path)
  const url = await testDatabase()
  for (const length of [0, 1, 100, Math.floor(text.length / 2), text.length - 20]) {
    await assert.rejects(
      importText(url, text.slice(0, length)),
      /ends before its end|no export of Waybill/,
      String(length),
    )
  }
  const changed = text.replace("Grüße", "Grüsse")
  await assert.rejects(importText(url, changed), /is not what was exported.*Nothing was imported/)
  const lacking = text.replace(/\{"table":"change"[\s\S]*?\\\.\n.*\n/, "")
  await assert.rejects(importText(url, lacking), /says that there is more than came/)
  await assert.rejects(importText(url, "no json\n"), /no export of Waybill/)
  await assert.rejects(importText(url, text.replace('"table":"change"', '"table":"pg_class"')), /does not know/)
  for (const table of ["project", "event", "delivery", "part"]) {
    assert.deepEqual(await rowsOf(url, `select count(*)::int as n from ${table}`), [{ n: 0 }], table)
  }
  const { rows } = await importText(url, text)
  assert.ok(rows > plainTables.length)
})

test("an import wants an empty database that nobody works on", async t => {
  const place = await filled(t)
  const text = await exportText(place.path)
  const url = await testDatabase()
  const store = await openPostgres({
    url,
    name: "node/1",
    dataDir: mkdtempSync(join(place.dataDir, "new-")),
    sealingKeys: undefined,
    now: () => NOW,
    allowUnsafe: true,
  })
  await assert.rejects(importText(url, text), /A Waybill works on the database .* \(node\/1.*\): stop it/)
  await store.close()
  await assert.rejects(importText(url, text), /There are traces of a start .* already.*create database/)
})

test("ids that are far ahead of the database's clock are refused", async t => {
  const place = await filled(t, firstIdAt(Date.now() + 600_000))
  await assert.rejects(
    importText(await testDatabase(), await exportText(place.path)),
    /clock .* is \d+ s behind the latest ids/,
  )
})

/** An embedded database with a row in each table. */
async function filled(t: TestContext, id = ID): Promise<{ readonly dataDir: string; readonly path: string }> {
  const dataDir = mkdtempSync(join(tmpdir(), "waybill-transfer-"))
  t.after(() => rmSync(dataDir, { recursive: true, force: true }))
  const store = openStore({ dataDir, sealingKeys: undefined, now: () => NOW })
  const { connection } = store.sqlite
  // One row of each table: not the one that every start makes.
  connection.exec("delete from own_secret")
  connection.exec(`insert into part (id, retention_days, opened_at, expires_at) values (1, 7, ${NOW}, ${NOW})`)
  connection.exec(`
    create table payload_1 (event_id integer primary key, project_id integer, kind text, data any, media_type text) strict;
    create table exchange_1 (
      attempt_id integer not null primary key,
      request_headers text not null, request_body any, response_headers text, response_body blob
    ) strict`)
  connection.prepare("insert into payload_1 values (?, 5, 'json', ?, null)").run(id, NASTY)
  connection
    .prepare("insert into exchange_1 values (?, ?, ?, null, ?)")
    .run(id, NASTY, NASTY, new Uint8Array([0, 255, 10, 92, 9]))
  for (const table of [...plainTables, "lane"]) {
    const columns = connection.prepare("select name, type from pragma_table_xinfo(?) where hidden = 0").all(table) as {
      name: string
      type: string
    }[]
    const values = columns.map(({ name, type }) => {
      const given = asked[`${table}.${name}`]
      if (given !== undefined) return given
      if (/^(id|event_id|attempt_id|last_attempt_id)$/.test(name) && type === "INTEGER") return id
      if (type === "BLOB") return new Uint8Array([0, 255, 10, 92, 9])
      if (type === "REAL") return 0.1
      return type === "INTEGER" ? 5 : NASTY
    })
    const places = columns.map(() => "?").join(", ")
    connection
      .prepare(`insert into ${table} (${columns.map(({ name }) => name).join(", ")}) values (${places})`)
      .run(...values)
  }
  await store.close()
  return { dataDir, path: `${dataDir}/waybill.db` }
}

async function exportText(path: string): Promise<string> {
  let text = ""
  await exportEmbedded({
    path,
    isTrial: false,
    write: async piece => {
      text += piece
    },
  })
  return text
}

/** In pieces that end anywhere. */
function importText(url: string, text: string) {
  async function* pieces(): AsyncGenerator<Uint8Array> {
    const whole = Buffer.from(text)
    for (let at = 0; at < whole.length; at += 997) yield whole.subarray(at, at + 997)
  }
  return withSession(url, session => importExport({ session, source: pieces(), judge: () => undefined }))
}

async function rowsOf(url: string, text: string): Promise<unknown[]> {
  return withClient(url, async client => (await client.query(text)).rows)
}

/** A value apart from the class in which an engine gives it. */
function plain(value: unknown): unknown {
  return value instanceof Uint8Array ? [...value] : value
}
