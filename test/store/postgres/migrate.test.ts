/** Migrations on PostgreSQL: once, under a lock, while older processes go on; and when a program refuses a schema. */
import assert from "node:assert/strict"
import test from "node:test"
import {
  assertMigrated,
  breaksOf,
  migratePostgres,
  type PostgresMigration,
  postgresMigrations,
} from "../../../src/store/postgres-migrate.ts"
import { type Session, withSession } from "../../../src/store/postgres-session.ts"
import { testDatabase, withClient } from "../../help/postgres.ts"

/** Migrations as a later version could have them: the first makes the table that says which have run. */
const first = made(1, "-- The start.\n-- breaks: 1\ncreate table meta (key text primary key, value text not null);")
const expand = made(2, "-- A new column beside the old.\n-- breaks: nothing\nalter table meta add column more text;")
const contract = made(3, "-- What nobody needs any more goes.\n-- breaks: 2\nalter table meta drop column more;")

test("each migration says in its head which programs it breaks", () => {
  for (const { name, version, text } of postgresMigrations) {
    assert.ok(breaksOf(name, text()) <= version, name)
  }
  assert.throws(() => breaksOf("007_x.sql", "-- Something.\nselect 1; -- breaks: 4\n"), /007_x.sql does not say/)
})

test("of three that come at once to an empty database one runs the migrations", async () => {
  const url = await testDatabase()
  const ran = await Promise.all([1, 2, 3].map(() => withSession(url, session => migratePostgres(session))))
  assert.deepEqual(ran.map(({ ran }) => ran.length).sort(), [0, 0, postgresMigrations.length])
})

test("a program works on a newer schema that breaks nothing for it, and refuses one that does", async () => {
  await on(await testDatabase(), async session => {
    await migratePostgres(session, [first])
    assert.deepEqual(await migratePostgres(session, [first, expand]), { from: 1, ran: ["002_made.sql"] })
    assert.deepEqual(await migratePostgres(session, [first]), { from: 2, ran: [] }, "the old one goes on")
    await assertMigrated(session, [first])
    await migratePostgres(session, [first, expand, contract])
    assert.deepEqual(await migratePostgres(session, [first, expand]), { from: 3, ran: [] })
    await assert.rejects(
      migratePostgres(session, [first]),
      /A newer Waybill has made .* \(schema 3, for programs that know 2; this one knows 1\)\. Start that version\./,
    )
  })
})

test("a migration that fails leaves the schema as it was", async () => {
  await on(await testDatabase(), async session => {
    await migratePostgres(session, [first])
    const broken = made(3, "-- Something wrong.\n-- breaks: nothing\ncreate table half (id bigint);\nselect nonsense;")
    await assert.rejects(migratePostgres(session, [first, expand, broken]), /nonsense/)
    const rows = await session.db.query({ parts: ["select to_regclass('half') as half"], values: [] })
    assert.deepEqual(rows, [{ half: null }])
    assert.deepEqual(await migratePostgres(session, [first]), { from: 1, ran: [] })
  })
})

test("a migration does not wait for long behind somebody's transaction, and says what is in its way", async () => {
  const url = await testDatabase()
  await on(url, session => migratePostgres(session, [first]))
  await withClient(url, async other => {
    await other.query("begin; select * from meta")
    await on(url, session =>
      assert.rejects(
        migratePostgres(session, [first, expand]),
        /002_made.sql could not have a table .* pg_stat_activity/,
      ),
    )
    await other.query("rollback")
  })
})

test("with --no-migrate an older schema, or none, is refused with what to do", async () => {
  await on(await testDatabase(), async session => {
    await assert.rejects(assertMigrated(session, [first]), /needs schema 1, .* has none yet.*run `waybill migrate`/)
    await migratePostgres(session, [first])
    await assertMigrated(session, [first])
    await assert.rejects(assertMigrated(session, [first, expand]), /needs schema 2, .* has 1, .*run `waybill migrate`/)
  })
})

function made(version: number, text: string): PostgresMigration {
  return { version, name: `00${version}_made.sql`, text: () => text }
}

function on<T>(url: string, work: (session: Session) => Promise<T>): Promise<T> {
  return withSession(url, work)
}
