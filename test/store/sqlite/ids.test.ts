import assert from "node:assert/strict"
import test from "node:test"
import { keepInboxRequest } from "../../../src/store/inbox.ts"
import { DAY_MS, openFilledStore } from "../../help/filled-store.ts"
import { makeIntegrations } from "../../help/letting-go.ts"

/** On PostgreSQL the clock is the database's, and the floor of ids stands in it. */
test("ids go on above those of requests to inboxes, also when the clock was set back before a restart", async t => {
  const filled = await openFilledStore(t)
  await makeIntegrations(filled)
  const request = await filled.store.ledger.inNextCommit(commit =>
    keepInboxRequest(commit, {
      integration: filled.integrations[0],
      at: filled.now,
      method: "POST",
      headers: [],
      body: Buffer.from("a"),
      bodyBytes: 1,
      signature: { kind: "valid" },
      status: 200,
      script: [],
      delayMs: 0,
    }),
  )
  filled.now -= DAY_MS
  await filled.restart()
  assert.ok(filled.store.ids.next() > (request?.id ?? Number.MAX_SAFE_INTEGER))
})
