/**
 * The moment that senders fear: the event is on disk, and the program is killed before it has answered. Many requests are
 * sent at once, so that one commit holds many of them, and the kill follows the first glimpse of it in the database's
 * file: most of their answers are never written. The sender sends all of them again.
 */
import assert from "node:assert/strict"
import test from "node:test"
import { formatId } from "../../src/domain/id.ts"
import { isAnswered, openSocket, writePost } from "../help/raw-post.ts"
import { openDatabase, queryDatabase } from "../help/system-ledger.ts"
import { call, stablePort, startWaybill, temporaryFolder } from "../help/waybill.ts"

/** So many at least, and as many more as it takes to hit the moment. */
const ROUNDS = { least: 3, most: 12 }
const AT_ONCE = 150

/** An event that its sender can send again: under an id of its own, or under an idempotency key. */
interface Letter {
  readonly name: string
  readonly body: string
  readonly headers: Readonly<Record<string, string>>
}

test("an event that was stored when a kill kept back its answer is known again by its id or its key", {
  timeout: 120_000,
}, async t => {
  const dataDir = `${temporaryFolder(t)}/data`
  const port = await stablePort()
  let [silenced, rounds] = [0, 0]
  while (rounds < ROUNDS.least || (silenced === 0 && rounds < ROUNDS.most)) {
    const round = ++rounds
    const letters = Array.from({ length: AT_ONCE }, (_, i) => newLetter(`r${round}-${i}`, i % 2 === 0))
    const waybill = await startWaybill(t, { dataDir, port })
    const sockets = await Promise.all(letters.map(() => openSocket(port)))
    const answers = sockets.map(isAnswered)
    await Promise.all(sockets.map((socket, i) => writePost(socket, letters[i]?.body ?? "", letters[i]?.headers)))
    killAtFirstEvent(dataDir, waybill.pid, (round - 1) * AT_ONCE)
    assert.equal((await waybill.stopped).signal, "SIGKILL")
    const answered = await Promise.all(answers)

    const stored = storedEvents(dataDir)
    const next = await startWaybill(t, { dataDir, port })
    const sendAgain = async (letter: Letter, i: number): Promise<void> => {
      const id = stored.get(letter.name)
      const again = (await call(next, "POST", "/v1/events", letter.body, letter.headers)) as Answer
      assert.equal(again.duplicate, id !== undefined, `what the repeat of ${letter.name} is told`)
      if (id !== undefined) assert.equal(again.id, formatId("evt", id))
      if (answered[i]) assert.notEqual(id, undefined, `${letter.name} was answered, so it is stored`)
      else if (id !== undefined) silenced++
    }
    await Promise.all(letters.map(sendAgain))
    assert.equal(storedEvents(dataDir).size, round * AT_ONCE)
    assert.equal(
      queryDatabase(dataDir, "select id from event").length,
      round * AT_ONCE,
      "one event for each, no second",
    )
    next.kill("SIGTERM")
    await next.stopped
  }
  t.diagnostic(`${silenced} of ${rounds * AT_ONCE} events were stored and a kill kept back their answer`)
  assert.ok(silenced > 0, "the moment was hit")
})

interface Answer {
  readonly id: string
  readonly duplicate: boolean
}

function newLetter(name: string, hasOwnId: boolean): Letter {
  const event = { type: "order.paid", data: { name } }
  return hasOwnId
    ? { name, body: JSON.stringify({ ...event, id: name }), headers: {} }
    : { name, body: JSON.stringify(event), headers: { "idempotency-key": name } }
}

/** Looks without a pause, so that only microseconds lie between the commit and the kill. */
function killAtFirstEvent(dataDir: string, pid: number, before: number): void {
  const database = openDatabase(dataDir)
  const count = database.prepare("select count(*) as n from event")
  const deadline = performance.now() + 20_000
  while (Number(count.get()?.n) <= before) assert.ok(performance.now() < deadline, "an event is stored")
  process.kill(pid, "SIGKILL")
  database.close()
}

/** Events by the name in their data. */
function storedEvents(dataDir: string): Map<string, number> {
  const parts = queryDatabase<{ id: number }>(dataDir, "select id from part")
  return new Map(
    parts.flatMap(({ id }) => {
      const text = `select event_id, json_extract(data, '$.name') as name from payload_${id}`
      return queryDatabase<{ event_id: number; name: string }>(dataDir, text).map(
        row => [row.name, row.event_id] as const,
      )
    }),
  )
}
