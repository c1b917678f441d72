/** Changes and the operational events that tell of them stand or fall together. */
import assert from "node:assert/strict"
import { test } from "node:test"
import { Changes, type NewChange } from "../../src/engine/changes.ts"
import { Feed } from "../../src/engine/feed.ts"
import type { Arrival, Emitted } from "../../src/store/ledger.ts"
import { freshProject, saveProject } from "../../src/store/projects.ts"
import { clearPlace, newPlace, openAt, queryPlace } from "../help/engines.ts"
import { MORNING } from "../help/program.ts"

const project = 1

const change: NewChange = { project, kind: "integration.disabled", subject: "int_x", by: { kind: "waybill", id: null } }

/** An operational event, as it is told. */
const arrival: Arrival = {
  project,
  key: null,
  draft: {
    type: "waybill.integration.disabled",
    payload: { kind: "json", text: "{}" },
    externalId: null,
    source: "waybill",
    occurredAt: MORNING,
    environment: "production",
    app: null,
    profileId: null,
    deviceId: null,
    sourceRecord: null,
    orderingKey: null,
    historical: false,
    cloud: null,
  },
  fingerprint: null,
  idempotencyKey: null,
  appId: null,
  receivedAt: MORNING,
  test: false,
  payloadDays: 7,
  targets: [],
  withheld: {},
  red: 0,
}

test("an event that is told in a transaction is stored with it, or not at all where it is undone", async t => {
  const place = await newPlace()
  const store = await openAt(place, () => MORNING)
  t.after(async () => {
    await store.close()
    await clearPlace(place)
  })
  await saveProject(store.db, { ...freshProject, id: project, name: "one", createdAt: MORNING })
  const going: Emitted[] = []
  const feed = new Feed()
  let changed = 0
  feed.listen(item => {
    if (item.kind === "change") changed++
  })
  const changes = new Changes(store, feed, emitted => void going.push(...emitted))
  const count = async () => {
    const one = async (table: string) =>
      (await queryPlace<{ n: number }>(place, `select count(*) as n from ${table}`))[0]?.n
    return {
      events: await one("event"),
      mails: await one("job"),
      changes: await one("change"),
    }
  }
  const tidings = { emits: [arrival], mails: [{ key: "mail:int_x:gone:2026-11-21", project, content: "{}" }] }

  const undone = changes.inTransaction(async (_tx, note, tell) => {
    await note(change)
    await tell(tidings)
    throw new Error("undone")
  })
  await assert.rejects(undone, /undone/)
  assert.deepEqual(await count(), { events: 0, mails: 0, changes: 0 })
  assert.deepEqual([going.length, changed], [0, 0])

  for (let time = 0; time < 2; time++) {
    await changes.inTransaction(async (_tx, note, tell) => {
      await note(change)
      await tell(tidings)
    })
  }
  assert.deepEqual(await count(), { events: 2, mails: 1, changes: 2 }, "and one mail of a key")
  assert.deepEqual([going.length, changed], [2, 2])
  // The part that the undone one had made is made again.
  const [accepted] = await store.ledger.accept([arrival])
  assert.equal(accepted?.kind, "new")
})
