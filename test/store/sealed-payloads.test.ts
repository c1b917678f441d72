import assert from "node:assert/strict"
import { describe, test } from "node:test"
import type { Event } from "../../src/domain/event.ts"
import { sql } from "../../src/store/database.ts"
import { readEvent } from "../../src/store/event-reads.ts"
import type { Claim } from "../../src/store/ledger.ts"
import { openAll } from "../../src/store/sealed-payloads.ts"
import { DAY_MS, type FilledStore, type Given, json, openFilledStore } from "../help/filled-store.ts"
import { assertSound, countOf, letGo, makeIntegrations, pause } from "../help/letting-go.ts"
import { foundIn } from "../help/whole-database.ts"

const SECRET = "canary-4d1c@shop.example"
const WHOLE = `{"email":"${SECRET}","n":1.0}`
const MASKED = '{"email":"[private]","n":1.0}'

/** An event whose e-mail address is private. */
function acceptPrivate(filled: FilledStore, given: Given = {}): Promise<Event> {
  return filled.accept({ payload: json(WHOLE), privateFields: ["/email"], ...given })
}

async function payloadOf({ store, project, now }: FilledStore, event: number): Promise<unknown> {
  return (await readEvent(store.reads, project, event, now))?.event?.payload
}

/** What is kept of it: whole, masked since when, or nothing. */
async function keptOf(filled: FilledStore, event: number): Promise<"whole" | number | undefined> {
  const [row] = await filled.query<{ sealed: string | null; masked_at: number }>(sql`
    select sealed, masked_at from sealed_payload where project_id = ${filled.project} and event_id = ${event}`)
  return row === undefined ? undefined : row.sealed === null ? row.masked_at : "whole"
}

async function only(claims: Promise<readonly Claim[]>): Promise<Claim> {
  const [claim, ...others] = await claims
  assert.ok(claim)
  assert.deepEqual(others, [])
  return claim
}

test("what is claimed is whole, also after a restart, and what is read or lies on the disk is masked", async t => {
  const filled = await openFilledStore(t)
  const [integration] = filled.integrations
  const event = await acceptPrivate(filled, { targets: [integration] })
  assert.deepEqual(event.payload, json(WHOLE))
  for (let attempt = 1; attempt <= 3; attempt++) {
    const claim = await only(filled.claim(integration))
    assert.deepEqual(claim.event?.payload, json(WHOLE))
    assert.deepEqual(claim.privacy?.pointers, ["/email"])
    await filled.settle(claim, { next: "retrying" })
    assert.equal(await keptOf(filled, event.id), "whole")
    assert.deepEqual(await payloadOf(filled, event.id), { kind: "json", text: MASKED, masked: true })
    assert.deepEqual(await foundIn(filled.place, [SECRET]), [])
    filled.now += 60_000
    await filled.restart()
  }
})

test("the commit that ends the last open delivery takes away what is whole", async t => {
  const filled = await openFilledStore(t)
  const [one, other] = filled.integrations
  const event = await acceptPrivate(filled, { targets: [one, other] })
  await filled.attempt({ event: event.id, integration: one })
  assert.equal(await keptOf(filled, event.id), "whole")
  await filled.attempt({ event: event.id, integration: other }, { next: "retrying" })
  assert.equal(await keptOf(filled, event.id), "whole")
  filled.now += 60_000
  await filled.attempt({ event: event.id, integration: other }, { next: "failed" })
  assert.equal(await keptOf(filled, event.id), filled.now)
  assert.deepEqual(await payloadOf(filled, event.id), { kind: "json", text: MASKED, masked: true })
})

test("text and bytes are masked as a whole, and claimed as they came", async t => {
  const filled = await openFilledStore(t)
  const [integration] = filled.integrations
  const payloads = [
    { kind: "text", text: SECRET, mediaType: "text/csv" },
    { kind: "bytes", bytes: new Uint8Array([0, 255, 1]), mediaType: "image/png" },
  ] as const
  for (const payload of payloads) {
    const event = await acceptPrivate(filled, { targets: [integration], payload })
    const mediaType = payload.mediaType
    assert.deepEqual(await payloadOf(filled, event.id), { kind: "text", text: "[private]", mediaType, masked: true })
    const claim = await only(filled.claim(integration))
    assert.deepEqual(claim.event?.payload, payload)
    await filled.settle(claim)
  }
})

test("an event that goes to nobody is kept masked only", async t => {
  const filled = await openFilledStore(t)
  const event = await acceptPrivate(filled)
  assert.equal(await keptOf(filled, event.id), filled.now)
  assert.deepEqual(await payloadOf(filled, event.id), { kind: "json", text: MASKED, masked: true })
})

test("a repeat keeps nothing of its own", async t => {
  const filled = await openFilledStore(t)
  const [integration] = filled.integrations
  const arrival = {
    ...{ project: filled.project, key: null, fingerprint: "same", idempotencyKey: "k", appId: null, test: false },
    draft: { ...(await acceptPrivate(filled, { targets: [] })), occurredAt: null, payload: json(WHOLE) },
    receivedAt: filled.now,
    payloadDays: 7,
    targets: [{ integration, claim: null, ordered: false }],
    withheld: {},
    red: 0,
    privacy: { pointers: ["/email"], masked: { kind: "json", text: MASKED, masked: true } as const },
  }
  const [first] = await filled.store.ledger.accept([arrival])
  const [second] = await filled.store.ledger.accept([arrival])
  assert.deepEqual([first?.kind, second?.kind], ["new", "repeat"])
  assert.equal(await countOf(filled, "sealed_payload", "sealed is not null"), 1)
})

describe("a delivery that is asked for again", () => {
  test("is made due while the data is there whole, and not once it is masked", async t => {
    const filled = await openFilledStore(t)
    const [one, other] = filled.integrations
    const event = await acceptPrivate(filled, { targets: [one, other] })
    const delivery = { event: event.id, integration: one }
    await filled.attempt(delivery)
    assert.equal(await filled.store.ledger.retry(delivery, filled.project), "due")
    await filled.attempt(delivery)
    await filled.attempt({ event: event.id, integration: other })
    assert.equal(await filled.store.ledger.retry(delivery, filled.project), "payload_masked")
    filled.now += 7 * DAY_MS
    assert.equal(await filled.store.ledger.retry(delivery, filled.project), "payload_expired")
  })

  test("ends unsent where the data was masked at that moment, and says so", async t => {
    const filled = await openFilledStore(t)
    const [integration] = filled.integrations
    const event = await acceptPrivate(filled, { targets: [integration] })
    await filled.query(sql`update sealed_payload set sealed = null, masked_at = 7`)
    const claim = await only(filled.claim(integration))
    assert.equal(claim.event, null)
    assert.deepEqual(claim.gone, { private: "masked", masked_at: 7 })
    assert.equal(claim.delivery.event, event.id)
  })
})

test("what was changed on the disk, or belongs to another event, is never sent", async t => {
  const filled = await openFilledStore(t)
  const [integration] = filled.integrations
  const one = await acceptPrivate(filled, { targets: [integration] })
  const other = await acceptPrivate(filled, { targets: [integration] })
  await filled.query(sql`
    update sealed_payload set sealed = (select s.sealed from sealed_payload s where s.event_id = ${one.id})
    where event_id = ${other.id}`)
  const claims = await filled.claim(integration, 2)
  assert.deepEqual(
    claims.map(claim => [claim.event?.payload, claim.gone]),
    [
      [json(WHOLE), undefined],
      [undefined, { private: "unreadable" }],
    ],
  )
})

test("a delivery that blocks the line of its key keeps its data whole until somebody decides", async t => {
  const filled = await openFilledStore(t)
  await makeIntegrations(filled)
  const [integration] = filled.integrations
  const given = { targets: [integration], orderingKey: "k", ordered: true }
  const [first, second] = [await acceptPrivate(filled, given), await acceptPrivate(filled, given)]
  await filled.attempt({ event: first.id, integration }, { next: "failed", blocksLine: true })
  await letGo(filled)
  assert.deepEqual([await keptOf(filled, first.id), await keptOf(filled, second.id)], ["whole", "whole"])
  assert.equal(await filled.store.ledger.retry({ event: first.id, integration }, filled.project), "due")
  await filled.attempt({ event: first.id, integration })
  assert.equal(await keptOf(filled, first.id), filled.now)
  await filled.attempt({ event: second.id, integration }, { next: "failed", blocksLine: true })
  await filled.store.ledger.unblock({ event: second.id, integration }, filled.project)
  assert.equal((await letGo(filled))["payload_masked"], 1)
  assert.equal(await keptOf(filled, second.id), filled.now)
})

test("thousands of events are made whole at once, as a recovery does that has to ask a filter", async t => {
  const filled = await openFilledStore(t)
  const { store, project } = filled
  const events = await Promise.all(
    Array.from({ length: 2_000 }, () => acceptPrivate(filled, { targets: filled.integrations })),
  )
  const stored = new Map(events.map(({ id }) => [id, { kind: "json", text: MASKED, masked: true } as const]))
  const whole = await openAll(store, project, stored, filled.now)
  assert.deepEqual(
    new Set([...whole.values()].map(({ payload }) => payload.kind === "json" && payload.text)),
    new Set([WHOLE]),
  )
  assert.equal(whole.size, events.length)
})

describe("retention", () => {
  test("masks what no delivery needs any more, however it ended, and nothing else", async t => {
    const filled = await openFilledStore(t)
    await makeIntegrations(filled)
    const [off, on] = filled.integrations
    const ended: Event[] = []
    for (let i = 0; i < 150; i++) ended.push(await acceptPrivate(filled, { targets: [off] }))
    const open = await acceptPrivate(filled, { targets: [off, on] })
    const reason = { code: "integration_disabled", facts: {} } as const
    while ((await filled.store.ledger.endWaiting(off, reason, 100)) > 0);
    assert.equal(await countOf(filled, "sealed_payload", "sealed is not null"), 151)
    assert.equal((await letGo(filled))["payload_masked"], 150)
    assert.equal(await keptOf(filled, ended[0]?.id ?? 0), filled.now)
    assert.equal(await keptOf(filled, open.id), "whole")
    await assertSound(filled)
  })

  test("lets nothing whole live longer than the payload, although a delivery is open still", async t => {
    const filled = await openFilledStore(t)
    await makeIntegrations(filled)
    const [integration] = filled.integrations
    const event = await acceptPrivate(filled, { targets: [integration], payloadDays: 1 })
    await pause(filled, integration)
    filled.now += DAY_MS - 1
    await letGo(filled)
    assert.equal(await keptOf(filled, event.id), "whole")
    filled.now++
    // Also before retention came by.
    const { claims } = await filled.store.ledger.claim(integration, filled.store.fence, 1, filled.now)
    assert.equal(claims[0]?.event, null)
    assert.deepEqual(claims[0]?.gone, { expired_at: filled.now })
    assert.equal((await letGo(filled))["sealed_payload"], 1)
    assert.equal(await keptOf(filled, event.id), undefined)
  })
})

test("the way of an event without private fields asks nothing of what is kept whole", async t => {
  const filled = await openFilledStore(t)
  const [integration] = filled.integrations
  await filled.query(sql`alter table sealed_payload rename to elsewhere`)
  try {
    const event = await filled.accept({ targets: [integration] })
    await filled.attempt({ event: event.id, integration }, { next: "retrying" })
    filled.now += 60_000
    await filled.attempt({ event: event.id, integration })
  } finally {
    await filled.query(sql`alter table elsewhere rename to sealed_payload`)
  }
})
