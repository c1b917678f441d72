/** Faults of load: outages that end for everybody at once, more than there is room for, recoveries beside live traffic. */
import assert from "node:assert/strict"
import { setTimeout as wait } from "node:timers/promises"
import { formatId } from "../../src/domain/id.ts"
import { silent, receiver as startMisbehaving } from "../help/misbehaving.ts"
import { queryDatabase, until } from "../help/system-ledger.ts"
import { call, createWebhook } from "../help/waybill.ts"
import { answerMs, arrivalMs, type Place, type Row, Stage } from "./stage.ts"

/** What a scheduler's hiccup may add to any bound, on a machine that has other things to do. */
const ALLOWANCE_MS = 100
const protection = { rest_ms: 500, longest_rest_ms: 2_000 }
const down = { failing: { share: 1, status: 503 } }
const patient = { protection, retry_delays_ms: Array<number>(50).fill(2_000) }

export const loadRows: readonly Row[] = [
  {
    id: "F-35",
    what: "1,000 destinations of which 1 % are dead: the others' latency stays",
    run: async (t, { seed }) => {
      const destinations = 1_000
      const dead = destinations / 100
      const stage = await Stage.open(t, {
        seed,
        places: { healthy: { policy: { max_concurrent: 20 }, events: only("t-0") } },
      })
      const deaf = await startMisbehaving(silent)
      t.after(() => deaf.close())
      const policy = { timeout_ms: 2_000, retry_delays_ms: [], protection: { enabled: false } }
      for (let i = 1; i < destinations; i++) {
        const url = i <= dead ? deaf.url : `${new URL(deaf.url).origin}/none`
        await createWebhook(stage.waybill, {
          name: `d-${i}`,
          url,
          secret: stage.secret,
          policy,
          events: only(`t-${i}`),
        })
      }
      const healthy = await stage.produce({ types: ["t-0"], perSecond: 60 })
      await wait(10_000)
      const from = Date.now()
      const toDead = Array.from({ length: dead }, (_, i) => `t-${i + 1}`)
      await stage.produce({ types: toDead, perSecond: 60 })
      await wait(15_000)
      await healthy.stop()
      const receipts = stage.receipts("healthy")
      const [calm, beside] = [arrivalMs(receipts, 0.99, 0, from), arrivalMs(receipts, 0.99, from)]
      t.diagnostic(`p99 ${calm} ms without, ${beside} ms beside ${dead} dead of ${destinations}`)
      for (let i = 1; i <= dead; i++) await disableNamed(stage, `d-${i}`)
      const account = await stage.settle()
      assert.ok(beside <= 2 * calm + ALLOWANCE_MS, `${beside} ms is too far from ${calm} ms`)
      return account
    },
  },
  {
    id: "F-37",
    what: "an endpoint down with a backlog, then up: never more than its rate, others unaffected, all drained",
    run: async (t, { seed }) => {
      const perSecond = 200
      const places: Record<string, Place> = {
        down: { manner: down, policy: { ...patient, max_per_second: perSecond, max_concurrent: 50 } },
        beside: { policy: { max_concurrent: 50 } },
      }
      const stage = await Stage.open(t, { seed, places })
      const producer = await stage.produce({ perSecond: 150 })
      await wait(30_000)
      const upAt = Date.now()
      await stage.behave("down", {})
      await wait(30_000)
      await producer.stop()
      const account = await stage.settle()
      assert.equal(account.delivered, account.accepted)
      const busiest = busiestSecond(
        stage
          .receipts("down")
          .map(({ at }) => at)
          .filter(at => at >= upAt),
      )
      const beside = stage.receipts("beside")
      const [before, after] = [arrivalMs(beside, 0.99, 0, upAt), arrivalMs(beside, 0.99, upAt, upAt + 30_000)]
      t.diagnostic(`${busiest} requests in the busiest second after it was up; others p99 ${before} → ${after} ms`)
      // 5 % over a minute, and the burst of a tenth of a second.
      assert.ok(busiest <= perSecond * 1.2, `${busiest} requests in a second`)
      assert.ok(after <= 2 * before + ALLOWANCE_MS, `${after} ms is too far from ${before} ms`)
      return account
    },
  },
  {
    id: "F-38",
    what: "all endpoints down, then all up at once: ingest goes on as before, all drained",
    run: async (t, { seed }) => {
      const names = Array.from({ length: 8 }, (_, i) => `d${i}`)
      const place = { manner: down, policy: { ...patient, max_concurrent: 50 } }
      const stage = await Stage.open(t, { seed, places: Object.fromEntries(names.map(name => [name, place])) })
      const first = await stage.produce({ perSecond: 60 })
      await wait(20_000)
      await first.stop()
      const second = await stage.produce({ perSecond: 60 })
      await Promise.all(names.map(name => stage.behave(name, {})))
      await wait(15_000)
      await second.stop()
      const [before, after] = [answerMs(first.entries(), "ok", 0.99), answerMs(second.entries(), "ok", 0.99)]
      t.diagnostic(`ingest p99 ${before} ms while all were down, ${after} ms while all came back`)
      const account = await stage.settle()
      assert.equal(account.delivered, account.accepted)
      assert.ok(after <= 2 * before + ALLOWANCE_MS, `${after} ms is too far from ${before} ms`)
      return account
    },
  },
  {
    id: "F-46",
    what: "more producers than ingest can serve: what is refused is refused fast, what is answered is delivered",
    run: async (t, { seed }) => {
      const stage = await Stage.open(t, { seed, places: { quick: { policy: { max_concurrent: 100 } } } })
      const measured = async (concurrency: number) => {
        const producer = await stage.produce({ concurrency, padBytes: 2_000 })
        const from = Date.now()
        await wait(10_000)
        const { acknowledged, failed } = await producer.progress()
        const rate = acknowledged / ((Date.now() - from) / 1_000)
        await producer.stop()
        return {
          rate,
          failed,
          okMs: answerMs(producer.entries(), "ok", 0.99),
          failMs: answerMs(producer.entries(), "fail", 0.99),
        }
      }
      const full = await measured(64)
      const over = await measured(640)
      t.diagnostic(
        `${full.rate.toFixed(0)} a second with 64 senders, ${over.rate.toFixed(0)} with 640 (p99 ${over.okMs} ms); ` +
          `${over.failed} refused, p99 ${over.failMs} ms`,
      )
      const account = await stage.settle(300_000)
      assert.equal(account.delivered, account.accepted)
      // The senders share the machine; what must not happen is a collapse.
      assert.ok(over.rate >= 0.6 * full.rate, "goodput holds")
      assert.ok(over.failed === 0 || over.failMs < 500, "refusals are quick")
      return account
    },
  },
  {
    id: "F-52",
    what: "a recovery of 5,000 events beside live traffic: live ones are not held up, ids stay, it is marked",
    run: async (t, { seed }) => {
      const policy = { max_concurrent: 10, retry_delays_ms: [], stop: "422", protection: { enabled: false } }
      const stage = await Stage.open(t, { seed, places: { crm: { manner: { statuses: [422] }, policy } } })
      const from = new Date(Date.now() - 60_000).toISOString()
      const old = await stage.produce({ concurrency: 32 })
      await old.acknowledged(5_000)
      await old.stop()
      const failed = () =>
        Number(
          queryDatabase<{ n: number }>(stage.dataDir, "select count(*) as n from delivery where status = 'failed'")[0]
            ?.n,
        )
      await until("all have failed", 120_000, () => failed() >= 5_000)
      await stage.behave("crm", { delayMs: [2, 6] })
      await stage.produce({ perSecond: 60 })
      const calmFrom = Date.now()
      await wait(8_000)
      const begun = Date.now()
      const recovery = (await call(stage.waybill, "POST", "/v1/recoveries", {
        from,
        integrations: stage.id("crm"),
      })) as { id: string }
      await until("the recovery is done", 180_000, async () => {
        const { state } = (await call(stage.waybill, "GET", `/v1/recoveries/${recovery.id}`)) as { state: string }
        await wait(200)
        return state === "done"
      })
      const ended = Date.now()
      const account = await stage.settle()
      assert.equal(account.delivered, account.accepted)
      const live = stage.receipts("crm").filter(({ externalId }) => externalId.startsWith("p1-"))
      const [calm, during] = [arrivalMs(live, 0.95, calmFrom, begun), arrivalMs(live, 0.95, begun, ended)]
      const [row] = queryDatabase<{ n: number }>(
        stage.dataDir,
        "select count(*) as n from attempt where recovery_id is not null",
      )
      t.diagnostic(
        `live p95 ${calm} ms before, ${during} ms during; the recovery took ${((ended - begun) / 1_000).toFixed(0)} s`,
      )
      assert.ok((row?.n ?? 0) >= 5_000, "its attempts are marked")
      assert.ok(during <= 1.5 * calm + ALLOWANCE_MS, `${during} ms is too far from ${calm} ms`)
      return account
    },
  },
]

function only(type: string) {
  return { default: "off", types: { [type]: {} } }
}

async function disableNamed(stage: Stage, name: string): Promise<void> {
  const [row] = queryDatabase<{ id: number }>(stage.dataDir, "select id from integration where name = ?", name)
  await call(stage.waybill, "POST", `/v1/integrations/${formatId("int", row?.id ?? 0)}/disable`)
}

/** The greatest number of times within any second that begins with one of them. */
function busiestSecond(times: readonly number[]): number {
  const sorted = times.toSorted((a, b) => a - b)
  let most = 0
  let first = 0
  for (const [i, at] of sorted.entries()) {
    while ((sorted[first] ?? at) <= at - 1_000) first++
    most = Math.max(most, i - first + 1)
  }
  return most
}
