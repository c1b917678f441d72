import assert from "node:assert/strict"
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import test, { type TestContext } from "node:test"
import type { EventDraft } from "../../src/domain/event.ts"
import { noPortal } from "../../src/domain/portal.ts"
import { Keeper } from "../../src/engine/keeper.ts"
import { Metrics } from "../../src/engine/metrics.ts"
import { openLog } from "../../src/log.ts"
import { saveProject } from "../../src/store/projects.ts"
import { type EmbeddedStore, openStore } from "../../src/store/store.ts"
import { fillWithExpired } from "../help/expired-million.ts"
import { ordinary } from "../help/filled-store.ts"
import { watchMachine } from "../help/idle-thread.ts"

const PROJECT = 1_000
const INTEGRATION = 2_000
const EXPIRED = 1_000_000
const EVENTS_PER_SECOND = 1_000
const MOST_MS = 250

test("a million expired events go while 1,000 events a second come in, and none of those waits for 250 ms", async t => {
  const dataDir = mkdtempSync(join(tmpdir(), "waybill-retention-"))
  t.after(() => rmSync(dataDir, { recursive: true, force: true }))
  const empty = await open(dataDir)
  await saveProject(empty.db, {
    id: PROJECT,
    name: "default",
    strictTypes: false,
    strictApps: false,
    payloadDays: 7,
    alertEmails: [],
    privateFields: [],
    maxRequestsPerMinute: null,
    portal: noPortal,
    createdAt: 0,
  })
  await empty.close()
  const from = Date.now() - 31 * 86_400_000 - EXPIRED
  const given = { project: PROJECT, integration: INTEGRATION, count: EXPIRED, from, payloadBytes: 512 }
  fillWithExpired(join(dataDir, "waybill.db"), given)

  const store = await open(dataDir)
  t.after(() => store.close())
  const stopWatching = watchMachine(dataDir)
  const log = openLog("silent")
  const keeper = new Keeper({ store, metrics: new Metrics("0", "0"), now: Date.now, log })
  const load = new Load(store)
  // What the machine takes without retention, for comparison.
  await load.until(3_000)
  const alone = load.figures()
  load.forget()
  const startedAt = performance.now()
  const [report] = await Promise.all([
    keeper.runOnce().finally(() => load.stop()),
    load.until(Number.POSITIVE_INFINITY),
  ])
  const seconds = (performance.now() - startedAt) / 1_000
  const figures = load.figures()
  const { turnMs, fsyncMs } = await stopWatching()

  tell(t, {
    "expired events gone a second": Math.round(EXPIRED / seconds),
    "seconds in all": Number(seconds.toFixed(1)),
    pieces: report.pieces,
    "longest piece, ms": round(report.longest_piece_ms),
    "accepted meanwhile": figures.count,
    "accept p50, ms": round(figures.p50),
    "accept p99, ms": round(figures.p99),
    "greatest accept, ms": round(figures.greatest),
    "greatest accept without retention, ms": round(alone.greatest),
    "an idle thread waited for its turn at most, ms": round(turnMs),
    "and for the disk at most, ms": round(fsyncMs),
  })
  const { event, delivery, attempt, payload, exchange, part, search_entry } = report.removed
  assert.deepEqual([event, delivery, attempt, payload, exchange, part], [...Array(5).fill(EXPIRED), EXPIRED / 100_000])
  assert.ok((search_entry ?? 0) >= EXPIRED - 50_000, "search segments are left")
  assert.deepEqual(report.failed_steps, [])
  const kept = store.sqlite.connection.prepare("select count(*) as n, min(received_at) as oldest from event").get()
  assert.equal(kept?.["n"], load.accepted)
  assert.ok(figures.count >= EVENTS_PER_SECOND * seconds * 0.98, `only ${figures.count} events in ${seconds} s`)
  // A machine that keeps even an idle thread waiting keeps events waiting too: a commit that ends in a checkpoint syncs
  // the log, the database, and the log again.
  const machineMs = turnMs + 3 * fsyncMs
  assert.ok(
    figures.greatest <= MOST_MS + machineMs,
    `an accept took ${round(figures.greatest)} ms, on a machine that keeps others waiting for ${round(machineMs)} ms`,
  )
})

/** Events at a fixed rate, whatever has been answered; an event's time counts from when it was due. */
class Load {
  readonly #store: EmbeddedStore
  #times: number[] = []
  #isStopped = false
  accepted = 0

  constructor(store: EmbeddedStore) {
    this.#store = store
  }

  async until(ms: number): Promise<void> {
    const startedAt = performance.now()
    const under: Promise<void>[] = []
    for (let sent = 0; !this.#isStopped && performance.now() - startedAt < ms; ) {
      const due = Math.floor(((performance.now() - startedAt) / 1_000) * EVENTS_PER_SECOND)
      for (; sent < due; sent++) under.push(this.#accept(startedAt + (sent * 1_000) / EVENTS_PER_SECOND))
      await new Promise(resolve => setTimeout(resolve, 1))
    }
    await Promise.all(under)
  }

  stop(): void {
    this.#isStopped = true
  }

  forget(): void {
    this.#times = []
  }

  figures() {
    const times = this.#times.toSorted((a, b) => a - b)
    const at = (share: number) => times[Math.floor((times.length - 1) * share)] ?? Number.NaN
    return { count: times.length, p50: at(0.5), p99: at(0.99), greatest: at(1) }
  }

  async #accept(dueAt: number): Promise<void> {
    const number = this.accepted++
    const [accepted] = await this.#store.ledger.accept([
      {
        project: PROJECT,
        key: null,
        draft: { ...draft, externalId: `new-${number}`, profileId: `p${(number * 7_919) % 50_000}` },
        fingerprint: "f",
        idempotencyKey: null,
        appId: null,
        receivedAt: Date.now(),
        test: false,
        payloadDays: 7,
        targets: [{ integration: INTEGRATION, claim: null, ordered: false }],
        withheld: {},
        red: 0,
      },
    ])
    assert.equal(accepted?.kind, "new")
    this.#times.push(performance.now() - dueAt)
  }
}

const draft: EventDraft = {
  ...ordinary,
  type: "subscription_renewed",
  payload: { kind: "json", text: JSON.stringify({ note: "n".repeat(1_000) }) },
}

async function open(dataDir: string): Promise<EmbeddedStore> {
  return openStore({ dataDir, sealingKeys: undefined, now: Date.now })
}

function tell(t: TestContext, figures: Readonly<Record<string, number>>): void {
  for (const [what, figure] of Object.entries(figures)) t.diagnostic(`${what}: ${figure}`)
}

function round(ms: number): number {
  return Math.round(ms * 10) / 10
}
