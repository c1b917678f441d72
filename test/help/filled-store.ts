/** A real store on the engine of this run, filled through its ledger as the engine would, with a clock that the test turns. */

import assert from "node:assert/strict"
import type { TestContext } from "node:test"
import type { AttemptOutcome, Next, Reason } from "../../src/domain/delivery.ts"
import type { Event, EventDraft, Payload, Withheld } from "../../src/domain/event.ts"
import type { Exchange } from "../../src/domain/exchange.ts"
import type { DeliveryId, IntegrationId } from "../../src/domain/id.ts"
import { maskPayload, privateFieldsOf } from "../../src/domain/private-fields.ts"
import { DUE } from "../../src/domain/queue.ts"
import { isRed, type ReasonCode } from "../../src/domain/reason.ts"
import { type Sql, sql } from "../../src/store/database.ts"
import type { Claim, Settled } from "../../src/store/ledger.ts"
import type { Store } from "../../src/store/store.ts"
import { clearPlace, embedded, holdLanes, newPlace, openAt, type Place } from "./engines.ts"

export const DAY_MS = 86_400_000

/** Opens a store; it is closed and gone when the test is over. */
export async function openFilledStore(t: TestContext): Promise<FilledStore> {
  const place = await newPlace()
  const filled = new FilledStore(place)
  t.after(async () => {
    await filled.close()
    await clearPlace(place)
  })
  await filled.open()
  return filled
}

/** What an event that goes in differs in from an ordinary one. */
export interface Given extends Partial<EventDraft> {
  readonly project?: number
  readonly appId?: number
  readonly targets?: readonly IntegrationId[]
  readonly withheld?: Withheld
  readonly payloadDays?: number
  readonly test?: boolean
  /** Delivered in the order of its key. */
  readonly ordered?: boolean
  /** JSON pointers to what is private of its payload. */
  readonly privateFields?: readonly string[]
  /** How long it waited for its commit. */
  readonly lagMs?: number
}

/** What came of an attempt. */
export interface Came {
  readonly next?: Next["status"]
  readonly outcome?: AttemptOutcome
  readonly reason?: Reason
  readonly at?: number
  readonly record?: string
  readonly exchange?: Exchange | null
  readonly payloadDays?: number
  readonly requestBody?: string
  readonly charged?: boolean
  /** It has failed, and holds those behind it of its ordering key. */
  readonly blocksLine?: boolean
}

export class FilledStore {
  readonly place: Place
  #store: Store | undefined
  /** The clock. */
  now = Date.UTC(2026, 10, 21, 10)
  readonly project = 1_000
  readonly integrations: readonly [number, number, number] = [2_001, 2_002, 2_003]

  constructor(place: Place) {
    this.place = place
  }

  get store(): Store {
    assert.ok(this.#store, "the store is open")
    return this.#store
  }

  async open(): Promise<void> {
    const store = await openAt(this.place, () => this.now)
    this.#store = store
    // What these tests try is not durability, and an fsync for each of thousands of commits would be most of their time.
    if (store.engine === "sqlite") embedded(store).sqlite.connection.exec("pragma synchronous = off")
    await holdLanes(store, this.integrations)
    // What opens a store looks for events project by project.
    await this.query(sql`
      insert into project (id, name, created_at) values (${this.project}, 'default', ${this.now})
      on conflict (id) do nothing`)
  }

  async close(): Promise<void> {
    await this.#store?.close()
    this.#store = undefined
  }

  /** Closes and opens the store again, as a restart would. */
  async restart(): Promise<void> {
    await this.close()
    await this.open()
  }

  /** Looks into the database, or changes it, behind the program's back. */
  query<Row extends object>(statement: Sql): Promise<Row[]> {
    return this.store.db.query<Row>(statement)
  }

  async accept(given: Given = {}): Promise<Event> {
    const { project, appId, targets, withheld = {}, payloadDays, test, ordered = false, lagMs = 0, ...more } = given
    const { privateFields = [], ...draft } = more
    const fields = privateFieldsOf(privateFields)
    const masked = fields === null ? null : maskPayload(draft.payload ?? ordinary.payload, fields)
    const receivedAt = this.now
    this.now += lagMs
    const [accepted] = await this.store.ledger.accept([
      {
        project: project ?? this.project,
        key: null,
        draft: { ...ordinary, ...draft },
        fingerprint: null,
        idempotencyKey: null,
        appId: appId ?? null,
        receivedAt,
        test: test ?? false,
        payloadDays: payloadDays ?? 7,
        targets: (targets ?? []).map(integration => ({ integration, claim: null, ordered })),
        withheld,
        red: redOf(withheld),
        ...(masked === null ? {} : { privacy: { pointers: privateFields, masked } }),
      },
    ])
    assert.equal(accepted?.kind, "new")
    return accepted.event
  }

  /** Claims what is due at an integration, oldest first. */
  async claim(integration: IntegrationId, room = 1): Promise<readonly Claim[]> {
    const { claims } = await this.store.ledger.claim(integration, this.store.fence, room, this.now)
    return claims
  }

  /** Settles a claim with one attempt. */
  async settle(claim: Claim, came: Came = {}): Promise<Settled> {
    const { next = "delivered", record = null, requestBody = null } = came
    const reason: Reason = came.reason ?? { code: "server_error", facts: { status: 503 } }
    const [settled] = await this.store.ledger.settle([
      {
        claim,
        attempt: {
          delivery: claim.delivery,
          number: claim.attempts + 1,
          startedAt: this.now,
          outcome: came.outcome ?? (next === "delivered" ? "success" : "error"),
          revision: 1,
          process: "test/1",
          exchange: came.exchange === undefined ? answered(next === "delivered" ? 200 : 503) : came.exchange,
          url: "crm.example/hook",
          requestHeaders: [
            { name: "content-type", value: "application/json" },
            { name: "authorization", value: "Token abc", secret: true },
          ],
          requestBody,
        },
        attemptReason: next === "delivered" ? null : reason,
        next: nextOf(next, reason, came.at ?? this.now + 60_000, came.charged ?? true),
        recordId: record,
        payloadDays: came.payloadDays ?? 7,
        ...(came.blocksLine === undefined ? {} : { consequences: { blocksLine: came.blocksLine } }),
      },
    ])
    assert.ok(settled)
    return settled
  }

  /** One delivery from claim to settlement. It has to be the oldest that is due at its integration. */
  async attempt(delivery: DeliveryId, came: Came = {}): Promise<Settled> {
    const [claim] = await this.claim(delivery.integration)
    assert.deepEqual(claim?.delivery, delivery)
    return this.settle(claim, came)
  }

  /** Has the search index write what it gathered: a commit after its time. */
  async writeIndex(): Promise<void> {
    this.now += 2_000
    await this.claim(9_999)
  }
}

export function json(text: string): Payload {
  return { kind: "json", text }
}

/** An answer of so many ms and bytes. */
export function answered(status: number, body = "ok"): Exchange {
  return {
    kind: "answered",
    sentHeaders: [],
    timings: { dnsMs: 1, connectMs: 2, tlsMs: null, waitMs: 3, bodyMs: 4, totalMs: 10 },
    answer: {
      status,
      headers: [["content-type", "text/plain"]],
      body: Buffer.from(body),
      truncated: false,
      incomplete: false,
    },
  }
}

/** An event with nothing but what each has. */
export const ordinary: EventDraft = {
  type: "order_paid",
  payload: json("{}"),
  externalId: null,
  source: "api",
  occurredAt: null,
  environment: "production",
  app: null,
  profileId: null,
  deviceId: null,
  sourceRecord: null,
  orderingKey: null,
  historical: false,
  cloud: null,
}

function redOf(withheld: Withheld): number {
  const entries = Object.entries(withheld) as [ReasonCode, readonly number[]][]
  return entries.reduce((sum, [code, ids]) => sum + (isRed(code) ? ids.length : 0), 0)
}

function nextOf(status: Next["status"], reason: Reason, at: number, charged: boolean): Next {
  switch (status) {
    case "delivered":
      return { status }
    case "retrying":
      return { status, reason, at, charged }
    case "skipped":
      return { status, reason, at, charged, queue: DUE }
    case "failed":
      return { status, reason, disable: false }
    case "withheld":
      return { status, reason }
  }
}
