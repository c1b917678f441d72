/** The commands of the command line where the database is PostgreSQL, and the way there from a data folder. */
import assert from "node:assert/strict"
import { existsSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from "node:fs"
import test, { type TestContext } from "node:test"
import { jsonLines, linesOf, runCli } from "../help/cli.ts"
import { startPostgres, testDatabase, withClient } from "../help/postgres.ts"
import { call, openWaybill, startWaybill, temporaryFolder } from "../help/waybill.ts"

const unsafe = "--allow-unsafe-database"

interface Finding {
  readonly subject: string
  readonly verdict: string
  readonly message: string
}

test("migrate makes the schema once, and a server with --no-migrate refuses to start before that", async t => {
  const url = await testDatabase()
  const dataDir = temporaryFolder(t)
  const serve = () =>
    runCli(["serve", "--no-migrate", unsafe, "--port", "0", "--data-dir", dataDir, "--database-url", url])
  const early = await serve()
  assert.equal(early.code, 1)
  assert.match(early.stderr, /This program needs schema \d+, the database .* has none yet.*run `waybill migrate`/)
  const first = await runCli(["migrate", unsafe, "--json", "--database-url", url])
  assert.equal(first.code, 0, first.stderr)
  const [{ from, ran }] = jsonLines<{ from: number; ran: string[] }>(first.stdout) as [{ from: number; ran: string[] }]
  assert.equal(from, 0)
  assert.equal(ran[0], "001_tables.sql")
  const again = await runCli(["migrate", unsafe, "--database-url", url])
  assert.match(again.stdout, /nothing was to do/)
  const env = { DATABASE_URL: url, WAYBILL_MIGRATE: "no", WAYBILL_ALLOW_UNSAFE_DATABASE: "yes" }
  const waybill = await startWaybill(t, { dataDir, env })
  assert.ok(await call(waybill, "GET", "/v1/events"))
})

test("three servers that start at once on an empty database all come up, with one schema and one project", async t => {
  const url = await testDatabase()
  const folder = temporaryFolder(t)
  const env = {
    DATABASE_URL: url,
    WAYBILL_ALLOW_UNSAFE_DATABASE: "yes",
    WAYBILL_SECRET_KEY: Buffer.alloc(32, 1).toString("base64"),
  }
  const all = await Promise.all(["a", "b", "c"].map(name => startWaybill(t, { dataDir: `${folder}/${name}`, env })))
  for (const waybill of all) assert.ok(await call(waybill, "GET", "/v1/events"))
  const [row] = await withClient(url, async client => {
    const text = "select (select count(*)::int from project) as projects, (select count(*)::int from api_key) as keys"
    return (await client.query<{ projects: number; keys: number }>(text)).rows
  })
  assert.deepEqual(row, { projects: 1, keys: 1 })
})

test("a server with fsync off is refused, and so is a value that is neither yes nor no", async t => {
  const url = await quickDatabase(t)
  const dataDir = temporaryFolder(t)
  const refused = await runCli(["serve", "--port", "0", "--data-dir", dataDir, "--database-url", url])
  assert.equal(refused.code, 1)
  assert.match(refused.stderr, /fsync is off .*WAYBILL_ALLOW_UNSAFE_DATABASE=yes/)
  const wrong = await runCli(["serve", "--data-dir", dataDir], { env: { WAYBILL_MIGRATE: "perhaps" } })
  assert.equal(wrong.code, 2)
  assert.match(wrong.stderr, /WAYBILL_MIGRATE=perhaps must be yes or no\./)
})

test("doctor looks at the database, and says what is wrong with it without the password", async t => {
  const dataDir = temporaryFolder(t)
  const url = await quickDatabase(t)
  const look = async (database: string, ...more: readonly string[]) => {
    const args = ["doctor", "--json", "--data-dir", dataDir, "--database-url", database, ...more]
    const { code, stdout } = await runCli(args)
    return { code, findings: JSON.parse(stdout) as readonly Finding[] }
  }
  const of = (findings: readonly Finding[], subject: string) => findings.find(finding => finding.subject === subject)

  const unsound = await look(url)
  assert.equal(unsound.code, 1)
  assert.match(of(unsound.findings, "durability")?.message ?? "", /fsync is off/)
  const fresh = await look(url, unsafe)
  assert.equal(of(fresh.findings, "schema")?.verdict, "doubtful")
  await runCli(["migrate", unsafe, "--database-url", url])
  const sound = await look(url, unsafe)
  for (const subject of ["database", "schema", "connections", "transactions", "clocks", "processes", "key"]) {
    assert.equal(of(sound.findings, subject)?.verdict, "good", JSON.stringify(of(sound.findings, subject)))
  }
  assert.match(of(sound.findings, "durability")?.message ?? "", /fsync=off.*may lose/)
  const absent = await look("postgres://waybill:geheim@127.0.0.1:1/waybill")
  assert.equal(absent.code, 1)
  assert.match(of(absent.findings, "database")?.message ?? "", /Nothing listens at 127\.0\.0\.1:1/)
  assert.doesNotMatch(JSON.stringify(absent.findings), /geheim/)
})

test("backup and restore name PostgreSQL's own tools", async () => {
  const env = { DATABASE_URL: "postgres://waybill:geheim@db/waybill" }
  const backup = await runCli(["backup", "x.db"], { env })
  assert.equal(backup.code, 1)
  assert.match(backup.stderr, /pg_dump --format=custom .*\n.*pg_basebackup.*\n.*WAYBILL_SECRET_KEY/)
  const restore = await runCli(["restore", "x.db"], { env })
  assert.equal(restore.code, 1)
  assert.match(restore.stderr, /pg_restore/)
  assert.doesNotMatch(backup.stderr + restore.stderr, /geheim/)
})

test("an export goes into a file that is its user's alone, and an import says which key it needs", async t => {
  const folder = temporaryFolder(t)
  const dataDir = `${folder}/data`
  const file = `${folder}/waybill.export`
  const waybill = await openWaybill(t, { dataDir })
  await call(waybill, "POST", "/v1/events", { type: "order.paid", id: "o-1", data: { total: 12 } })

  const running = await runCli(["export", file, "--data-dir", dataDir])
  assert.equal(running.code, 1)
  assert.match(running.stderr, /belongs to a Waybill that is running/)
  assert.deepEqual(readdirSync(folder), ["data"], "nothing is left behind")
  const trial = await runCli(["export", file, "--trial", "--data-dir", dataDir])
  assert.equal(trial.code, 0, trial.stderr)
  assert.match(trial.stdout, /It is a trial/)
  await waybill.stop()

  const url = await testDatabase()
  const into = ["--database-url", url, unsafe]
  const untold = await runCli(["import", file, ...into, "--data-dir", `${folder}/new`])
  assert.equal(untold.code, 1)
  assert.match(untold.stderr, /made while a Waybill ran.*--trial/)
  assert.match((await runCli(["export", file, "--data-dir", dataDir])).stderr, /is there already.*--force/)
  const exported = await runCli(["export", file, "--force", "--data-dir", dataDir])
  assert.equal(exported.code, 0, exported.stderr)
  assert.match(exported.stdout, /Do not start Waybill on .* again.*\n.*take .*secret\.key along/)
  if (process.platform !== "win32") assert.equal(statSync(file).mode & 0o777, 0o600)

  mkdirSync(`${folder}/new`)
  writeFileSync(`${folder}/new/secret.key`, Buffer.alloc(32, 9).toString("base64"))
  const other = await runCli(["import", file, ...into, "--data-dir", `${folder}/new`])
  assert.equal(other.code, 1)
  assert.match(other.stderr, /sealed with another key than .*secret\.key/)
  const missing = await runCli(["import", file, ...into, "--data-dir", `${folder}/absent`])
  assert.equal(missing.code, 0, missing.stderr)
  assert.match(missing.stdout, /each as many as were exported and with the same checksum/)
  assert.match(missing.stdout, /Its secrets need the key of the old data folder/)
  assert.ok(!existsSync(`${folder}/absent`), "an import makes no folder")
  const twice = await runCli(["import", file, ...into, "--data-dir", dataDir])
  assert.equal(twice.code, 1)
  assert.match(linesOf(twice.stderr).join(" "), /already, and an import has to have it to itself/)
  assert.equal((await runCli(["import", file, "--data-dir", dataDir])).code, 2, "without a database it is misuse")

  const env = {
    DATABASE_URL: url,
    WAYBILL_ALLOW_UNSAFE_DATABASE: "yes",
    WAYBILL_SECRET_KEY: readFileSync(`${dataDir}/secret.key`, "utf8").trim(),
  }
  const moved = await startWaybill(t, { dataDir: `${folder}/moved`, env })
  const found = (await call(moved, "GET", "/v1/events?external_id=o-1")) as { data: readonly { external_id: string }[] }
  assert.deepEqual(
    found.data.map(({ external_id }) => external_id),
    ["o-1"],
  )
  const again = (await call(moved, "POST", "/v1/events", { type: "order.paid", id: "o-1", data: { total: 12 } })) as {
    duplicate: boolean
  }
  assert.equal(again.duplicate, true, "a repeat from before the move is recognised")
})

/** On a server that is quick because it may lose what it has committed. */
async function quickDatabase(t: TestContext): Promise<string> {
  const server = await startPostgres()
  t.after(() => server.stop())
  return server.database()
}
