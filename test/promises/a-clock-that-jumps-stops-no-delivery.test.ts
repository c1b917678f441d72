/**
 * The wall clock is somebody else's: it is put right by an hour or a day while Waybill runs, or while it is off. Whatever
 * it does, deliveries go on, retries come neither all at once nor a day late, signatures carry the time that the clock
 * shows, and nothing is let go early.
 */
import assert from "node:assert/strict"
import { describe, type TestContext, test } from "node:test"
import { type Manner, type Receiver, startReceiver } from "../help/receiver.ts"
import { drained, queryDatabase, until } from "../help/system-ledger.ts"
import { call, createWebhook, newSecret, type OpenWaybill, openWaybill, temporaryFolder } from "../help/waybill.ts"

const SECOND = 1_000
const HOUR = 3_600 * SECOND
const DAY = 24 * HOUR

/** A clock that runs, and that the test puts forward and back. */
class Clock {
  #aheadMs = 0
  readonly now = (): number => Date.now() + this.#aheadMs

  jump(ms: number): void {
    this.#aheadMs += ms
  }
}

interface Setup {
  readonly clock: Clock
  readonly waybill: OpenWaybill
  readonly receiver: Receiver
  /** Opens it again after `waybill` was stopped. */
  reopen(): Promise<OpenWaybill>
}

async function setUp(t: TestContext, manner: Manner, policy: Readonly<Record<string, unknown>>): Promise<Setup> {
  const folder = temporaryFolder(t)
  const dataDir = `${folder}/data`
  const secret = newSecret()
  const clock = new Clock()
  const receiver = await startReceiver(t, { folder, name: "one", secret, seed: 1, manners: { "/one": manner } })
  const reopen = () => openWaybill(t, { dataDir, now: clock.now })
  const waybill = await reopen()
  await createWebhook(waybill, { name: "one", url: receiver.url("/one"), secret, policy })
  return { clock, waybill, receiver, reopen }
}

function send(at: OpenWaybill, id: string): Promise<unknown> {
  return call(at, "POST", "/v1/events", { type: "order.paid", id, data: {} })
}

/** Attempts so far: of each event how many. */
function attemptsByEvent(dataDir: string): { external_id: string; attempts: number }[] {
  return queryDatabase(
    dataDir,
    `select e.external_id, d.attempts from delivery d join event e on e.id = d.event_id order by e.id`,
  )
}

// Each waits more than it computes, on a Waybill and a clock of its own.
describe("a clock that jumps", { concurrency: true }, () => {
  test("deliveries go on at once through every jump, signed with the time that the clock shows, and ids stay in order", {
    timeout: 60_000,
  }, async t => {
    const { clock, waybill, receiver } = await setUp(t, { delayMs: [100, 100] }, {})
    const jumps = [0, HOUR, -HOUR, -HOUR, HOUR, DAY, -DAY, -DAY, DAY]
    const shown: number[] = []
    for (const [i, jump] of jumps.entries()) {
      await send(waybill, `before-${i}`)
      // The one before is still under way when the clock jumps.
      clock.jump(jump)
      await send(waybill, `after-${i}`)
      shown.push(clock.now())
      await drained(waybill.dataDir, 10_000)
    }
    await waybill.stop()
    await receiver.stop()
    const receipts = new Map(receiver.receipts().map(receipt => [receipt.externalId, receipt]))
    for (const [i, at] of shown.entries()) {
      const receipt = receipts.get(`after-${i}`)
      assert.ok(receipt?.isSigned)
      assert.ok(
        Math.abs(receipt.timestamp - at / SECOND) < 10,
        `signed at ${receipt.timestamp}, the clock showed ${at}`,
      )
    }
    const attempts = queryDatabase<{ outcome: string; total_ms: number }>(
      waybill.dataDir,
      "select outcome, total_ms from attempt",
    )
    assert.equal(attempts.length, 2 * jumps.length)
    for (const { outcome, total_ms } of attempts) {
      assert.equal(outcome, "success")
      assert.ok(total_ms >= 90 && total_ms < 10_000, `${total_ms} ms by a clock that does not jump`)
    }
    const events = queryDatabase<{ external_id: string }>(waybill.dataDir, "select external_id from event order by id")
    assert.deepEqual(
      events.map(event => event.external_id),
      jumps.flatMap((_, i) => [`before-${i}`, `after-${i}`]),
    )
  })

  test("a clock that leaps ahead makes each waiting retry due once, not all of its retries in a row", {
    timeout: 60_000,
  }, async t => {
    const policy = { retry_delays_ms: [HOUR, HOUR, HOUR, HOUR], jitter: 0, protection: { enabled: false } }
    const { clock, waybill } = await setUp(t, { statuses: [503] }, policy)
    const isTried = () => countDue(waybill.dataDir, clock.now()) === 0
    await Promise.all(Array.from({ length: 50 }, (_, i) => send(waybill, `event-${i}`)))
    await until("the first attempts are noted", 10_000, isTried)
    for (const [i, jump] of [HOUR, DAY].entries()) {
      clock.jump(jump + SECOND)
      await send(waybill, `wakes-${i}`)
      await until("what is due has been tried", 10_000, isTried)
    }
    const attempts = attemptsByEvent(waybill.dataDir).filter(({ external_id }) => external_id.startsWith("event-"))
    assert.deepEqual(
      attempts,
      attempts.map(row => ({ ...row, attempts: 3 })),
    )
    assert.equal(attempts.length, 50)
    await waybill.stop()
  })

  for (const [what, jump] of [
    ["an hour", HOUR],
    ["a day", DAY],
  ] as const) {
    test(`a clock that was put back by ${what} leaves no retry and no queued delivery waiting for the old time`, {
      timeout: 60_000,
    }, async t => {
      const policy = { retry_delays_ms: [SECOND], jitter: 0, max_concurrent: 1 }
      const { clock, waybill, receiver } = await setUp(t, { statuses: [503, 200], delayMs: [50, 50] }, policy)
      await Promise.all(Array.from({ length: 10 }, (_, i) => send(waybill, `event-${i}`)))
      await receiver.received("/one", 2)
      clock.jump(-jump)
      await send(waybill, "wakes")
      await drained(waybill.dataDir, 20_000)
      await waybill.stop()
      assert.deepEqual(new Set(attemptsByEvent(waybill.dataDir).map(row => row.attempts)), new Set([2]))
    })

    test(`a clock that was put back by ${what} while Waybill was off leaves nothing waiting for the old time`, {
      timeout: 60_000,
    }, async t => {
      const policy = { retry_delays_ms: [30 * SECOND], jitter: 0 }
      const { clock, waybill, receiver, reopen } = await setUp(t, { statuses: [503, 200] }, policy)
      await send(waybill, "event")
      await until("the first attempt is noted", 10_000, () => attemptsByEvent(waybill.dataDir)[0]?.attempts === 1)
      await waybill.stop()
      clock.jump(-jump)
      const again = await reopen()
      await until("its retry is set anew", 10_000, () => nextAt(again.dataDir) <= clock.now() + 30 * SECOND)
      assert.ok(nextAt(again.dataDir) > clock.now(), "and not earlier than the schedule says")
      clock.jump(31 * SECOND)
      await send(again, "wakes")
      await receiver.received("/one", 3)
      await again.stop()
    })
  }

  test("what a leap makes look old is not let go, and is there when the clock is put right", {
    timeout: 60_000,
  }, async t => {
    const { clock, waybill, reopen } = await setUp(t, {}, {})
    await send(waybill, "old")
    await drained(waybill.dataDir, 10_000)
    await waybill.stop()
    // Four hours before the end of its payload's seven days, so that an hour more is not the end and a day is.
    for (const jump of [6 * DAY + 20 * HOUR, HOUR, -HOUR, DAY, -DAY]) {
      clock.jump(jump)
      const again = await reopen()
      await until("retention has run", 10_000, () => hasRun(again.dataDir))
      assert.equal(countPayloads(again.dataDir), 1)
      await again.stop()
    }
    const right = await reopen()
    const { data } = (await call(right, "GET", "/v1/events?external_id=old")) as {
      data: { payload_expired?: boolean }[]
    }
    assert.deepEqual(
      data.map(event => event.payload_expired),
      [false],
    )
  })
})

function countDue(dataDir: string, now: number): number {
  const text = "select count(*) as n from delivery where claim is not null or next_at <= ?"
  return queryDatabase<{ n: number }>(dataDir, text, now)[0]?.n ?? 0
}

function nextAt(dataDir: string): number {
  return queryDatabase<{ next_at: number }>(dataDir, "select next_at from delivery")[0]?.next_at ?? 0
}

/** Whether this start has run retention through. */
function hasRun(dataDir: string): boolean {
  const text = `
    select 1 from job where kind = 'retention' and state = 'due'
      and fence = (select cast(value as integer) from meta where key = 'fence')`
  return queryDatabase(dataDir, text).length > 0
}

function countPayloads(dataDir: string): number {
  const parts = queryDatabase<{ id: number }>(dataDir, "select id from part")
  return parts.flatMap(({ id }) => queryDatabase(dataDir, `select event_id from payload_${id}`)).length
}
