/** The oracle of the promises is held to its word: whatever could go wrong, it says so, and of nothing else. */
import assert from "node:assert/strict"
import test from "node:test"
import { formatId } from "../src/domain/id.ts"
import { accountLine, faultsOf, type Ledgers, settleAccounts } from "./help/ledgers.ts"
import type { ProducerEntry } from "./help/producer.ts"
import type { Receipt } from "./help/receiver.ts"
import type { StoredAttempt, SystemLedger } from "./help/system-ledger.ts"

const EVENT = 4_096_000_001
const INTEGRATION = 77
const KILL = 1_500

/** One event on its way to one integration, as all three ledgers tell of it when all went well. */
function told(over: {
  producer?: readonly ProducerEntry[]
  receipts?: readonly Receipt[]
  system?: Partial<SystemLedger>
  kills?: readonly number[]
}): Ledgers {
  return {
    producer: over.producer ?? [invoke(), ok()],
    destinations: [{ id: formatId("int", INTEGRATION), name: "crm", receipts: over.receipts ?? [receipt()] }],
    system: { events: [event()], deliveries: [delivery()], attempts: [attempt()], ...over.system },
    kills: over.kills ?? [],
  }
}

const invoke = (): ProducerEntry => ({ kind: "invoke", at: 1_000, id: "own-1", try: 1, data: "hash" })
const ok = (over: { event?: string; duplicate?: boolean } = {}): ProducerEntry => ({
  kind: "ok",
  at: 1_001,
  id: "own-1",
  try: 1,
  status: 202,
  event: formatId("evt", EVENT),
  duplicate: false,
  ...over,
})
const event = (over = {}) => ({
  id: EVENT,
  external_id: "own-1",
  status: "delivered",
  targets: `[${INTEGRATION}]`,
  withheld: "{}",
  ...over,
})
const delivery = (over = {}) => ({
  integration_id: INTEGRATION,
  event_id: EVENT,
  status: "delivered",
  reason: null,
  attempts: 1,
  ...over,
})
const attempt = (over: Partial<StoredAttempt> = {}): StoredAttempt => ({
  integration_id: INTEGRATION,
  event_id: EVENT,
  number: 1,
  started_at: 1_002,
  outcome: "success",
  status: 200,
  ...over,
})
const receipt = (over: Partial<Receipt> = {}): Receipt => ({
  at: 1_003,
  path: "/crm",
  webhookId: formatId("evt", EVENT),
  attempt: 1,
  timestamp: 1,
  externalId: "own-1",
  key: null,
  body: "body",
  data: "hash",
  isSigned: true,
  status: 200,
  repliedAt: 1_004,
  ...over,
})
const interrupted = attempt({ outcome: "interrupted", status: null, started_at: KILL + 100 })
const second = { number: 2, started_at: KILL + 200 }

/** The kinds of fault that it finds. */
function kindsOf(ledgers: Ledgers): string[] {
  return [...new Set(faultsOf(settleAccounts(ledgers)).map(fault => fault.split(" ")[0] ?? ""))]
}

test("where all ledgers agree there is no fault, and the line says so", () => {
  const account = settleAccounts(told({}))
  assert.deepEqual(faultsOf(account), [])
  assert.equal(
    accountLine(account, 0),
    "1 accepted = 1 accounted for (1 delivered, 0 failed, 0 skipped, 0 pending, 0 withheld) · 0 kills · dup 0 (explained 0) · lost 0 · recovered 0 · max recovery 0.0 s",
  )
})

test("an event that was withheld from everyone is accounted for without a delivery", () => {
  const withheld = event({ targets: "[]", withheld: `{"filtered":[${INTEGRATION}]}` })
  const account = settleAccounts(told({ receipts: [], system: { events: [withheld], deliveries: [], attempts: [] } }))
  assert.deepEqual(faultsOf(account), [])
  assert.equal(account.withheld, 1)
})

test("a repeat after a 2xx is explained by a kill that interrupted its attempt", () => {
  const receipts = [receipt(), receipt({ attempt: 2, at: KILL + 201 })]
  const attempts = [interrupted, attempt(second)]
  const account = settleAccounts(told({ receipts, system: { attempts }, kills: [KILL] }))
  assert.deepEqual(faultsOf(account), [])
  assert.deepEqual(
    [account.duplicates, account.interrupted, account.maxRecoveryMs, account.maxRetryMs],
    [1, 1, 200, 201],
  )
})

test("an event of unknown fate is recovered where it is stored and its repeat was told so, or there was none", () => {
  const unknown: ProducerEntry = { kind: "unknown", at: 1_001, id: "own-1", try: 1, status: null }
  const recovered = (...after: ProducerEntry[]) =>
    settleAccounts(told({ producer: [invoke(), unknown, ...after] })).recovered
  assert.deepEqual([recovered(), recovered(ok({ duplicate: true })), recovered(ok())], [1, 1, 0])
})

const faults: readonly { readonly what: string; readonly kinds: readonly string[]; readonly ledgers: Ledgers }[] = [
  {
    what: "an accepted event that is not stored",
    kinds: ["lost", "unexpected", "unmatched"],
    ledgers: told({ system: { events: [] } }),
  },
  {
    what: "an answer with another event's id",
    kinds: ["lost"],
    ledgers: told({ producer: [invoke(), ok({ event: formatId("evt", EVENT + 1) })] }),
  },
  {
    what: "an event without the delivery that it was to have",
    kinds: ["lost"],
    ledgers: told({ receipts: [], system: { deliveries: [], attempts: [] } }),
  },
  {
    what: "an integration that neither gets an event nor is withheld from it",
    kinds: ["lost"],
    ledgers: told({ receipts: [], system: { events: [event({ targets: "[]" })], deliveries: [], attempts: [] } }),
  },
  {
    what: "a delivery that is called delivered and that nobody answered with 2xx",
    kinds: ["lost"],
    ledgers: told({ receipts: [receipt({ status: 500 })], system: { attempts: [attempt({ status: 500 })] } }),
  },
  {
    what: "a stored event that nobody sent",
    kinds: ["unexpected"],
    ledgers: told({ system: { events: [event(), event({ id: EVENT + 1, external_id: "own-2" })] } }),
  },
  {
    what: "a request for an event that nobody sent",
    kinds: ["unexpected"],
    ledgers: told({ receipts: [receipt(), receipt({ externalId: "own-2" })] }),
  },
  {
    what: "a request with other data than were sent",
    kinds: ["phantom"],
    ledgers: told({ receipts: [receipt({ data: "other" })] }),
  },
  {
    what: "a retry with other bytes than the first attempt",
    kinds: ["phantom"],
    ledgers: told({
      receipts: [receipt({ status: 500 }), receipt({ attempt: 2, body: "other" })],
      system: { attempts: [attempt({ status: 500, outcome: "error" }), attempt({ number: 2 })] },
    }),
  },
  {
    what: "an event that was refused and is stored",
    kinds: ["refusedButStored"],
    ledgers: told({ producer: [invoke(), { kind: "fail", at: 1_001, id: "own-1", try: 1, status: 503 }] }),
  },
  {
    what: "an attempt that no receiver saw",
    kinds: ["unmatched"],
    ledgers: told({ system: { attempts: [attempt(), attempt({ number: 2 })] } }),
  },
  {
    what: "a request that no attempt tells of",
    kinds: ["unmatched"],
    ledgers: told({ receipts: [receipt({ status: 500 }), receipt({ attempt: 2 })], system: { attempts: [] } }),
  },
  {
    what: "an attempt that says another status than the receiver gave",
    kinds: ["unmatched"],
    ledgers: told({ system: { attempts: [attempt({ status: 204 })] } }),
  },
  {
    what: "a request without a right signature",
    kinds: ["unsigned"],
    ledgers: told({ receipts: [receipt({ isSigned: false })] }),
  },
  {
    what: "a repeat after a noted 2xx",
    kinds: ["unexplained"],
    ledgers: told({
      receipts: [receipt(), receipt({ attempt: 2, at: KILL + 201 })],
      system: { attempts: [attempt(), attempt(second)] },
      kills: [KILL],
    }),
  },
  {
    what: "a repeat after an interrupted attempt, and no kill",
    kinds: ["unexplained"],
    ledgers: told({
      receipts: [receipt(), receipt({ attempt: 2, at: KILL + 201 })],
      system: { attempts: [interrupted, attempt(second)] },
    }),
  },
]

for (const { what, kinds, ledgers } of faults) {
  test(`${what} is found`, () => assert.deepEqual(kindsOf(ledgers), kinds))
}
