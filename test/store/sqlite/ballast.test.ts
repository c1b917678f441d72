import assert from "node:assert/strict"
import { mkdtempSync, rmSync, statSync, truncateSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import test, { type TestContext } from "node:test"
import { Ballast } from "../../../src/store/ballast.ts"
import { StoreUnavailable, sql } from "../../../src/store/database.ts"
import { openStore } from "../../../src/store/store.ts"
import { onSmallDisk } from "../../help/small-disk.ts"

const MIB = 1_048_576

test("on a full disk events are refused and none is lost, what was sent is settled, reads work; then all goes on by itself", async t => {
  const seen = (await onSmallDisk(t, 64, "full-disk-process.ts", "refuse")) as { refusedInMs: number }
  const { refusedInMs, ...rest } = seen
  assert.deepEqual(rest, {
    reserveBytes: 8 * MIB,
    reserveLeft: 0,
    lost: 0,
    refusals: ["full"],
    settled: 200,
    read: true,
    again: "accepted",
    reserveAgain: 8 * MIB,
    integrity: "ok",
  })
  assert.ok(refusedInMs < 100, `1,000 refusals took ${refusedInMs} ms`)
})

test("a full disk keeps nothing from going, and what goes makes room for what comes", async t => {
  assert.deepEqual(await onSmallDisk(t, 48, "full-disk-process.ts", "letGo"), {
    wasSpent: true,
    failed_steps: [],
    removed: ["page_returned", "part", "payload", "payload_carried"],
    isSpent: false,
    again: "accepted",
    needed: { kind: "json", text: '{"needed":true}' },
  })
})

test("a start on a full disk works, and takes nothing in", async t => {
  assert.deepEqual(await onSmallDisk(t, 48, "full-disk-process.ts", "restart"), {
    isSpent: true,
    refused: "full",
    settled: 10,
    events: true,
  })
})

test("the ballast takes 32 MiB and is kept from start to start; a torn one is made again", t => {
  const path = join(folderOf(t), "reserve")
  const ballast = new Ballast(path)
  assert.deepEqual([ballast.isSpent, statSync(path).size], [false, 32 * MIB])
  const { mtimeMs } = statSync(path)
  assert.equal(new Ballast(path).isSpent, false)
  assert.equal(statSync(path).mtimeMs, mtimeMs)
  // Its size, but not its blocks: what a crash may leave.
  truncateSync(path, 0)
  truncateSync(path, 32 * MIB)
  assert.equal(new Ballast(path).isSpent, false)
  assert.ok(statSync(path).blocks * 512 >= 32 * MIB)
  ballast.spend()
  assert.deepEqual([ballast.isSpent, statSync(path, { throwIfNoEntry: false })], [true, undefined])
  assert.equal(ballast.restore(), true)
  assert.deepEqual([ballast.isSpent, statSync(path).size], [false, 32 * MIB])
})

test("SQLite's log is never longer than half of the ballast between two checkpoints", async t => {
  const store = openStore({ dataDir: folderOf(t), sealingKeys: undefined, now: () => 0 })
  t.after(() => store.close())
  const pages = Number(store.sqlite.connection.prepare("pragma wal_autocheckpoint").get()?.["wal_autocheckpoint"])
  assert.equal(pages * 4_096 * 2, 32 * MIB)
})

test("when fsync itself fails it is told at once, since nobody knows what is on disk; other errors are not", async t => {
  const fatal: string[] = []
  const onFatal = (error: StoreUnavailable) => fatal.push(error.message)
  const store = openStore({ dataDir: folderOf(t), sealingKeys: undefined, now: () => 0, onFatal })
  t.after(() => store.close())
  const failing = (errcode: number) => () => {
    // As node:sqlite throws them.
    throw Object.assign(new Error("disk I/O error"), { code: "ERR_SQLITE_ERROR", errcode })
  }
  const [read, fsync, directory] = [266, 1_034, 1_290]
  assert.throws(() => store.sqlite.immediate(failing(read)), StoreUnavailable)
  assert.deepEqual(fatal, [])
  assert.throws(() => store.sqlite.immediate(failing(fsync)), StoreUnavailable)
  await assert.rejects(
    store.db.transaction(async () => failing(directory)()),
    StoreUnavailable,
  )
  assert.equal(fatal.length, 2)
  const [row] = await store.db.query<{ one: number }>(sql`select 1 as one`)
  assert.equal(row?.one, 1)
})

function folderOf(t: TestContext): string {
  const folder = mkdtempSync(join(tmpdir(), "waybill-ballast-"))
  t.after(() => rmSync(folder, { recursive: true, force: true }))
  return folder
}
