/**
 * The storm: load for as long as is asked for, and in it kills, stops, pauses of the process and receivers that fail and
 * recover, at moments drawn from the seed. In the end every event is found again.
 */
import assert from "node:assert/strict"
import { setTimeout as wait } from "node:timers/promises"
import { isRed, reasonCodes } from "../../src/domain/reason.ts"
import { disorderIn } from "../help/order.ts"
import { wrongStatuses, wrongTallies } from "../help/system-ledger.ts"
import { type Row, Stage } from "./stage.ts"

const retries = Array<number>(40).fill(500)
const places = {
  healthy: { policy: { max_concurrent: 50 } },
  flaky: { manner: { failing: { share: 0.3, status: 503 } }, policy: { max_concurrent: 50, retry_delays_ms: retries } },
  slow: { manner: { delayMs: [20, 200] as const }, policy: { max_concurrent: 100, retry_delays_ms: retries } },
  moody: {
    policy: { max_concurrent: 20, retry_delays_ms: retries, protection: { rest_ms: 500, longest_rest_ms: 2_000 } },
  },
  ordered: { policy: { ordered: true, max_concurrent: 50, retry_delays_ms: retries } },
}
const RATE = 150

export const storm: Row = {
  id: "F-50",
  what: "kill -9, stops, pauses and failing receivers under load, for as long as is asked for",
  run: async (t, { seed, random, stormMs }) => {
    const stage = await Stage.open(t, { seed, places })
    await stage.produce({ perSecond: RATE, keys: 40, givesUp: 0.1, types: ["order.paid", "user.created"] })
    const until = Date.now() + stormMs
    const done: Record<string, number> = {}
    while (Date.now() < until) {
      await wait(500 + random() * 3_500)
      const what = actions[Math.floor(random() * actions.length)] ?? "kill"
      done[what] = (done[what] ?? 0) + 1
      await act(stage, what, random)
    }
    await stage.behave("moody", {})
    t.diagnostic(
      Object.entries(done)
        .map(([what, count]) => `${count} × ${what}`)
        .join(", "),
    )
    const account = await stage.settle(300_000)
    assert.equal(account.delivered, account.accepted)
    assert.deepEqual(disorderIn(stage.receipts("ordered")), [])
    assert.deepEqual(wrongStatuses(stage.dataDir, reasonCodes.filter(isRed)), [])
    assert.deepEqual(wrongTallies(stage.dataDir), [])
    return account
  },
}

const actions = ["kill", "kill", "kill", "stop", "pause", "fail", "heal"] as const

async function act(stage: Stage, what: (typeof actions)[number], random: () => number): Promise<void> {
  switch (what) {
    case "kill":
      await stage.kill()
      return stage.start()
    case "stop":
      await stage.stop()
      return stage.start()
    case "pause":
      stage.waybill.kill("SIGSTOP")
      await wait(random() * 4_000)
      stage.waybill.kill("SIGCONT")
      return
    case "fail":
      return stage.behave("moody", { failing: { share: 1, status: 500 } })
    case "heal":
      return stage.behave("moody", {})
  }
}
