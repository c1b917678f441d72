/**
 * A kill does not show whether a commit was on the disk: what a process wrote outlives it in the system's memory
 * (standards.md, 5.4). So the calls that bring it there are counted: before each 202 there has to be an fsync. That takes
 * `strace`; where it is not there or not allowed, what is held is that SQLite was told to, and the output says so.
 */
import assert from "node:assert/strict"
import { spawnSync } from "node:child_process"
import { readFileSync } from "node:fs"
import test from "node:test"
import { request } from "undici"
import { openStore } from "../../src/store/store.ts"
import { call, type Reachable, startWaybill, temporaryFolder } from "../help/waybill.ts"

const ONE_BY_ONE = 100
const AT_ONCE = 400

test("every connection that writes is told to bring commits to the disk, at the first open and at every later one", async t => {
  const dataDir = temporaryFolder(t)
  for (const open of ["first", "second", "third"]) {
    const store = openStore({ dataDir, sealingKeys: undefined, now: Date.now })
    const value = (pragma: string) => Object.values(store.sqlite.connection.prepare(`pragma ${pragma}`).get() ?? {})[0]
    assert.deepEqual([value("journal_mode"), value("synchronous")], ["wal", 2], `the ${open} open`)
    await store.close()
  }
})

test("no event is answered before an fsync that came after its request, alone or among many", {
  timeout: 60_000,
}, async t => {
  const folder = temporaryFolder(t)
  const trace = `${folder}/trace`
  if (!mayTrace(`${folder}/try`)) {
    t.diagnostic("strace is not there or not allowed: fsyncs are NOT counted here, see the test before this one")
    return
  }
  const calls = "trace=fsync,fdatasync,read,write,writev"
  // With -D the tracer is a process apart, so that the one started here is Waybill itself.
  const through = ["strace", "-D", "-f", "-qq", "-s", "16", "-e", calls, "-o", trace]
  const waybill = await startWaybill(t, { dataDir: `${folder}/data`, through })
  const post = (i: number) => call(waybill, "POST", "/v1/events", { type: "order.paid", data: i })
  for (let i = 0; i < ONE_BY_ONE; i++) await post(i)
  const alone = await countCommits(waybill)
  await Promise.all(Array.from({ length: AT_ONCE }, (_, i) => post(i)))
  const together = (await countCommits(waybill)) - alone
  waybill.kill("SIGTERM")
  await waybill.stopped

  const { syncs, answers, unsynced } = readTrace(readFileSync(trace, "latin1"))
  t.diagnostic(
    `${ONE_BY_ONE} events one by one: ${alone} commits; ${AT_ONCE} at once: ${together}; ${syncs} fsyncs in all`,
  )
  assert.equal(answers, ONE_BY_ONE + AT_ONCE)
  assert.deepEqual(unsynced, [], "answers with no fsync since their request")
  assert.ok(syncs >= ONE_BY_ONE, "an fsync for each event that comes alone")
  assert.ok(together < AT_ONCE, "events that come together share commits")
})

/** Whether strace is installed and may look at a process here. */
function mayTrace(output: string): boolean {
  return spawnSync("strace", ["-D", "-f", "-o", output, process.execPath, "--version"]).status === 0
}

async function countCommits(at: Reachable): Promise<number> {
  const response = await request(`${at.url}/metrics`, { headers: { authorization: `Bearer ${at.key}` }, reset: true })
  const [, count] = /^waybill_commit_batch_size_count (\d+)$/m.exec(await response.body.text()) ?? []
  assert.ok(count, "the metrics tell how many commits there were")
  return Number(count)
}

/** How often an fsync returned, how many answers with 202 there were, and which of them had none since their request. */
function readTrace(text: string): { syncs: number; answers: number; unsynced: readonly number[] } {
  let syncs = 0
  let answers = 0
  const unsynced: number[] = []
  /** By descriptor: how many fsyncs there had been when its last request was read. */
  const syncsAtRequest = new Map<string, number>()
  /** By thread: the descriptor of a read that another thread's call came in between of. */
  const reading = new Map<string, string>()
  for (const line of text.split("\n")) {
    const [, thread = "", name, descriptor = ""] = /^(\d+) +(?:<\.\.\. )?(\w+)(?:\((\d+))?/.exec(line) ?? []
    if (name === "read" && descriptor !== "") reading.set(thread, descriptor)
    if (name === "read" && line.includes('"POST /v1/events')) syncsAtRequest.set(reading.get(thread) ?? "", syncs)
    if ((name === "fsync" || name === "fdatasync") && / = 0$/.test(line)) syncs++
    if ((name === "write" || name === "writev") && line.includes('"HTTP/1.1 202')) {
      answers++
      if (syncs <= (syncsAtRequest.get(descriptor) ?? Number.POSITIVE_INFINITY)) unsynced.push(answers)
    }
  }
  return { syncs, answers, unsynced }
}
