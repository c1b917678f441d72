/** The fault matrix is whole: each row once, with where it is shown, and what is shown there is there. */
import assert from "node:assert/strict"
import { existsSync, readFileSync } from "node:fs"
import { join } from "node:path"
import test from "node:test"
import { filesOfClassA, matrixRows as rows, matrixText as text } from "./help/fault-matrix.ts"

const root = join(import.meta.dirname, "..")

test("every row from F-01 to F-52 is there once, in order", () => {
  const ids = Array.from({ length: 52 }, (_, i) => `F-${String(i + 1).padStart(2, "0")}`)
  assert.deepEqual(
    rows.map(({ id }) => id),
    ids,
  )
})

test("every row names files that are there, or says what it is waiting for", () => {
  for (const row of rows) {
    for (const file of row.files) assert.ok(existsSync(join(root, file)), `${row.id}: ${file}`)
    if (row.classes.includes("–")) assert.match(row.shown, /^open: /, row.id)
    else assert.ok(row.files.length > 0 || row.shown.startsWith("below"), row.id)
  }
})

test("rows of class A are shown by tests, those of class N by the soak, which knows them by name", () => {
  const soak = ["process-rows", "load-rows", "storm"].map(name =>
    readFileSync(join(root, `test/soak/${name}.ts`), "utf8"),
  )
  for (const row of rows) {
    if (row.classes.includes("A"))
      assert.ok(
        row.files.some(file => filesOfClassA().includes(file)),
        row.id,
      )
    if (row.classes.includes("N"))
      assert.ok(
        soak.some(source => source.includes(`id: "${row.id}"`)),
        row.id,
      )
  }
})

test("rows of class R say what is to be done", () => {
  const [, byHand = ""] = text.split("## By hand")
  for (const { id, classes } of rows) if (classes.includes("R")) assert.ok(byHand.includes(id), id)
})
