/** Faults of the process and of the machine that it runs on. */
import assert from "node:assert/strict"
import { mkdirSync, readFileSync } from "node:fs"
import { DatabaseSync } from "node:sqlite"
import { setTimeout as wait } from "node:timers/promises"
import { currentVersion, migrations, versionOf } from "../../src/store/migrate.ts"
import { Endpoint } from "../help/endpoint.ts"
import { FilledStore } from "../help/filled-store.ts"
import { Program } from "../help/program.ts"
import { queryDatabase, until } from "../help/system-ledger.ts"
import { startWaybill, temporaryFolder, type Waybill } from "../help/waybill.ts"
import { type Row, Stage } from "./stage.ts"

const DAY_MS = 86_400_000
const quick = { max_concurrent: 50, retry_delays_ms: Array<number>(20).fill(200) }

/** Kills Waybill at random moments of its start, so many times, then lets it start. */
async function killWhileStarting(
  start: () => Promise<Waybill>,
  { kills, longestMs, random }: { readonly kills: number; readonly longestMs: number; readonly random: () => number },
  pidOf: () => number | undefined,
): Promise<Waybill> {
  for (let i = 0; i < kills; i++) {
    const started = start().catch(() => undefined)
    await wait(20 + random() * longestMs)
    const pid = pidOf()
    const waybill = await Promise.race([started, wait(0).then(() => undefined)])
    if (waybill !== undefined) waybill.kill("SIGKILL")
    else if (pid !== undefined) process.kill(pid, "SIGKILL")
    await (await started)?.stopped
  }
  return start()
}

export const processRows: readonly Row[] = [
  {
    id: "F-05",
    what: "kill -9 during a migration, a start and retention: the next start succeeds, nothing goes early",
    run: async (t, { random }) => {
      const dataDir = `${temporaryFolder(t)}/data`
      mkdirSync(dataDir)
      const rows = oldDatabase(`${dataDir}/waybill.db`)
      let pid: number | undefined
      const start = () => startWaybill(t, { dataDir, spawned: child => (pid = child) })
      const kill = { kills: 20, longestMs: 900, random }
      const waybill = await killWhileStarting(start, kill, () => pid)
      const file = new DatabaseSync(`${dataDir}/waybill.db`, { readOnly: true })
      assert.equal(versionOf(file), currentVersion)
      assert.equal(file.prepare("pragma integrity_check").get()?.["integrity_check"], "ok")
      assert.equal(Number(file.prepare("select count(*) as n from event").get()?.["n"]), rows)
      file.close()
      waybill.kill("SIGTERM")
      await waybill.stopped

      const aged = `${temporaryFolder(t)}/data`
      mkdirSync(aged)
      const kept = await agedStore(aged)
      const again = () => startWaybill(t, { dataDir: aged, spawned: child => (pid = child) })
      const last = await killWhileStarting(again, { ...kill, longestMs: 1_500 }, () => pid)
      const events = () => queryDatabase<{ id: number }>(aged, "select id from event").map(({ id }) => id)
      await until("only what is young is left", 120_000, () => events().length === kept.length)
      assert.deepEqual(events(), kept)
      last.kill("SIGTERM")
      await last.stopped
      return null
    },
  },
  {
    id: "F-07",
    what: "SIGSTOP for 40 s under load, then SIGCONT: no late result overwrites anything, nothing is repeated",
    run: async (t, { seed }) => {
      const stage = await Stage.open(t, {
        seed,
        places: { quick: { policy: quick }, slow: { manner: { delayMs: [200, 900] }, policy: quick } },
      })
      const producer = await stage.produce({ perSecond: 150 })
      await wait(4_000)
      stage.waybill.kill("SIGSTOP")
      await wait(40_000)
      stage.waybill.kill("SIGCONT")
      await producer.acknowledged((await producer.progress()).acknowledged + 500)
      const account = await stage.settle()
      assert.equal(account.delivered, account.accepted)
      assert.equal(account.duplicates, 0, "answers that came while it stood still were read, not given up")
      return account
    },
  },
  {
    id: "F-08",
    what: "a heap that is too small for the load: it sheds or dies, and what was answered is there",
    run: async (t, { seed }) => {
      const env = { NODE_OPTIONS: "--max-old-space-size=72" }
      const stage = await Stage.open(t, { seed, env, places: { quick: { policy: quick } } })
      const producer = await stage.produce({ concurrency: 128, padBytes: 200_000, givesUp: 0.1 })
      const until = Date.now() + 20_000
      while (Date.now() < until) {
        const died = await Promise.race([stage.waybill.stopped.then(() => true), wait(500).then(() => false)])
        if (!died) continue
        stage.kills.push(Date.now())
        await stage.start()
      }
      t.diagnostic(`it died ${stage.kills.length} times; ${(await producer.progress()).failed} requests were refused`)
      await stage.kill()
      await stage.start({})
      const account = await stage.settle()
      assert.equal(account.delivered, account.accepted)
      return account
    },
  },
  {
    id: "F-09",
    what: "the event loop stands still for 10 s: /livez says so, nothing is claimed twice, then all goes on",
    run: async (t, { seed }) => {
      const env = { NODE_OPTIONS: "--inspect=127.0.0.1:0" }
      const stage = await Stage.open(t, { seed, env, places: { quick: { policy: quick } } })
      const producer = await stage.produce({ perSecond: 100 })
      await wait(2_000)
      const [address = ""] = /ws:\/\/\S+/.exec(stage.waybill.output()) ?? []
      const socket = new WebSocket(address)
      await new Promise(resolve => socket.addEventListener("open", resolve))
      const expression = "{ const end = Date.now() + 10_000; while (Date.now() < end); }"
      socket.send(JSON.stringify({ id: 1, method: "Runtime.evaluate", params: { expression } }))
      await wait(1_000)
      const early = await fetch(`${stage.waybill.url}/livez`, { signal: AbortSignal.timeout(2_000) }).catch(() => null)
      assert.equal(early, null, "no answer is an answer to whoever watches it")
      await wait(9_500)
      const states = new Set<number>()
      await until("it lives again", 30_000, async () => {
        const { status } = await fetch(`${stage.waybill.url}/livez`)
        states.add(status)
        return status === 200
      })
      socket.close()
      t.diagnostic(`/livez afterwards: ${[...states].join(", ")}`)
      await producer.acknowledged((await producer.progress()).acknowledged + 300)
      const account = await stage.settle()
      assert.equal(account.delivered, account.accepted)
      assert.equal(account.duplicates, 0)
      return account
    },
  },
  {
    id: "F-12",
    what: "the disk of logs and temporary files is full: the service goes on",
    run: async (t, { seed }) => {
      const folder = temporaryFolder(t)
      const script = `mount -t tmpfs -o size=64k none "$0" && head -c 65536 /dev/zero > "$0/full"; TMPDIR="$0" exec "$@" 2> /dev/full`
      const asRoot = process.getuid?.() === 0 ? [] : ["--map-root-user"]
      const through = ["unshare", ...asRoot, "--mount", "sh", "-c", script, folder]
      const env = { WAYBILL_LOG_LEVEL: "debug" }
      const stage = await Stage.open(t, {
        seed,
        through,
        env,
        places: { quick: { policy: quick, manner: { failing: { share: 0.2, status: 500 } } } },
      })
      const producer = await stage.produce({ perSecond: 200 })
      await producer.acknowledged(1_500)
      const account = await stage.settle()
      assert.equal(account.delivered, account.accepted)
      return account
    },
  },
  {
    id: "F-23",
    what: "a leap day, both changes of summer time, new year, 2038: retries come at their time",
    run: async () => {
      const edges = [
        "2028-02-29T00:00:00Z",
        "2027-03-28T01:00:00Z",
        "2027-10-31T01:00:00Z",
        "2027-01-01T00:00:00Z",
        "2038-01-19T03:14:08Z",
        "2038-12-31T23:59:59Z",
      ]
      for (const edge of edges) {
        await using program = await Program.open({ at: Date.parse(edge) - 10_000 })
        await using there = await Endpoint.open({ status: 500 }, { status: 500 }, {})
        await program.integrate(there.url(), { policy: { preset: "device", protection: { enabled: false } } })
        await program.send({ type: "a" })
        await program.recorded(1)
        program.turn(29_999)
        assert.equal(there.requests.length, 1, edge)
        program.turn(1)
        await program.recorded(2)
        program.turn(60_000)
        await program.recorded(3)
        assert.deepEqual(
          (await program.deliveries()).map(({ status }) => status),
          ["delivered"],
          edge,
        )
      }
      return null
    },
  },
  {
    id: "F-51",
    what: "no file handles left: the sender's fault, charged to nobody, and it passes",
    run: async (t, { seed }) => {
      const through = ["prlimit", "--nofile=128"]
      const policy = { max_concurrent: 400, retry_delays_ms: [], protection: { enabled: false } }
      const stage = await Stage.open(t, {
        seed,
        through,
        places: { slow: { manner: { delayMs: [500, 1_500] }, policy } },
      })
      const producer = await stage.produce({ concurrency: 16, perSecond: 200 })
      await producer.acknowledged(1_500)
      const account = await stage.settle()
      const [row] = queryDatabase<{ faults: number; charged: number }>(
        stage.dataDir,
        `select (select count(*) from attempt where outcome = 'sender_fault') as faults,
           (select count(*) from delivery where charged > 1) as charged`,
      )
      t.diagnostic(`${row?.faults} attempts failed for want of a handle`)
      assert.ok((row?.faults ?? 0) > 0, "handles did run out")
      assert.deepEqual([account.delivered, row?.charged], [account.accepted, 0], "without a single retry to use up")
      return account
    },
  },
]

/** A database of the first schema with a good many rows, as an early version left it; gives the number of events. */
function oldDatabase(path: string): number {
  const rows = 150_000
  const file = new DatabaseSync(path)
  const first = migrations[0]?.name ?? ""
  file.exec("pragma journal_mode = wal; pragma synchronous = off")
  file.exec(readFileSync(new URL(`../../src/store/migrations/${first}`, import.meta.url), "utf8"))
  const now = Date.now()
  const base = (now - Date.UTC(2024, 0, 1)) * 4_096
  file.exec(`
    pragma user_version = 1;
    begin;
    insert into project (id, name, created_at) values (1, 'default', ${now});
    with recursive n (i) as (select 1 union all select i + 1 from n where i < ${rows})
    insert into event (project_id, id, type, source, environment, occurred_at, received_at, payload_part, payload_bytes,
      payload_expires_at, targets, n_failed)
    select 1, ${base} + i, 'order.paid', 'api', 'production', ${now}, ${now}, 0, 0, ${now + 7 * DAY_MS}, '[7]', 1 from n;
    insert into delivery (integration_id, event_id, project_id, status, reason, created_at, updated_at)
    select 7, id, 1, 'failed', 'server_error', ${now}, ${now} from event;
    commit`)
  file.close()
  return rows
}

/** A store with events that are due to go and some that are not; gives the ids of those. */
async function agedStore(dataDir: string): Promise<number[]> {
  const filled = new FilledStore({ dataDir, url: undefined })
  await filled.open()
  filled.now = Date.now() - 40 * DAY_MS
  const many = (count: number) =>
    Promise.all(Array.from({ length: count }, () => filled.accept({ targets: [filled.integrations[0]] })))
  for (let i = 0; i < 10; i++) await many(1_000)
  filled.now = Date.now() - DAY_MS
  const kept = await many(500)
  await filled.close()
  return kept.map(({ id }) => id).sort((a, b) => a - b)
}
