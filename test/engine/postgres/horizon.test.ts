/** What several processes store is read in the order of ids, with nothing left out, whatever their clocks show. */
import assert from "node:assert/strict"
import test, { type TestContext } from "node:test"
import { setTimeout as rest } from "node:timers/promises"
import { Changes } from "../../../src/engine/changes.ts"
import { Feed } from "../../../src/engine/feed.ts"
import { horizonOf } from "../../../src/engine/horizon.ts"
import { Tail } from "../../../src/engine/tail.ts"
import { openLog } from "../../../src/log.ts"
import { sql } from "../../../src/store/database.ts"
import type { PostgresStore } from "../../../src/store/postgres-store.ts"
import { change as carryOut, rows } from "../../../src/store/step.ts"
import type { StreamItem } from "../../../src/store/stream-reads.ts"
import { keepApart, withClient } from "../../help/postgres.ts"
import { assertWithin } from "../../help/punctual.ts"
import { arrival, openSeveral, project } from "../../help/several-stores.ts"

// How soon one process sees what another has stored is held to a second here.
keepApart()

const MINUTE_MS = 60_000
const log = openLog("silent")

/** Follows the tail of a store, and keeps what it was handed with the time at which that was. */
async function follow(t: TestContext, store: PostgresStore) {
  const tail = await Tail.open({ reads: store.reads, horizon: horizonOf(store), feed: new Feed(), project, log })
  const seen: { readonly id: number; readonly at: number }[] = []
  let wake = () => {}
  tail.attach({
    take: (items: readonly StreamItem[]) => {
      seen.push(...items.map(({ id }) => ({ id, at: performance.now() })))
      wake()
    },
  })
  t.after(() => tail.stop())
  return {
    seen,
    ids: () => seen.map(({ id }) => id),
    /** Waits until so many were handed over. */
    until: async (count: number) => {
      const limit = AbortSignal.timeout(20_000)
      while (seen.length < count) {
        await new Promise<void>((resolve, reject) => {
          wake = resolve
          limit.onabort = () => reject(new Error(`${seen.length} of ${count} came`))
        })
      }
    },
  }
}

async function storedIds({ db }: PostgresStore, after: number): Promise<number[]> {
  const found = await db.query<{ id: number }>(sql`
    select id from event where id > ${after} union all select id from change where id > ${after} order by id`)
  return found.map(({ id }) => id)
}

test("many writers on clocks minutes apart commit out of order, and every follower sees each id once, in order", async t => {
  const { stores } = await openSeveral(t, 0, 5 * MINUTE_MS, -3 * MINUTE_MS)
  const followers = [await follow(t, stores[0] as PostgresStore), await follow(t, stores[2] as PostgresStore)]
  const startsAt = 0
  // Writers of one process each, at once; commits of changes take their time between the id and the end.
  let seed = 20_260_721
  const random = () => {
    seed = (seed * 1_103_515_245 + 12_345) % 2_147_483_648
    return seed / 2_147_483_648
  }
  const until = performance.now() + 4_000
  await Promise.all(
    stores.flatMap(store => {
      const changes = new Changes(store, new Feed(), () => undefined)
      const events = async () => {
        while (performance.now() < until) {
          await store.ledger.accept([arrival(store.now()), arrival(store.now())])
          await rest(random() * 5)
        }
      }
      const slowWorks = async () => {
        while (performance.now() < until) {
          const waitS = random() * 0.3
          await store.ledger.inNextCommit(function* (commit) {
            const id = yield* commit.nextId()
            yield* rows(sql`select pg_sleep(${waitS})`)
            yield* carryOut(sql`
              insert into change (id, project_id, at, kind, subject, by_kind) values (${id}, ${project}, 0, 'x', 'x', 'waybill')`)
          })
        }
      }
      const slowChanges = async () => {
        while (performance.now() < until) {
          await changes.inTransaction(async (_tx, note) => {
            await note({ project, kind: "x", subject: "x", by: { kind: "waybill", id: null } })
            await rest(random() * 100)
            await note({ project, kind: "y", subject: "x", by: { kind: "waybill", id: null } })
          })
        }
      }
      return [events(), slowWorks(), slowChanges()]
    }),
  )
  const stored = await storedIds(stores[0] as PostgresStore, startsAt)
  assert.ok(stored.length > 300, `${stored.length} were stored`)
  for (const follower of followers) {
    await follower.until(stored.length)
    assert.deepEqual(follower.ids(), stored)
  }
})

for (const aheadMs of [0, 5 * MINUTE_MS, -5 * MINUTE_MS]) {
  test(`what a process stores whose clock is ${aheadMs / MINUTE_MS} min ahead is seen by another within a second`, async t => {
    const { stores } = await openSeveral(t, 0, aheadMs)
    const [here, there] = stores as [PostgresStore, PostgresStore]
    const follower = await follow(t, here)
    for (let time = 1; time <= 5; time++) {
      await there.ledger.accept([arrival(there.now())])
      const storedAt = performance.now()
      await follower.until(time)
      assertWithin((follower.seen.at(-1)?.at ?? 0) - storedAt, 1_000)
    }
  })
}

test("while a transaction that has begun earlier is open the stream waits, and goes on in order when it ends", async t => {
  const { url, stores } = await openSeveral(t, 0, 0)
  const [here, there] = stores as [PostgresStore, PostgresStore]
  const follower = await follow(t, here)
  await withClient(url, async client => {
    await client.query("begin; set local idle_in_transaction_session_timeout = 0")
    await client.query("select pg_current_xact_id()")
    await there.ledger.accept([arrival(there.now())])
    await rest(1_000)
    assert.deepEqual(follower.ids(), [], "nothing is shown that something could come before")
    await client.query("commit")
  })
  await here.ledger.accept([arrival(here.now())])
  await follower.until(2)
  assert.deepEqual(follower.ids(), await storedIds(here, 0))
})

test("a commit whose ids the floor has passed is refused, and repeated with greater ids", async t => {
  const { stores } = await openSeveral(t, 0, 10 * MINUTE_MS)
  const [behind, ahead] = stores as [PostgresStore, PostgresStore]
  // Raised by the one whose clock is ahead.
  const floor = await horizonOf(ahead).reach(0)
  const [accepted] = await behind.ledger.accept([arrival(behind.now())])
  assert.equal(accepted?.kind, "new")
  assert.ok((accepted?.id ?? 0) > floor)
  await assert.rejects(behind.db.query(sql`select begin_1(${floor})`), { code: "WB001" })
})

test("whoever begins to follow waits for a floor that is noted after that, also where the clock stands still", async t => {
  const at = Date.now()
  const { stores } = await openSeveral(t, () => at)
  const [store] = stores as [PostgresStore]
  const horizon = horizonOf(store)
  const first = await horizon.reach(0)
  assert.equal(await horizon.reach(0), first)
  assert.ok(first > 0)
})
