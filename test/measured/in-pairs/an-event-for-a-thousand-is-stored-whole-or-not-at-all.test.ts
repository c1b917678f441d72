/**
 * One event that goes to a thousand integrations is a thousand rows. The program is killed while it stores them, closer
 * and closer to the commit: whatever the moment, all of them are there or none, and in the end all are delivered.
 */
import assert from "node:assert/strict"
import { randomInt } from "node:crypto"
import test from "node:test"
import { seeded } from "../../help/json-writer.ts"
import { faultsOf, settleAccounts } from "../../help/ledgers.ts"
import { noteUnknown, type ProducerEntry, sendNoted } from "../../help/producer.ts"
import { openSocket, writePost } from "../../help/raw-post.ts"
import { startReceiver } from "../../help/receiver.ts"
import { drained, queryDatabase, readSystem } from "../../help/system-ledger.ts"
import {
  createWebhook,
  newSecret,
  stablePort,
  startWaybill,
  temporaryFolder,
  type Waybill,
} from "../../help/waybill.ts"

const INTEGRATIONS = 1_000
/** The kills close in on the commit, from both sides; there are more of them only until there was one on either. */
const ROUNDS = 5
const MOST_ROUNDS = 15

test("an event for a thousand integrations is stored with all its deliveries or not at all, whenever the kill comes", {
  timeout: 200_000,
}, async t => {
  const seed = Number(process.env["PROMISES_SEED"] ?? randomInt(1_000_000))
  const random = seeded(seed)
  const folder = temporaryFolder(t)
  const dataDir = `${folder}/data`
  const secret = newSecret()
  const receiver = await startReceiver(t, { folder, name: "many", secret, seed, manners: {} })
  const port = await stablePort()
  let waybill = await startWaybill(t, { dataDir, port })
  const destinations = await createMany(waybill, path => receiver.url(path), secret)

  const entries: ProducerEntry[] = []
  const kills: number[] = []
  const found = { whole: 0, none: 0 }
  const usualMs = await timed(() => sendNoted(waybill, entries, "usual"))
  await drained(dataDir, 30_000)
  const bounds = { early: 0, late: usualMs }
  const isEnough = (round: number) => round > (found.whole > 0 && found.none > 0 ? ROUNDS : MOST_ROUNDS)
  for (let round = 1; !isEnough(round); round++) {
    const id = `round-${round}`
    const socket = await openSocket(port)
    socket.on("error", () => {})
    await writePost(socket, noteUnknown(entries, id))
    const afterMs = bounds.early + (bounds.late - bounds.early) * (0.3 + 0.4 * random())
    // The timer of the event loop is too coarse.
    const killAt = performance.now() + afterMs
    while (performance.now() < killAt) {}
    waybill.kill("SIGKILL")
    await waybill.stopped
    kills.push(Date.now())
    const rows = countRows(dataDir, id)
    assert.ok(rows === 0 || rows === INTEGRATIONS, `${id} has ${rows} deliveries of ${INTEGRATIONS}`)
    found[rows === 0 ? "none" : "whole"]++
    bounds[rows === 0 ? "early" : "late"] = afterMs
    waybill = await startWaybill(t, { dataDir, port })
    await sendNoted(waybill, entries, id)
    await drained(dataDir, 30_000)
  }
  waybill.kill("SIGTERM")
  await waybill.stopped
  await receiver.stop()

  const receipts = Map.groupBy(receiver.receipts(), receipt => receipt.path)
  const account = settleAccounts({
    producer: entries,
    destinations: destinations.map(({ id, path }) => ({ id, name: path, receipts: receipts.get(path) ?? [] })),
    system: readSystem(dataDir),
    kills,
  })
  const apartMs = Math.abs(bounds.late - bounds.early).toFixed(1)
  t.diagnostic(
    `seed ${seed}: of ${kills.length} kills, the nearest to the commit ${apartMs} ms apart, ${found.whole} left all ` +
      `${INTEGRATIONS} deliveries and ${found.none} none; dup ${account.duplicates}, all explained`,
  )
  assert.deepEqual(faultsOf(account), [])
  assert.ok(Math.min(found.whole, found.none) > 0, "the kills fell on both sides of the commit")
  assert.equal(account.delivered, kills.length + 1)
})

/** A thousand integrations, each with a path of its own. */
async function createMany(waybill: Waybill, urlOf: (path: string) => string, secret: string) {
  const paths = Array.from({ length: INTEGRATIONS }, (_, i) => `/place-${i}`)
  const made: { id: string; path: string }[] = []
  const work = paths.values()
  const createSome = async (): Promise<void> => {
    for (const path of work)
      made.push({ path, id: await createWebhook(waybill, { name: path, url: urlOf(path), secret }) })
  }
  await Promise.all(Array.from({ length: 8 }, createSome))
  return made
}

async function timed(work: () => Promise<void>): Promise<number> {
  const from = performance.now()
  await work()
  return performance.now() - from
}

function countRows(dataDir: string, externalId: string): number {
  const text = `
    select count(d.event_id) as n from event e left join delivery d on d.event_id = e.id where e.external_id = ?`
  return queryDatabase<{ n: number }>(dataDir, text, externalId)[0]?.n ?? 0
}
