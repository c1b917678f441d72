/** Columns as PostgreSQL reads them: each value comes out of the server as it was put in. */
import assert from "node:assert/strict"
import test, { after, before } from "node:test"
import { sql } from "../../../src/store/database.ts"
import { PostgresDatabase } from "../../../src/store/postgres.ts"
import { arrayOf, type ElementOf, type ElementType } from "../../../src/store/postgres-arrays.ts"
import { Columns } from "../../../src/store/postgres-columns.ts"
import { dropDatabase, testDatabase } from "../../help/postgres.ts"

let url: string
let db: PostgresDatabase

before(async () => {
  url = await testDatabase()
  db = new PostgresDatabase({ url, name: "arrays", connections: 1 })
})
after(async () => {
  await db.close()
  await dropDatabase(url)
})

/** What the server finds in an array, in order. */
async function readBack<Type extends ElementType>(
  type: Type,
  elements: readonly (ElementOf[Type] | null)[],
): Promise<unknown[]> {
  const found = await db.query<{ it: unknown }>({
    parts: ["select it from unnest(", `::${type}[]) with ordinality a (it, i) order by i`],
    values: [arrayOf(type, elements)],
  })
  return found.map(({ it }) => it)
}

test("whole numbers come back exact, from the least to the greatest", async () => {
  const { MAX_SAFE_INTEGER, MIN_SAFE_INTEGER } = Number
  const numbers = [0, 1, -1, 255, -256, 2 ** 31, -(2 ** 31), 2 ** 32 - 1, 2 ** 32, -(2 ** 32) - 1, 1_763_756_812_345]
  const all = [...numbers, MAX_SAFE_INTEGER, MIN_SAFE_INTEGER]
  assert.deepEqual(await readBack("bigint", all), all)
})

test("a number beyond the exact ones becomes the last of them", async () => {
  const found = await readBack("bigint", [Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY, 2 ** 53, -1e300])
  const { MAX_SAFE_INTEGER, MIN_SAFE_INTEGER } = Number
  assert.deepEqual(found, [MAX_SAFE_INTEGER, MIN_SAFE_INTEGER, MAX_SAFE_INTEGER, MIN_SAFE_INTEGER])
})

test("a number that is not whole is not stored as another", () => {
  assert.throws(() => arrayOf("bigint", [1, 1.5]), /1\.5 is not a whole number/)
  assert.throws(() => arrayOf("bigint", [Number.NaN]), /NaN is not a whole number/)
})

test("locks keep all of their 64 bits", async () => {
  const locks = [0n, -1n, 2n ** 63n - 1n, -(2n ** 63n), 0x0123_4567_89ab_cdefn]
  const [found] = await db.query<{ it: string }>(sql`
    select array_to_string(${arrayOf("bigint", locks)}::bigint[], ' ') as it`)
  assert.equal(found?.it, locks.join(" "))
})

test("text comes back in every script and of every length, with a mark in place of the one character that it cannot hold", async () => {
  const texts = [
    "",
    "a",
    "Käse",
    "日本語",
    "🦊 fox",
    '{"a":"\\b"}',
    "NULL",
    "a,b",
    " ",
    "x".repeat(33),
    "é".repeat(5_000),
  ]
  assert.deepEqual(await readBack("text", texts), texts)
  assert.deepEqual(await readBack("text", ["a\0b\0", "\0"]), ["a\u{FFFD}b\u{FFFD}", "\u{FFFD}"])
  assert.deepEqual(await readBack("text", ["half \u{D83E} of one"]), ["half \u{FFFD} of one"])
})

test("a text of a mebibyte comes back, and what stands around it", async () => {
  const texts = ["before", "\u{20AC}".repeat(2 ** 20 / 3), "x".repeat(2 ** 20), "after"]
  assert.deepEqual(await readBack("text", texts), texts)
})

test("bytes come back as they are, and text as its UTF-8", async () => {
  const every = Uint8Array.from({ length: 256 }, (_, i) => i)
  const found = await readBack("bytea", [every, new Uint8Array(), every.subarray(7, 9), "a\0Ü", ""])
  const expected = [every, new Uint8Array(), every.subarray(7, 9), "a\0Ü", ""]
  assert.deepEqual(
    found,
    expected.map(bytes => Buffer.from(bytes)),
  )
})

test("numbers with fractions come back exact, the endless ones too", async () => {
  const numbers = [0, -0.1, 1 / 3, 1e-300, -1e300, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY, Number.NaN]
  assert.deepEqual(await readBack("double precision", numbers), numbers)
})

test("nulls of every type come back where they stood", async () => {
  assert.deepEqual(await readBack("bigint", [null, 1, null]), [null, 1, null])
  assert.deepEqual(await readBack("text", [null, "", "null", null]), [null, "", "null", null])
  assert.deepEqual(await readBack("bytea", [null, "a"]), [null, Buffer.from("a")])
  assert.deepEqual(await readBack("double precision", [0.5, null]), [0.5, null])
  assert.deepEqual(await readBack("text", [null]), [null])
})

test("no elements are an array of none, whose first would be the first", async () => {
  const [found] = await db.query<object>(sql`
    select cardinality(${arrayOf("bigint", [])}::bigint[]) as none,
      array_lower(${arrayOf("text", ["a", "b"])}::text[], 1) as first, cardinality(${arrayOf("bytea", [])}::bytea[]) as no_bytes`)
  assert.deepEqual({ ...found }, { none: 0, first: 1, no_bytes: 0 })
})

test("the server takes an array for its own type only, and one with nulls for what it is", async () => {
  await assert.rejects(db.query(sql`select ${arrayOf("text", ["1"])}::bigint[]`), /element type/)
  const [found] = await db.query<object>(sql`
    select array_position(${arrayOf("bigint", [7, null])}::bigint[], null) as at,
      ${arrayOf("bigint", [7, null])}::bigint[] = array[7, null]::bigint[] as same,
      ${arrayOf("bigint", [7, 8])}::bigint[] = array[7, 8]::bigint[] as full`)
  assert.deepEqual({ ...found }, { at: 2, same: 1, full: 1 })
})

test("the columns of a batch stand in the order in which they were named, each row at one place in all of them", async () => {
  const columns = new Columns({ i: "bigint", name: "text", data: "bytea", share: "double precision" })
  const rows = Array.from({ length: 1_000 }, (_, i) => ({
    share: i / 7,
    data: i % 3 === 0 ? null : "b".repeat(i),
    name: i % 5 === 0 ? null : `🦊 ${i}`,
    i,
  }))
  for (const row of rows) columns.add(row)
  const found = await db.query<{ i: number; name: string | null; data: Buffer | null; share: number }>({
    parts: [
      "select * from unnest(",
      "::bigint[], ",
      "::text[], ",
      "::bytea[], ",
      "::float8[]) a (i, name, data, share)",
    ],
    values: columns.arrays,
  })
  const read = found.map(({ data, ...row }) => ({ ...row, data: data === null ? null : data.toString() }))
  assert.deepEqual(read, rows)
})
