/**
 * Two processes share a PostgreSQL that restarts again and again (F-16), stops answering without a word (F-18) or has no
 * connections left (F-19). Producers are told to come again, and in the end every event that was answered with 202 is
 * found, and delivered.
 */
import assert from "node:assert/strict"
import test from "node:test"
import { setTimeout as wait } from "node:timers/promises"
import pg from "pg"
import { more, openScene, settle } from "../help/database-scene.ts"
import { processesOf, signal } from "../help/postgres.ts"

test("a database that is killed and started again loses nothing that was answered with 202", {
  timeout: 150_000,
}, async t => {
  const scene = await openScene(t)
  const crashes: number[] = []
  for (let i = 0; i < 4; i++) {
    await wait(1_500)
    crashes.push(Date.now())
    await scene.server.restart()
    await more(scene, 50)
  }
  await settle(t, scene, crashes)
})

test("connections that go nowhere are given up, and all goes on when they go somewhere again", {
  timeout: 150_000,
}, async t => {
  const scene = await openScene(t)
  await more(scene, 200)
  const processes = processesOf(scene.server.pid)
  const stoppedAt = Date.now()
  signal(processes, "SIGSTOP")
  await wait(10_000)
  for (const { url } of scene.cluster.nodes) {
    const answer = await fetch(`${url}/readyz`)
    const body = (await answer.json()) as { checks: { database: { ok: boolean; detail: string | null } } }
    assert.equal(answer.status, 503)
    assert.equal(body.checks.database.ok, false)
    assert.ok(body.checks.database.detail !== null)
  }
  signal(processes, "SIGCONT")
  await more(scene, 200)
  await settle(t, scene, [stoppedAt])
})

test("a server without connections to spare makes producers wait, not lose", { timeout: 150_000 }, async t => {
  const scene = await openScene(t, { settings: ["max_connections=28", "superuser_reserved_connections=0"] })
  await more(scene, 300)
  // Somebody else takes what is left.
  const others = await takeConnections(scene.cluster.databaseUrl)
  await wait(6_000)
  for (const other of others) await other.end().catch(() => undefined)
  await more(scene, 300)
  await settle(t, scene, [])
})

async function takeConnections(url: string): Promise<readonly pg.Client[]> {
  const taken: pg.Client[] = []
  for (;;) {
    const client = new pg.Client({ connectionString: url, connectionTimeoutMillis: 2_000 })
    client.on("error", () => undefined)
    try {
      await client.connect()
    } catch {
      return taken
    }
    taken.push(client)
  }
}
