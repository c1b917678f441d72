/**
 * Two processes share a PostgreSQL whose machine is lost, so that its standby takes over (F-17), which is made read-only, or
 * whose disk is full. Meanwhile producers are told to come again, `/readyz` says what is wrong and how to mend it, and
 * everything goes on by itself.
 */
import assert from "node:assert/strict"
import test from "node:test"
import { more, notReady, openScene, ready, refused, settle, unready } from "../help/database-scene.ts"
import { startFillableServer } from "../help/fillable-server.ts"
import { startAddress } from "../help/moving-address.ts"
import { startPostgres, withClient } from "../help/postgres.ts"
import { startStandby } from "../help/standby.ts"

test("nothing is lost when a standby takes over, which has all that was confirmed, nor when the old primary comes back", {
  timeout: 240_000,
}, async t => {
  const primary = await startPostgres({ quick: false })
  const standby = await startStandby(primary)
  t.after(() => standby.stop())
  const address = await startAddress(t, primary.url)
  const database = async () => address.through(await primary.database())
  const scene = await openScene(t, { server: { ...primary, database } })
  await more(scene, 100)
  await standby.kill()
  for (const { url } of scene.cluster.nodes) await unready(url, /does not answer\. See whether PostgreSQL runs/)
  const before = await scene.acknowledged()
  await notReady(scene)
  assert.equal(await scene.acknowledged(), before)
  await standby.restart()
  await more(scene, 100)
  await ready(scene)

  const killedAt = Date.now()
  await primary.kill()
  await refused(scene, /breaks connections off.* Waybill goes on by itself/)
  address.moveTo(standby.url)
  await refused(scene, /is a standby.* Promote it, or have DATABASE_URL lead to the primary/)
  await standby.promote()
  await more(scene, 300)
  await ready(scene)

  await primary.restart()
  await withClient(primary.url, async client => {
    // Else it would wait for its standby with each commit, and confirm nothing anyway.
    await client.query("alter system reset synchronous_standby_names")
    await client.query("select pg_reload_conf()")
  })
  const movedAt = Date.now()
  address.moveTo(primary.url)
  await refused(scene, /is an old primary, from before a failover\. Have DATABASE_URL lead to the one that took over/)
  const movedBackAt = Date.now()
  address.moveTo(standby.url)
  await more(scene, 100)
  await ready(scene)
  await settle(t, scene, [killedAt, movedAt, movedBackAt])
})

test("a server that was made read-only is waited for", { timeout: 150_000 }, async t => {
  const scene = await openScene(t)
  await more(scene, 100)
  const set = (value: string) =>
    withClient(scene.server.url, async client => {
      await client.query(`alter system set default_transaction_read_only = ${value}`)
      await client.query("select pg_reload_conf()")
    })
  await set("on")
  await refused(scene, /sessions are read-only. Set default_transaction_read_only to off/)
  await set("off")
  await more(scene, 300)
  await ready(scene)
  await settle(t, scene, [])
})

test("a server whose disk is full takes events again when it has room", { timeout: 150_000 }, async t => {
  const server = await startFillableServer(t)
  t.diagnostic(`the disk is ${server.kind}`)
  const scene = await openScene(t, { server, padBytes: 1_500 })
  await more(scene, 100)
  await ready(scene)
  server.fill()
  await refused(scene, /its disk is full. Make room there/)
  // A single row finds a place now and then, when events do not.
  for (let i = 0; i < 20; i++) await notReady(scene)
  server.free()
  await more(scene, 300)
  await ready(scene)
  await settle(t, scene, [])
})
