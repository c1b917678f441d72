/** Batches of a verb: who goes with whom, and who pays for whose fault. */
import assert from "node:assert/strict"
import { test } from "node:test"
import { Batches } from "../../src/store/batches.ts"

/** Batches of texts, each answered in capitals when `land` is called; one that says "bad" spoils its batch. */
function gathered({ most = 100, isHopeless = false } = {}) {
  const under: (() => void)[] = []
  const seen: string[][] = []
  const batches = new Batches<string, string>({
    most,
    sizeOf: () => 1,
    // `a1` and `a2` have the name a.
    namesOf: item => (/^[a-c]\d/.test(item) ? [item.slice(0, 1)] : []),
    carryOut: async batch => {
      seen.push([...batch])
      await new Promise<void>(resolve => under.push(resolve))
      if (batch.includes("bad")) throw new Error("spoilt")
      return batch.map(item => item.toUpperCase())
    },
    isHopeless: () => isHopeless,
  })
  const land = async (): Promise<void> => {
    while (under.length === 0) await new Promise(setImmediate)
    under.shift()?.()
    await new Promise(setImmediate)
  }
  return { batches, seen, land }
}

test("what is asked for while a batch is under way joins the next one, and each gets its own answer", async () => {
  const { batches, seen, land } = gathered()
  const first = batches.add("x")
  await new Promise(setImmediate)
  await new Promise(setImmediate)
  const rest = ["y", "z"].map(item => batches.add(item))
  assert.equal(batches.waiting, 2)
  await land()
  assert.equal(await first, "X")
  await land()
  assert.deepEqual(await Promise.all(rest), ["Y", "Z"])
  assert.deepEqual(seen, [["x"], ["y", "z"]])
})

test("a batch is no larger than it may be, and the others follow in their order", async () => {
  const { batches, seen, land } = gathered({ most: 2 })
  const all = ["p", "q", "r", "s", "t"].map(item => batches.add(item))
  for (let i = 0; i < 3; i++) await land()
  await Promise.all(all)
  assert.deepEqual(seen, [["p", "q"], ["r", "s"], ["t"]])
})

test("two hundred thousand pieces that wait are carried out as a few are", async () => {
  const { batches, seen, land } = gathered({ most: 100_000 })
  const all = Array.from({ length: 200_001 }, (_, i) => batches.add(`p${i}`))
  for (let i = 0; i < 3; i++) await land()
  await Promise.all(all)
  assert.deepEqual(
    seen.map(batch => batch.length),
    [100_000, 100_000, 1],
  )
})

test("pieces of one name go one after the other, in the order in which they were asked for", async () => {
  const { batches, seen, land } = gathered()
  const all = ["a1", "b1", "a2", "c1", "a3"].map(item => batches.add(item))
  for (let i = 0; i < 3; i++) await land()
  assert.deepEqual(await Promise.all(all), ["A1", "B1", "A2", "C1", "A3"])
  assert.deepEqual(seen, [["a1", "b1", "c1"], ["a2"], ["a3"]])
})

test("a piece that spoils its batch fails alone", async () => {
  const { batches, land } = gathered()
  const all = Promise.allSettled(["x", "bad", "y"].map(item => batches.add(item)))
  for (let i = 0; i < 4; i++) await land()
  assert.deepEqual(
    (await all).map(({ status }) => status),
    ["fulfilled", "rejected", "fulfilled"],
  )
})

test("what would meet each piece by itself is not tried for each of them", async () => {
  const { batches, seen, land } = gathered({ isHopeless: true })
  const all = Promise.allSettled(["x", "bad", "y"].map(item => batches.add(item)))
  await land()
  assert.ok((await all).every(({ status }) => status === "rejected"))
  assert.equal(seen.length, 1)
})
