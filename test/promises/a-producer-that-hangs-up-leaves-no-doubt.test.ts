/**
 * Producers that go away: in the middle of the head, of the body, or when all has left and before the answer. No event is
 * ever stored by half; whoever does not know sends it again under its id and is told, and in the end there is one of each.
 */
import assert from "node:assert/strict"
import { randomInt } from "node:crypto"
import { once } from "node:events"
import test from "node:test"
import { setTimeout as wait } from "node:timers/promises"
import { seeded } from "../help/json-writer.ts"
import { accountLine, faultsOf, settleAccounts } from "../help/ledgers.ts"
import { noteUnknown, type ProducerEntry, sendNoted } from "../help/producer.ts"
import { openSocket } from "../help/raw-post.ts"
import { startReceiver } from "../help/receiver.ts"
import { drained, readSystem } from "../help/system-ledger.ts"
import { createWebhook, newSecret, startWaybill, temporaryFolder, testKey } from "../help/waybill.ts"

const EVENTS = 400
const AT_A_TIME = 20

test("a producer that hangs up at any byte leaves the whole event or nothing, and sending it again is harmless", {
  timeout: 120_000,
}, async t => {
  const seed = Number(process.env["PROMISES_SEED"] ?? randomInt(1_000_000))
  t.diagnostic(`seed ${seed}`)
  const random = seeded(seed)
  const folder = temporaryFolder(t)
  const dataDir = `${folder}/data`
  const secret = newSecret()
  const waybill = await startWaybill(t, { dataDir })
  const receiver = await startReceiver(t, { folder, name: "crm", secret, seed, manners: {} })
  const id = await createWebhook(waybill, { name: "crm", url: receiver.url("/crm"), secret })
  const port = Number(new URL(waybill.url).port)
  const entries: ProducerEntry[] = []
  const cut: string[] = []
  const whole: string[] = []

  const hangUp = async (name: string): Promise<void> => {
    const body = noteUnknown(entries, name)
    const head = `POST /v1/events HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer ${testKey}\r\ncontent-type: application/json\r\ncontent-length: ${Buffer.byteLength(body)}\r\n\r\n`
    const request = head + body
    // Every other one goes out whole, and the producer is gone before the answer.
    const length = random() < 0.5 ? request.length : Math.floor(random() * request.length)
    ;(length === request.length ? whole : cut).push(name)
    const socket = await openSocket(port)
    socket.on("error", () => {})
    await new Promise(resolve => socket.write(request.slice(0, length), resolve))
    if (random() < 0.5) await wait(random() * 4)
    if (random() < 0.5) socket.resetAndDestroy()
    else socket.destroy()
    if (!socket.closed) await once(socket, "close")
  }
  for (let i = 0; i < EVENTS; i += AT_A_TIME) {
    await Promise.all(Array.from({ length: AT_A_TIME }, (_, k) => hangUp(`gone-${i + k}`)))
  }
  for (let i = 0; i < EVENTS; i += AT_A_TIME) {
    await Promise.all(Array.from({ length: AT_A_TIME }, (_, k) => sendNoted(waybill, entries, `gone-${i + k}`)))
  }
  await drained(dataDir, 30_000)
  waybill.kill("SIGTERM")
  await waybill.stopped
  await receiver.stop()

  const receipts = receiver.receipts()
  const account = settleAccounts({
    producer: entries,
    destinations: [{ id, name: "crm", receipts }],
    system: readSystem(dataDir),
    kills: [],
  })
  const known = entries.flatMap(entry => (entry.kind === "ok" && entry.duplicate ? [entry.id] : []))
  t.diagnostic(accountLine(account, 0))
  t.diagnostic(`${cut.length} cut, ${whole.length} whole and not waited for; ${known.length} of those were stored`)
  assert.deepEqual(
    known.filter(name => cut.includes(name)),
    [],
    "of what was cut nothing was there",
  )
  assert.ok(known.length > 0 && cut.length > 0, "both happened")
  assert.deepEqual(faultsOf(account), [])
  assert.equal(account.accepted, EVENTS)
  assert.equal(account.delivered, EVENTS)
  assert.equal(receipts.length, EVENTS, "each was sent once")
})
