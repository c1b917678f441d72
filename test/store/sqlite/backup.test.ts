/** A copy of a database in use is one moment of it, and ends however much is written meanwhile; looking at one leaves no trace. */
import assert from "node:assert/strict"
import { mkdtempSync, readdirSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import type { DatabaseSync } from "node:sqlite"
import test, { type TestContext } from "node:test"
import { faultsIn, openUntouched } from "../../../src/store/look.ts"
import { openConnection } from "../../../src/store/sqlite.ts"
import { backUp } from "../../../src/store/store.ts"
import { finishCopy } from "../../../src/store/upkeep.ts"

const ROWS = 20_000

/** A database of 20 MB that is open for writing. */
function makeDatabase(t: TestContext): { readonly folder: string; readonly path: string; readonly db: DatabaseSync } {
  const folder = mkdtempSync(join(tmpdir(), "waybill-"))
  const path = join(folder, "one.db")
  const db = openConnection(path)
  t.after(() => {
    if (db.isOpen) db.close()
    rmSync(folder, { recursive: true, force: true })
  })
  db.exec("create table kept (n integer primary key, text text); begin")
  const insert = db.prepare("insert into kept (text) values (?)")
  for (let i = 0; i < ROWS; i++) insert.run("x".repeat(1_000))
  db.exec("commit")
  return { folder, path, db }
}

function countOf(path: string): number {
  const connection = openUntouched(path)
  try {
    return Number(connection.prepare("select count(*) as n from kept").get()?.["n"])
  } finally {
    connection.close()
  }
}

test("a copy made under steady commits ends, and holds what was there when it began", async t => {
  const { folder, path, db } = makeDatabase(t)
  const insert = db.prepare("insert into kept (text) values ('more')")
  const copy = join(folder, "copy.db")
  let isOver = false
  const parts: number[] = []
  const copying = backUp(path, copy, done => parts.push(done)).finally(() => {
    isOver = true
  })
  let committed = 0
  while (!isOver) {
    insert.run()
    committed++
    await new Promise(resolve => setImmediate(resolve))
  }
  assert.ok((await copying) > 4_096, "it takes more than one step")
  assert.ok(committed > 1)
  assert.deepEqual(
    parts.filter((part, i) => part < (parts[i - 1] ?? 0)),
    [],
    "it never begins anew",
  )
  assert.deepEqual(finishCopy(copy), [])
  assert.equal(countOf(copy), ROWS)
  assert.equal(countOf(path), ROWS + committed)
})

test("reading a database that is closed makes no file beside it", async t => {
  const { folder, path, db } = makeDatabase(t)
  db.close()
  assert.equal(countOf(path), ROWS)
  assert.deepEqual(faultsIn(path), [])
  await backUp(path, join(folder, "copy.db"))
  assert.deepEqual(readdirSync(folder).sort(), ["copy.db", "one.db"])
})
