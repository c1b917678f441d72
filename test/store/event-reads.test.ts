import assert from "node:assert/strict"
import { test } from "node:test"
import type { DeliveryStatus } from "../../src/domain/delivery.ts"
import { eventStatus } from "../../src/domain/event.ts"
import { isRed } from "../../src/domain/reason.ts"
import { raw } from "../../src/store/database.ts"
import { deliveriesOfEvent } from "../../src/store/delivery-reads.ts"
import { readEvent, readPayloads } from "../../src/store/event-reads.ts"
import { DAY_MS, type FilledStore, json, openFilledStore } from "../help/filled-store.ts"

function read(filled: FilledStore, id: number) {
  return readEvent(filled.store.reads, filled.project, id, filled.now)
}

test("the column `status` of an event is what eventStatus() makes of its deliveries, whatever happens to them", async t => {
  const filled = await openFilledStore(t)
  let state = 99
  const next = (below: number) => {
    state = (Math.imul(state, 1_103_515_245) + 12_345) & 0x7fffffff
    return (state >>> 8) % below
  }
  const seen = new Set<string>()
  for (let round = 0; round < 60; round++) {
    const targets = filled.integrations.slice(0, next(4))
    const withheld = ([{}, { not_verified: [9] }, { type_disabled: [9] }] as const)[next(3)] ?? {}
    const event = await filled.accept({ targets, withheld })
    for (let step = 0; step < 8; step++) {
      await check(filled, event.id, withheld, seen)
      const integration = targets[next(Math.max(1, targets.length))]
      if (integration === undefined) break
      if (next(5) === 0) {
        await filled.store.ledger.retry({ event: event.id, integration }, filled.project)
        continue
      }
      if (next(12) === 0) {
        await filled.store.ledger.endWaiting(integration, { code: "integration_disabled", facts: {} }, 500)
        continue
      }
      const [claim] = await filled.claim(integration)
      await check(filled, event.id, withheld, seen)
      if (claim === undefined) continue
      const came = next(5)
      if (came === 0) await filled.settle(claim)
      else if (came === 1) await filled.settle(claim, { next: "failed" })
      else if (came === 2) await filled.settle(claim, { next: "withheld", reason: { code: "missing_data", facts: {} } })
      else if (came === 3) await filled.settle(claim, { next: "withheld", reason: { code: "filtered", facts: {} } })
      else await filled.settle(claim, { next: "retrying", at: filled.now })
    }
    await check(filled, event.id, withheld, seen)
    for (const integration of filled.integrations) {
      await filled.store.ledger.endWaiting(integration, { code: "integration_removed", facts: {} }, 500)
    }
  }
  assert.deepEqual([...seen].sort(), ["delivered", "failed", "processing", "received", "retrying"])
})

async function check(filled: FilledStore, id: number, withheld: object, seen: Set<string>): Promise<void> {
  const kept = await read(filled, id)
  const deliveries = await deliveriesOfEvent(filled.store.reads, filled.project, id, filled.now)
  const count = (...statuses: readonly DeliveryStatus[]) => deliveries.filter(d => statuses.includes(d.status)).length
  const redDeliveries = deliveries.filter(
    d => d.status === "withheld" && d.reason !== null && isRed(d.reason.code),
  ).length
  const counts = {
    open: count("pending", "sending"),
    retrying: count("retrying", "skipped"),
    failed: count("failed"),
    delivered: count("delivered"),
    red: redDeliveries + ("not_verified" in withheld ? 1 : 0),
  }
  assert.deepEqual(kept?.summary.counts, counts)
  assert.equal(kept?.summary.status, eventStatus(counts))
  seen.add(eventStatus(counts))
}

test("a payload is read byte for byte until it expires, and is null from that millisecond on", async t => {
  const filled = await openFilledStore(t)
  const text = '{ "n": 12345678901234567890, "x": 1.0, "x": 1e2, "__proto__": {"a": [ ]} }'
  const event = await filled.accept({ payload: json(text), payloadDays: 3 })
  filled.now = event.receivedAt + 3 * DAY_MS - 1
  assert.deepEqual((await read(filled, event.id))?.event?.payload, { kind: "json", text })
  filled.now++
  const kept = await read(filled, event.id)
  assert.equal(kept?.event, null)
  assert.equal(kept.summary.payloadBytes, text.length)
})

test("payloads of every kind come back as they went in", async t => {
  const filled = await openFilledStore(t)
  const payloads = [
    json("null"),
    { kind: "text", text: "zwölf", mediaType: "text/plain" },
    { kind: "bytes", bytes: new Uint8Array([0, 255, 1]), mediaType: "application/x-thing" },
    { kind: "none" },
  ] as const
  const events = []
  for (const payload of payloads) events.push(await filled.accept({ payload }))
  const summaries = await Promise.all(events.map(async event => (await read(filled, event.id))?.summary))
  const read4 = await readPayloads(
    filled.store.reads,
    summaries.filter(summary => summary !== undefined),
    filled.now,
  )
  assert.deepEqual(
    events.map(event => read4.get(event.id)),
    payloads,
  )
})

test("a payload whose table was dropped reads as expired, not as an error", async t => {
  const filled = await openFilledStore(t)
  const event = await filled.accept({ payload: json('{"a":1}') })
  const part = (await read(filled, event.id))?.summary.payloadPart
  await filled.query(raw(`drop table payload_${part}`))
  const kept = await read(filled, event.id)
  assert.equal(kept?.event, null)
  assert.equal(kept.summary.id, event.id)
})
