/** The commands on the data folder: a copy that is whole while events come in, put back, migrated, and looked over. */
import assert from "node:assert/strict"
import { chmodSync, cpSync, existsSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { DatabaseSync } from "node:sqlite"
import test, { type TestContext } from "node:test"
import { linesOf, listing, runCli } from "../help/cli.ts"
import { call, createWebhook, newSecret, openWaybill, startWaybill, temporaryFolder, testKey } from "../help/waybill.ts"

interface Finding {
  readonly subject: string
  readonly verdict: "good" | "doubtful" | "wrong"
  readonly message: string
}

/** A folder on which Waybill ran, with some events and a sealed secret, and has stopped. */
async function usedFolder(t: TestContext, events = 3): Promise<string> {
  const dataDir = join(temporaryFolder(t), "data")
  const waybill = await openWaybill(t, { dataDir })
  await createWebhook(waybill, { name: "CRM", url: "http://127.0.0.1:1024/", secret: newSecret() })
  for (let i = 0; i < events; i++) await call(waybill, "POST", "/v1/events", { type: "kept", id: `kept-${i}` })
  await waybill.stop()
  return dataDir
}

async function ownIds(t: TestContext, dataDir: string): Promise<Set<unknown>> {
  const waybill = await openWaybill(t, { dataDir })
  const ids = new Set<unknown>()
  for (let cursor: string | null = ""; cursor !== null; ) {
    const page = (await call(waybill, "GET", `/v1/events?limit=200${cursor === "" ? "" : `&cursor=${cursor}`}`)) as {
      readonly data: readonly { readonly external_id: string }[]
      readonly next_cursor: string | null
    }
    for (const { external_id } of page.data) ids.add(external_id)
    cursor = page.next_cursor
  }
  await waybill.stop()
  return ids
}

async function findingsOf(dataDir: string, env: Record<string, string> = {}, ...more: readonly string[]) {
  const { code, stdout } = await runCli(["doctor", "--data-dir", dataDir, "--json", ...more], { env })
  const findings = JSON.parse(stdout) as readonly Finding[]
  return { code, of: (subject: string) => findings.find(finding => finding.subject === subject) }
}

test("a backup made while events come in holds all that were accepted before it, and can be put back", async t => {
  const folder = temporaryFolder(t)
  const dataDir = join(folder, "data")
  const file = join(folder, "copy.db")
  const waybill = await startWaybill(t, { dataDir })
  const accepted: string[] = []
  let isOver = false
  const producers = Array.from({ length: 8 }, async (_, producer) => {
    for (let i = 0; !isOver; i++) {
      await call(waybill, "POST", "/v1/events", { type: "kept", id: `p${producer}-${i}`, data: "x".repeat(2_000) })
      accepted.push(`p${producer}-${i}`)
    }
  })
  while (accepted.length < 300) await call(waybill, "GET", "/v1/status")
  const before = [...accepted]
  const { code, stdout, stderr } = await runCli(["backup", file, "--data-dir", dataDir])
  assert.equal(code, 0, stderr)
  const during = accepted.length - before.length
  isOver = true
  await Promise.all(producers)
  assert.match(
    stdout,
    /copy\.db holds [\d.]+ MB, read through without a fault\.\nIts secrets need \S+data\/secret\.key: keep a copy of that/,
  )
  assert.ok(during > 0, "events came in meanwhile")
  assert.deepEqual(readdirSync(folder).sort(), ["copy.db", "data"])
  assert.equal(statSync(file).mode & 0o777, 0o600)
  waybill.kill("SIGKILL")
  await waybill.stopped

  // On another machine: the backup and the key file, and nothing else.
  const elsewhere = join(folder, "elsewhere")
  mkdirSync(elsewhere)
  cpSync(join(dataDir, "secret.key"), join(elsewhere, "secret.key"))
  const restored = await runCli(["restore", file, "--data-dir", elsewhere])
  assert.equal(restored.code, 0, restored.stderr)
  assert.match(
    restored.stdout,
    /elsewhere\/waybill\.db is \S+copy\.db now\.\nThe key that is there opens its secrets\. Waybill can be started\.\n/,
  )
  const there = await ownIds(t, elsewhere)
  assert.deepEqual(
    before.filter(id => !there.has(id)),
    [],
  )
})

test("a folder that holds a database is restored with --force only, and the old one is kept beside it", async t => {
  const dataDir = await usedFolder(t, 1)
  const file = join(dataDir, "..", "copy.db")
  assert.equal((await runCli(["backup", file, "--with-key", "--data-dir", dataDir])).code, 0)
  const other = await usedFolder(t, 2)
  const untouched = listing(other)
  const refused = await runCli(["restore", file, "--data-dir", other])
  assert.equal(refused.code, 1)
  assert.match(refused.stderr, /holds a database already\. Name an empty folder with --data-dir, or add --force/)
  assert.deepEqual(listing(other), untouched)

  const { code, stdout, stderr } = await runCli(["restore", file, "--force", "--data-dir", other])
  assert.equal(code, 0, stderr)
  const [, kept = ""] = /What was there is kept as (\S+waybill\.db\.replaced-\d{14})\./.exec(stdout) ?? []
  // The two folders had keys of their own, and the backup came with the one that it needs.
  assert.match(stdout, /The key came from \S+copy\.db\.key and is \S+secret\.key now\. Waybill can be started\./)
  assert.equal(statSync(join(other, "secret.key")).mode & 0o777, 0o600)
  assert.equal((await ownIds(t, other)).size, 1)
  assert.equal(countEvents(kept), 2)
  assert.ok(readdirSync(other).some(name => /^secret\.key\.replaced-\d{14}$/.test(name)))
})

test("a restore without the right key says which one is needed, and Waybill does not start without it", async t => {
  const dataDir = await usedFolder(t, 1)
  const file = join(dataDir, "..", "copy.db")
  assert.equal((await runCli(["backup", file, "--data-dir", dataDir])).code, 0)
  const empty = join(temporaryFolder(t), "data")
  const { code, stdout } = await runCli(["restore", file, "--data-dir", empty])
  assert.equal(code, 0)
  assert.match(
    stdout,
    /Its secrets need another key: put the key file of the time of the backup at \S+secret\.key, or set WAYBILL_SECRET_KEY/,
  )
  const started = await runCli(["serve"], { env: { PORT: "0", WAYBILL_DATA_DIR: empty } })
  assert.equal(started.code, 1)
  assert.match(started.stderr, /^The key that seals the secrets .* is missing/)
  const key = readFileSync(join(dataDir, "secret.key"), "utf8").trim()
  const again = await runCli(["restore", file, "--force", "--data-dir", empty], { env: { WAYBILL_SECRET_KEY: key } })
  assert.match(again.stdout, /The key that is there opens its secrets/)
})

test("no restore, no migration takes a folder from a running Waybill, and a backup never lands in one", async t => {
  const dataDir = await usedFolder(t)
  const file = join(dataDir, "..", "copy.db")
  await runCli(["backup", file, "--data-dir", dataDir])
  const owner = await startWaybill(t, { dataDir })
  const before = readdirSync(dataDir)
  const owned = /belongs to a Waybill that is running/
  assert.match((await runCli(["restore", file, "--force", "--data-dir", dataDir])).stderr, owned)
  assert.match((await runCli(["migrate", "--data-dir", dataDir])).stderr, owned)
  const inside = await runCli(["backup", join(dataDir, "waybill.db"), "--force", "--data-dir", dataDir])
  assert.equal(inside.code, 2)
  assert.match(inside.stderr, /lies in the data folder and would be lost with it/)
  const again = await runCli(["backup", file, "--data-dir", dataDir])
  assert.equal(again.code, 1)
  assert.match(again.stderr, /copy\.db is there already: name another file, or add --force/)
  assert.equal((await runCli(["backup", file, "--force", "--data-dir", dataDir])).code, 0)
  assert.deepEqual(readdirSync(dataDir), before)
  assert.ok(await call(owner, "GET", "/v1/status"))
})

test("what is no backup, or a damaged one, changes nothing", async t => {
  const dataDir = await usedFolder(t, 20)
  const folder = join(dataDir, "..")
  const file = join(folder, "copy.db")
  await runCli(["backup", file, "--data-dir", dataDir])
  const damaged = join(folder, "damaged.db")
  const bytes = readFileSync(file)
  bytes.fill(0xff, bytes.length / 4, bytes.length / 2)
  writeFileSync(damaged, bytes)
  writeFileSync(join(folder, "text.db"), "no database")
  const foreign = new DatabaseSync(join(folder, "foreign.db"))
  foreign.exec("create table t (a); pragma user_version = 1")
  foreign.close()
  const newer = new DatabaseSync(join(folder, "newer.db"))
  newer.exec(
    "create table meta (key, value); create table project (id); create table event (id, project_id, received_at); create table integration (snapshot, removed_at, enabled); pragma user_version = 999",
  )
  newer.close()
  const before = listing(dataDir)
  const cases: readonly [string, RegExp][] = [
    ["damaged.db", /is damaged, so nothing was changed:\n./],
    ["text.db", /is no backup of Waybill/],
    ["foreign.db", /is no backup of Waybill/],
    ["newer.db", /was made by a newer Waybill \(schema 999/],
    ["none.db", /^There is no file /],
  ]
  for (const [name, sentence] of cases) {
    const { code, stderr } = await runCli(["restore", join(folder, name), "--force", "--data-dir", dataDir])
    assert.equal(code, 1)
    assert.match(stderr, sentence)
    assert.deepEqual(listing(dataDir), before, name)
  }
})

test("a migration says what it did, and a folder without a database is not made into one", async t => {
  const dataDir = await usedFolder(t)
  const done = await runCli(["migrate", "--data-dir", dataDir])
  assert.deepEqual(
    [done.code, /has schema \d+, which is this version's: nothing was to do\./.test(done.stdout)],
    [0, true],
  )
  // An empty database is at schema 0: all migrations are missing.
  const fresh = join(temporaryFolder(t), "data")
  mkdirSync(fresh)
  writeFileSync(join(fresh, "waybill.db"), "")
  const first = await runCli(["migrate", "--data-dir", fresh, "--json"])
  const { from, ran } = JSON.parse(first.stdout) as { from: number; ran: readonly string[] }
  assert.equal(from, 0)
  assert.equal(ran[0], "001_start.sql")
  const none = await runCli(["migrate", "--data-dir", join(fresh, "none")])
  assert.equal(none.code, 1)
  assert.match(none.stderr, /^There is no database in \S+none\. Name the data folder with --data-dir/)
  assert.ok(!existsSync(join(fresh, "none")))
})

test("doctor finds nothing wrong with a folder that is well, changes nothing, and may look while Waybill runs", async t => {
  const dataDir = await usedFolder(t)
  const before = listing(dataDir)
  const text = await runCli(["doctor", "--data-dir", dataDir, "--integrity"])
  assert.equal(text.code, 0, text.stdout + text.stderr)
  const subjects = linesOf(text.stdout).map(line => line.slice(2, 15).trim())
  const expected = ["node", "data folder", "database", "integrity", "durability", "disk", "key", "clock", "egress"]
  assert.deepEqual(subjects.slice(0, 9), expected)
  for (const line of linesOf(text.stdout)) assert.match(line, /^[✓!] /)
  assert.deepEqual(listing(dataDir), before)

  await startWaybill(t, { dataDir })
  const { code, of } = await findingsOf(dataDir, { HOST: "0.0.0.0", NODE_USE_ENV_PROXY: "1" })
  assert.equal(code, 0)
  assert.match(of("data folder")?.message ?? "", /a running Waybill has it\.$/)
  assert.match(of("durability")?.message ?? "", /synchronous=FULL; 20 commits: half of them within [\d.]+ ms/)
  assert.match(of("egress")?.message ?? "", /no loopback, because HOST=0\.0\.0\.0 is none/)
  assert.deepEqual([of("proxy")?.verdict, /unset it/.test(of("proxy")?.message ?? "")], ["doubtful", true])
})

test("doctor names what is wrong, with what to do, and ends with 1", {
  skip: process.platform === "win32",
}, async t => {
  const dataDir = await usedFolder(t)
  chmodSync(join(dataDir, "secret.key"), 0o644)
  const readable = await findingsOf(dataDir)
  assert.equal(readable.code, 1)
  assert.match(readable.of("key")?.message ?? "", /^Others on this machine may read \S+secret\.key: chmod 600 /)
  chmodSync(join(dataDir, "secret.key"), 0o600)

  chmodSync(dataDir, 0o777)
  assert.match((await findingsOf(dataDir)).of("data folder")?.message ?? "", /^Others may write to \S+: chmod go-w /)
  chmodSync(dataDir, 0o700)

  const otherKey = Buffer.alloc(32, 7).toString("base64")
  const sealed = await findingsOf(dataDir, { WAYBILL_SECRET_KEY: otherKey })
  assert.match(sealed.of("key")?.message ?? "", /sealed with another key than WAYBILL_SECRET_KEY/)

  const ahead = new DatabaseSync(join(dataDir, "waybill.db"))
  ahead.exec(`update event set received_at = ${Date.now() + 3_600_000}`)
  ahead.close()
  const clock = (await findingsOf(dataDir)).of("clock")
  assert.equal(clock?.verdict, "wrong")
  assert.match(clock.message, /^The clock stands 60 min before the last event's time/)

  writeFileSync(join(dataDir, "waybill.db"), "no database")
  const { code, of } = await findingsOf(dataDir)
  assert.equal(code, 1)
  assert.match(of("database")?.message ?? "", /is damaged or no database .*waybill restore/)
})

test("doctor asks for the names that integrations point to", async t => {
  const dataDir = join(temporaryFolder(t), "data")
  const waybill = await openWaybill(t, { dataDir })
  await createWebhook(waybill, { name: "gone", url: "https://crm.invalid/hook", secret: newSecret() })
  await waybill.stop()
  const { code, of } = await findingsOf(dataDir)
  assert.equal(code, 1)
  assert.match(of("dns")?.message ?? "", /^crm\.invalid is not found \(\w+\)\. An integration points there/)
})

test("a backup that cannot get its name leaves nothing behind", async t => {
  const dataDir = await usedFolder(t)
  const folder = join(temporaryFolder(t), "out")
  mkdirSync(folder)
  // A folder that is a file's name: the copy cannot get its name at the end.
  mkdirSync(join(folder, "taken.db"))
  const { code } = await runCli(["backup", join(folder, "taken.db"), "--force", "--data-dir", dataDir])
  assert.equal(code, 1)
  assert.deepEqual(readdirSync(folder), ["taken.db"])
})

test("what a command on the folder is asked for in a wrong way is named", async t => {
  const dataDir = await usedFolder(t)
  const env = { WAYBILL_SECRET_KEY: Buffer.alloc(32).toString("base64"), WAYBILL_API_KEY: testKey }
  const wrong = await runCli(["backup", "x.db", "--data-dir", dataDir], { env: { WAYBILL_DATADIR: "x" } })
  assert.equal(wrong.code, 2)
  assert.match(wrong.stderr, /^WAYBILL_DATADIR is no setting of Waybill\. Did you mean WAYBILL_DATA_DIR\?/)
  const nowhere = await runCli(["backup", join(dataDir, "none", "x.db"), "--data-dir", dataDir], { env })
  assert.match(nowhere.stderr, /^There is no folder \S+none\./)
})

function countEvents(path: string): number {
  const connection = new DatabaseSync(path, { readOnly: true })
  try {
    return Number(connection.prepare("select count(*) as n from event").get()?.["n"])
  } finally {
    connection.close()
  }
}
