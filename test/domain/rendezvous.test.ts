/** How lanes are shared out over processes. */
import assert from "node:assert/strict"
import test from "node:test"
import { shareOut } from "../../src/domain/rendezvous.ts"

const lanes = Array.from({ length: 100 }, (_, i) => String(7_400_000_000_000 + i * 81_923))
const three = ["vm/1 0f3a", "vm/2 99c1", "web-7/1 5b20"]

function loads(owners: ReadonlyMap<string, string>): number[] {
  return [...Map.groupBy(owners, ([, owner]) => owner).values()].map(own => own.length).sort()
}

test("each process gets its share of the lanes, and every one of them comes to the same", () => {
  assert.deepEqual(loads(shareOut(lanes, three)), [33, 33, 34])
  assert.deepEqual(loads(shareOut(lanes.slice(0, 12), three)), [4, 4, 4])
  assert.deepEqual(loads(shareOut(lanes, three.slice(0, 1))), [100])
  const otherWayRound = shareOut(lanes.toReversed(), three.toReversed())
  assert.deepEqual(new Map([...otherWayRound].sort()), new Map([...shareOut(lanes, three)].sort()))
})

test("where a process comes or goes little more than its own lanes move", () => {
  const before = shareOut(lanes, three)
  const after = shareOut(lanes, [...three, "vm/3 7d07"])
  const moved = [...before].filter(([lane, owner]) => after.get(lane) !== owner)
  assert.deepEqual(loads(after), [25, 25, 25, 25])
  assert.ok(moved.length <= 40, `${moved.length} of 100 lanes moved`)
})

test("lanes that share a budget are one process's, however many they are", () => {
  const grouped = [...Array<string>(50).fill("1/account"), ...lanes.slice(0, 10)]
  const owners = shareOut(grouped, three)
  assert.equal(owners.size, 11)
  const alone = [...owners].filter(([, owner]) => owner === owners.get("1/account"))
  assert.deepEqual(
    alone.map(([lane]) => lane),
    ["1/account"],
    "whoever has more than its share with it gets no other",
  )
})

test("without a process nobody has anything", () => {
  assert.equal(shareOut(lanes, []).size, 0)
})
