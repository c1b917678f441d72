/**
 * Somebody's transaction that is never ended keeps PostgreSQL from tidying up (F-20): two processes go on beside it, at half
 * of their pace or more, as measured in the same run, and nothing is lost.
 */
import assert from "node:assert/strict"
import test from "node:test"
import { setTimeout as wait } from "node:timers/promises"
import pg from "pg"
import { more, openScene, settle } from "../help/database-scene.ts"
import { testKey } from "../help/waybill.ts"

test("a transaction that somebody leaves open costs no more than half of the pace", { timeout: 150_000 }, async t => {
  const scene = await openScene(t)
  await more(scene, 100)
  const pace = async (): Promise<number> => {
    const [before, from] = [await scene.acknowledged(), performance.now()]
    await wait(6_000)
    return ((await scene.acknowledged()) - before) / ((performance.now() - from) / 1_000)
  }
  const alone = await pace()
  const endless = new pg.Client({ connectionString: scene.cluster.databaseUrl })
  await endless.connect()
  await endless.query("begin isolation level repeatable read")
  await endless.query("select count(*) from delivery")
  const beside = await pace()
  await endless.end()
  t.diagnostic(`${alone.toFixed(0)} events/s alone, ${beside.toFixed(0)} beside an open transaction`)
  assert.ok(beside >= alone / 2, `${beside} beside ${alone}`)
  const headers = { authorization: `Bearer ${testKey}` }
  const told = await Promise.all(
    scene.cluster.nodes.map(async ({ url }) => (await fetch(`${url}/metrics`, { headers })).text()),
  )
  assert.match(told.join("\n"), /^waybill_claim_duration_seconds_count [1-9]/m)
  await settle(t, scene, [])
})
