/** What a start wants of a PostgreSQL server, and what it says where there is none. */
import assert from "node:assert/strict"
import { mkdtempSync, rmSync } from "node:fs"
import { createServer } from "node:net"
import { tmpdir } from "node:os"
import { join } from "node:path"
import test, { after } from "node:test"
import { type ServerFacts, serverFaults } from "../../../src/store/postgres-check.ts"
import { openPostgres } from "../../../src/store/postgres-store.ts"
import { StoreFault } from "../../../src/store/store-fault.ts"
import { startPostgres, withClient } from "../../help/postgres.ts"

const dataDir = mkdtempSync(join(tmpdir(), "waybill-check-"))
after(() => rmSync(dataDir, { recursive: true, force: true }))

const sound: ServerFacts = {
  place: "the database hub at db:5432",
  role: "waybill",
  version_number: 150_000,
  version: "15.0",
  encoding: "UTF8",
  fsync: "on",
  full_page_writes: "on",
  synchronous_commit: "on",
  is_standby: 0,
  read_only: "off",
  schema: "public",
  may_create: 1,
  other_owner: null,
}

test("a server that will do has no faults, and each that will not is told what to do", () => {
  assert.deepEqual(serverFaults(sound, false), [])
  assert.deepEqual(serverFaults({ ...sound, synchronous_commit: "remote_apply" }, false), [])
  const wrong: readonly (readonly [Partial<ServerFacts>, RegExp])[] = [
    [{ version_number: 140_011, version: "14.11" }, /PostgreSQL 14\.11, .* is too old: Waybill needs 15 or later/],
    [{ encoding: "LATIN1" }, /encoding LATIN1 .*encoding 'UTF8' template template0/],
    [{ fsync: "off" }, /fsync is off .*202.*WAYBILL_ALLOW_UNSAFE_DATABASE=yes/],
    [{ full_page_writes: "off" }, /full_page_writes is off .*WAYBILL_ALLOW_UNSAFE_DATABASE=yes/],
    [{ synchronous_commit: "off" }, /`alter role waybill set synchronous_commit = on`/],
    [{ synchronous_commit: "local" }, /`alter role waybill set synchronous_commit = on`/],
    [{ is_standby: 1 }, /names a standby.*name the primary/],
    [{ read_only: "on" }, /default_transaction_read_only = off/],
    [{ schema: null }, /`create schema authorization waybill`/],
    [{ may_create: 0 }, /may not make tables in the schema public.*`grant create on schema public to waybill`/],
    [{ other_owner: "admin" }, /belong to admin.*`grant admin to waybill`/],
  ]
  for (const [facts, message] of wrong) {
    const faults = serverFaults({ ...sound, ...facts }, false)
    assert.equal(faults.length, 1, JSON.stringify(facts))
    assert.match(faults[0]?.message ?? "", message)
  }
  const unsafe = { ...sound, fsync: "off", full_page_writes: "off" }
  assert.deepEqual(serverFaults(unsafe, true), [])
  assert.equal(
    serverFaults({ ...unsafe, synchronous_commit: "off" }, true).length,
    1,
    "that is no matter of the server",
  )
})

test("a start says of a real server what is wrong with it, and never the password", async t => {
  const server = await startPostgres({ quick: false, settings: ["synchronous_commit=off"] })
  t.after(() => server.stop())
  const database = await server.database()
  await withClient(database, client =>
    client.query(`
      create role hub login password 'geheim';
      create role guest login password 'geheim';
      revoke all on schema public from public;
      create schema hub authorization hub;
      alter role hub set synchronous_commit = on`),
  )
  const as = (user: string) => database.replace("postgres@", `${user}:geheim@`)
  const port = Number(new URL(database).port)

  await refused(database, /`alter role postgres set synchronous_commit = on`/)
  await refused(as("guest"), /`create schema authorization guest`|may not make tables in the schema/)
  await refused(as("nobody"), /does not let nobody in \(role "nobody" does not exist\)/)
  await refused(
    database.replace(/[^/]*$/, "absent"),
    /There is no database absent .*create database absent owner postgres/,
  )
  await refused(database.replace(`:${port}`, ":1"), /Nothing listens at 127\.0\.0\.1:1/)
  await refused(database.replace("127.0.0.1", "nowhere.invalid"), /The host nowhere\.invalid is not found/)
  await refused(`${database}?sslmode=require`, /does not speak TLS/)
  const silent = createServer(socket => socket.destroy()).listen(0, "127.0.0.1")
  t.after(() => silent.close())
  await new Promise(resolve => silent.once("listening", resolve))
  const address = silent.address()
  const other = typeof address === "object" ? address?.port : 0
  await refused(database.replace(`:${port}`, `:${other}`), /hung up|cannot be reached/)

  const store = await openPostgres(optionsFor(as("hub")))
  await store.close()
  await withClient(database, client =>
    client.query(
      "grant usage, create on schema hub to guest; alter role guest set search_path = hub; alter role guest set synchronous_commit = on",
    ),
  )
  await refused(as("guest"), /The tables belong to hub.*`grant hub to guest`/)
})

test("a server with fsync off is taken only by those who say so", async t => {
  const server = await startPostgres()
  t.after(() => server.stop())
  const url = await server.database()
  await refused(url, /fsync is off.*\n.*full_page_writes is off/)
  await (await openPostgres({ ...optionsFor(url), allowUnsafe: true })).close()
})

async function refused(url: string, message: RegExp): Promise<void> {
  await assert.rejects(openPostgres(optionsFor(url)), (error: unknown) => {
    assert.ok(error instanceof StoreFault, String(error))
    assert.match(error.message, message)
    assert.doesNotMatch(error.message, /geheim/)
    return true
  })
}

function optionsFor(url: string) {
  return { url, name: "test", dataDir, sealingKeys: undefined, now: Date.now }
}
