/** Large events, which come many at a time, are not gathered into one statement that takes longer than statements may. */
import assert from "node:assert/strict"
import test from "node:test"
import { openPostgres } from "../../../src/store/postgres-store.ts"
import { freshProject, saveProject } from "../../../src/store/projects.ts"
import { dropDatabase, testDatabase } from "../../help/postgres.ts"
import { arrival, project } from "../../help/several-stores.ts"
import { temporaryFolder } from "../../help/waybill.ts"

const EVENT_BYTES = 262_144
/** Even a slow disk takes it in well under the time limit of a statement. */
const MOST_BYTES = 16_777_216

test("a burst of events of 256 KiB is stored in batches of some MiB, small ones by the hundred", async t => {
  const url = await testDatabase()
  const batches: number[] = []
  const store = await openPostgres({
    ...{ url, name: "test", dataDir: temporaryFolder(t), sealingKeys: undefined, allowUnsafe: true },
    watcher: { committed: pieces => void batches.push(pieces) },
  })
  t.after(async () => {
    await store.close()
    await dropDatabase(url)
  })
  await saveProject(store.db, { ...freshProject, id: project, name: "one", createdAt: 0 })
  const accept = async (count: number, text: string) => {
    batches.length = 0
    const one = arrival(store.now())
    const large = { ...one, draft: { ...one.draft, payload: { kind: "json", text } as const } }
    const accepted = await Promise.all(Array.from({ length: count }, () => store.ledger.accept([large])))
    assert.ok(accepted.every(([first]) => first?.kind === "new"))
    return Math.max(...batches)
  }
  const largest = await accept(100, JSON.stringify("x".repeat(EVENT_BYTES - 2)))
  assert.ok(largest * EVENT_BYTES <= MOST_BYTES, `${largest} at once`)
  const smallest = await accept(400, "{}")
  assert.equal(smallest, 400)
})
