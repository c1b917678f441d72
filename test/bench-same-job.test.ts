/** What the bench asks of a contender before its speed counts. The contenders here are made up, one fault each. */
import assert from "node:assert/strict"
import { once } from "node:events"
import { createServer } from "node:http"
import type { AddressInfo } from "node:net"
import test from "node:test"
import { Webhook } from "standardwebhooks"
import { freePort } from "../bench/children.ts"
import { type Contender, webhookSecret } from "../bench/contenders.ts"
import { proveSameJob } from "../bench/same-job.ts"

test("a contender that signs, tries again and records both attempts does the same job", async () => {
  await withContender({}, (contender, port) => proveSameJob(contender, port, "{}"))
})

test("a contender that does not sign is told so", async () => {
  await withContender({ signs: false }, async (contender, port) => {
    await assert.rejects(proveSameJob(contender, port, "{}"), /not signed as Standard Webhooks says/)
  })
})

test("a contender that records another outcome than there was is told what it recorded", async () => {
  await withContender({ records: [204, 204] }, async (contender, port) => {
    await assert.rejects(proveSameJob(contender, port, "{}"), /answered with 500 and 204 it recorded 204, 204/)
  })
})

test("a contender that sends again what has arrived is told how often it did", async () => {
  await withContender({ sends: 3 }, async (contender, port) => {
    await assert.rejects(proveSameJob(contender, port, "{}"), /sent the event 3 times instead of twice/)
  })
})

test("a contender that does not take the event is told what it answered", async () => {
  await withContender({ answers: 401 }, async (contender, port) => {
    await assert.rejects(proveSameJob(contender, port, "{}"), /pg-boss answered 401/)
  })
})

interface Habits {
  readonly signs?: boolean
  readonly sends?: number
  readonly answers?: number
  readonly records?: readonly number[]
}

/** Runs one that sends its event so many times, one after another, to a free port. */
async function withContender(
  { signs = true, sends = 2, answers = 202, records = [500, 204] }: Habits,
  use: (contender: Contender, port: number) => Promise<void>,
): Promise<void> {
  const port = await freePort()
  let sent = Promise.resolve()
  const server = createServer((request, response) => {
    request.resume()
    response.writeHead(answers, { "content-type": "application/json" }).end('{"id":"evt_1"}')
    if (answers === 202) sent = sendTimes(port, sends, signs)
  }).listen(0, "127.0.0.1")
  await once(server, "listening")
  const contender: Contender = {
    name: "pg-boss",
    targets: [{ url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/v1/events`, key: "wb_test" }],
    pids: [],
    store: null,
    attemptsOf: async () => {
      await sent
      return records
    },
    statements: async () => null,
    stop: async () => {},
  }
  try {
    await use(contender, port)
  } finally {
    server.closeAllConnections()
    server.close()
  }
}

async function sendTimes(port: number, times: number, signs: boolean): Promise<void> {
  for (let i = 0; i < times; i++) {
    const at = new Date()
    const signature = signs ? new Webhook(webhookSecret).sign("evt_1", at, "{}") : "v1,bm8="
    const headers = {
      "webhook-id": "evt_1",
      "webhook-timestamp": String(Math.floor(at.getTime() / 1_000)),
      "webhook-signature": signature,
    }
    await fetch(`http://127.0.0.1:${port}/hook`, { method: "POST", headers, body: "{}" })
  }
}
