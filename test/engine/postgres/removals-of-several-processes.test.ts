/** The removal of a project over several processes: what one of them closes is closed at all of them. */
import assert from "node:assert/strict"
import test from "node:test"
import { readConfig } from "../../../src/config.ts"
import { type Running, start } from "../../../src/main.ts"
import { Endpoint } from "../../help/endpoint.ts"
import { dropDatabase, testDatabase, withClient } from "../../help/postgres.ts"
import { until } from "../../help/system-ledger.ts"
import { call, type Reachable, temporaryFolder, testKey } from "../../help/waybill.ts"

test("a project that is removed at one process takes nothing in at another, and leaves nothing behind", async t => {
  const databaseUrl = await testDatabase()
  const running: Running[] = []
  t.after(async () => {
    await Promise.all(running.map(({ stop }) => stop()))
    await dropDatabase(databaseUrl)
  })
  const secretKey = Buffer.alloc(32, 7).toString("base64")
  for (let i = 0; i < 2; i++) {
    const flags = {
      dataDir: temporaryFolder(t),
      port: "0",
      apiKey: testKey,
      logLevel: "silent",
      databaseUrl,
      secretKey,
    }
    const reading = readConfig({ ...flags, allowUnsafeDatabase: "yes" }, {})
    if ("faults" in reading) throw new Error(reading.faults.join("\n"))
    running.push(await start(reading.config))
  }
  await using endpoint = await Endpoint.open()
  const at = (process: number, key = testKey): Reachable => ({ url: running[process]?.url ?? "", key })
  const { id, key } = (await call(at(0), "POST", "/v1/projects", { name: "going" })) as { id: string; key: string }
  const config = { production: { url: endpoint.url() }, verification: "none" }
  await call(at(0, key), "POST", "/v1/integrations", { name: "one", config })
  let isClosed = false
  let accepted = 0
  const senders = [0, 1].map(async process => {
    for (;;) {
      const wasClosed = isClosed
      try {
        await call(at(process, key), "POST", "/v1/events", {
          type: "a",
          app: `app-${accepted % 50}`,
          data: { accepted },
        })
        // What was asked for after the answer finds the door shut, at whichever process.
        assert.equal(wasClosed, false, `process ${process} took an event of a project that had been removed`)
        accepted++
      } catch (error) {
        assert.match(String(error), /answered with 401/)
        return
      }
    }
  })
  await until("some have come in", 20_000, () => accepted > 100)
  const begun = (await call(at(0, key), "DELETE", `/v1/projects/${id}`, { name: "going" })) as { token: string }
  // A revocation holds at all processes within this time.
  setTimeout(() => {
    isClosed = true
  }, 5_000).unref()
  await Promise.all(senders)
  await until("all of it has gone", 60_000, async () => {
    const { state } = (await call(at(1), "GET", `/v1/removals/${begun.token}`)) as { state: string }
    return state === "done"
  })
  await withClient(databaseUrl, async client => {
    const tables = [
      "event",
      "delivery",
      "attempt",
      "payload",
      "app",
      "integration",
      "api_key",
      "ingest_tally",
      "search_entry",
    ]
    for (const table of tables) {
      const { rows } = await client.query(
        `select 1 from ${table} where project_id not in (select id from project) limit 1`,
      )
      assert.deepEqual(rows, [], table)
    }
    const { rows } = await client.query(
      "select 1 from exchange x where not exists (select 1 from attempt a where a.id = x.attempt_id)",
    )
    assert.deepEqual(rows, [], "exchange")
  })
})
