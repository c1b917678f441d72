/** Sessions of people over several processes: what ends at one is over at all of them, and tries are counted together. */
import assert from "node:assert/strict"
import test, { type TestContext } from "node:test"
import { readConfig } from "../../../src/config.ts"
import { start } from "../../../src/main.ts"
import { Browser } from "../../help/browser.ts"
import { PASSWORD, tokenIn } from "../../help/people.ts"
import { dropDatabase, testDatabase } from "../../help/postgres.ts"
import { assertWithin } from "../../help/punctual.ts"
import { call, temporaryFolder, testKey } from "../../help/waybill.ts"

/** A browser at each of two processes over one database, both with the session of one owner. */
async function openTwo(t: TestContext): Promise<readonly [Browser, Browser]> {
  const databaseUrl = await testDatabase()
  const secretKey = Buffer.alloc(32, 7).toString("base64")
  const urls: string[] = []
  const stops: (() => Promise<void>)[] = []
  t.after(async () => {
    await Promise.all(stops.map(stop => stop()))
    await dropDatabase(databaseUrl)
  })
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
    const { url, stop, setupLink } = await start(reading.config)
    assert.equal(setupLink === undefined, i === 1, "one of them makes the link")
    urls.push(url)
    stops.push(stop)
  }
  const [here, there] = urls.map(url => new Browser({ url })) as [Browser, Browser]
  const link = (await call({ url: urls[0] ?? "", key: testKey }, "POST", "/v1/setup-link")) as { url: string }
  const who = { email: "ada@shop.example", name: "Ada", password: PASSWORD }
  await there.call("POST", "/v1/setup", { token: tokenIn(link.url), ...who })
  take(there, here)
  return [here, there]
}

/** Has a browser use the session of another. */
function take(from: Browser, to: Browser): void {
  for (const [name, value] of from.cookies) to.cookies.set(name, value)
  to.csrf = from.csrf
}

test("who signs out at one process is signed out at the other from that answer on", async t => {
  const [here, there] = await openTwo(t)
  for (let i = 0; i < 5; i++) {
    assert.equal((await here.ask("GET", "/v1/session")).status, 200)
    const cookie = `waybill=${here.cookies.get("waybill")}`
    assert.equal((await there.ask("DELETE", "/v1/session")).status, 204)
    assert.equal((await here.ask("GET", "/v1/session", undefined, { cookie })).status, 401)
    assert.equal((await here.signIn("ada@shop.example", PASSWORD)).status, 201)
    take(here, there)
  }
})

test("a stream that is open at one process ends within five seconds of signing out at the other", async t => {
  const [here, there] = await openTwo(t)
  const stream = await fetch(`${here.url}/v1/stream`, {
    headers: { cookie: `waybill=${here.cookies.get("waybill")}` },
  })
  assert.equal(stream.status, 200)
  const text = stream.text()
  const endedAt = performance.now()
  await there.call("DELETE", "/v1/sessions")
  assert.match(await text, /event: bye\ndata: .*unauthorized/)
  assertWithin(performance.now() - endedAt, 5_500)
})

test("a role that is taken away at one process is gone at the other", async t => {
  const [here, there] = await openTwo(t)
  const { url } = await here.call("POST", "/v1/invitations", { email: "bob@shop.example", role: "admin" })
  const bob = new Browser({ url: there.url })
  const accepted = { token: tokenIn(url), name: "Bob", password: PASSWORD }
  const { person } = await bob.call("POST", "/v1/invitations/accept", accepted)
  assert.equal((await bob.ask("GET", "/v1/people")).status, 200)
  await here.call("PATCH", `/v1/people/${person?.id}`, { role: "viewer" })
  assert.equal((await bob.ask("GET", "/v1/people")).status, 401)
  await bob.signIn("bob@shop.example", PASSWORD)
  assert.equal((await bob.ask("GET", "/v1/people")).status, 403)
})

test("guesses at both processes are counted together", async t => {
  const [here, there] = await openTwo(t)
  const statuses: number[] = []
  for (let i = 0; i < 12; i++) {
    statuses.push((await (i % 2 === 0 ? here : there).signIn("ada@shop.example", "not this one")).status)
  }
  assert.deepEqual(statuses, [...Array<number>(10).fill(401), 429, 429])
})
