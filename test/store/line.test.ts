/** Lines of ordering keys: whatever happens to deliveries, one of a key is in front and the others wait behind it. */
import assert from "node:assert/strict"
import { randomInt } from "node:crypto"
import test from "node:test"
import { firstIdAt } from "../../src/domain/id.ts"
import { DUE, RECOVERED } from "../../src/domain/queue.ts"
import type { ReasonCode } from "../../src/domain/reason.ts"
import { sql } from "../../src/store/database.ts"
import type { Claim, Settled, Settlement } from "../../src/store/ledger.ts"
import { endExpired } from "../../src/store/move.ts"
import { giveBack, queuePiece } from "../../src/store/recovery-moves.ts"
import { engine } from "../help/engines.ts"
import { DAY_MS, type FilledStore, openFilledStore } from "../help/filled-store.ts"
import { seeded } from "../help/json-writer.ts"
import { LineModel, type Member } from "../help/line-model.ts"

// Each is some round trips on PostgreSQL.
const STEPS = engine === "sqlite" ? 3_000 : 800
const HELD = 1_000_000
const keys = ["a", "b", "c"]
const stopping = JSON.stringify({ policy: { ordered: true, ordered_on_failure: "stop" } })
/** What a run must have come to, or it has shown nothing of it. */
const mustHappen = [
  ...["accept", "claim of queue 0", `claim of queue ${RECOVERED}`, `claim of queue ${HELD}`, "restart", "recover"],
  ...["deliver", "retry", "hold", "fail", "block", "withhold", "release", "let go", "switch off"],
  ...["retry in front", "retry behind", "retry blocking", "retry over", "retry while sending"],
  ...["expire in a pause", "expire in a block", "give back", "give back what blocked", "try now"],
]

test("at any moment one of a key is in front, and those behind it follow in their order", {
  timeout: 110_000,
}, async t => {
  const seed = Number(process.env["PROMISES_SEED"] ?? randomInt(1_000_000))
  t.diagnostic(`seed ${seed}`)
  const run = new Run(await openFilledStore(t), seed)
  const missing = () => mustHappen.filter(what => run.done[what] === undefined)
  for (let step = 0; step < STEPS || (missing().length > 0 && step < 10 * STEPS); step++) {
    const what = await run.step()
    assert.deepEqual(await run.stored(), run.model.picture(), `after step ${step}, ${what}, of seed ${seed}`)
  }
  t.diagnostic(JSON.stringify(run.done))
  assert.deepEqual(missing(), [], "everything that may happen did")
})

/** Does to a store what may be done to it, at random, and the same to the model. */
class Run {
  readonly model = new LineModel()
  /** How often each thing was done. */
  readonly done: Record<string, number> = {}
  readonly #filled: FilledStore
  readonly #random: () => number
  #claims: Claim[] = []
  #recoveries = 0

  constructor(filled: FilledStore, seed: number) {
    this.#filled = filled
    this.#random = seeded(seed)
  }

  /** One thing; says what it was. */
  async step(): Promise<string> {
    const roll = this.#random()
    const what = await (roll < 0.24
      ? this.#accept()
      : roll < 0.45
        ? this.#claim()
        : roll < 0.75
          ? this.#settle()
          : this.#fromOutside())
    this.done[what] = (this.done[what] ?? 0) + 1
    return what
  }

  /** The lines as they stand in the rows. */
  async stored(): Promise<string[]> {
    const rows = await this.#filled.query<StoredRow>(sql`
      select integration_id, ordering_key, event_id, in_line, claim, status from delivery
      where ordering_key is not null and (next_at is not null or claim is not null or in_line is not null)
      order by event_id`)
    const lines = Map.groupBy(rows, row => `${row.integration_id} ${row.ordering_key}`)
    return [...lines]
      .map(([name, line]) => {
        const front = line.filter(row => row.in_line !== 2)
        const place = (row: StoredRow) =>
          row.claim !== null ? "sending" : row.status === "failed" ? "blocking" : row.in_line === 1 ? "in front" : "?"
        const behind = line.filter(row => row.in_line === 2).map(row => row.event_id)
        return `${name}: ${front.map(row => `${place(row)} ${row.event_id}`).join(", ")} | ${behind.join(" ")}`
      })
      .sort()
  }

  async #accept(): Promise<string> {
    const [lane, key] = [this.#lane(), this.#pick(keys)]
    const event = await this.#filled.accept({ targets: [lane], ordered: true, orderingKey: key, payloadDays: 1 })
    this.model.accept(lane, event.id, key)
    return "accept"
  }

  /** Of the lane's own queue, of what is recovered, or of what was held while an origin rested. */
  async #claim(): Promise<string> {
    const lane = this.#lane()
    const queue = this.#pick([DUE, DUE, DUE, RECOVERED, HELD])
    const { store, now } = this.#filled
    const until = queue === DUE ? now : Number.POSITIVE_INFINITY
    const { claims } = await store.ledger.claim(lane, store.fence, 1 + Math.floor(this.#random() * 3), until, queue)
    for (const claim of claims) {
      const member = this.model.find(lane, claim.delivery.event)
      assert.equal(member.place, "in front", "only who is in front is sent")
      member.place = "sending"
      this.#claims.push(claim)
    }
    return claims.length === 0 ? "claim nothing" : `claim of queue ${queue}`
  }

  async #settle(): Promise<string> {
    const claim = this.#claims.splice(Math.floor(this.#random() * this.#claims.length), 1)[0]
    if (claim === undefined) return this.#turnClock()
    const member = this.model.find(claim.delivery.integration, claim.delivery.event)
    const came = this.#pick(["deliver", "deliver", "retry", "hold", "fail", "block", "withhold"] as const)
    const settled = await this.#write(claim, came)
    assert.equal(settled.kind, "moved")
    if (came === "retry" || came === "hold") member.place = "in front"
    else if (came === "block") member.place = "blocking"
    else assert.equal(settled.released, this.model.end(member))
    return came
  }

  async #write(claim: Claim, came: "deliver" | "retry" | "hold" | "fail" | "block" | "withhold"): Promise<Settled> {
    const reason = { code: came === "withhold" ? "missing_data" : "server_error", facts: {} } as const
    const at = this.#filled.now + Math.floor(this.#random() * 3_000)
    const next = {
      deliver: { status: "delivered" },
      retry: { status: "retrying", reason, at, charged: true },
      hold: { status: "skipped", reason, at, charged: false, queue: HELD },
      fail: { status: "failed", reason, disable: false },
      block: { status: "failed", reason, disable: false },
      withhold: { status: "withheld", reason },
    } as const
    const settlement: Settlement = {
      claim,
      attempt: null,
      attemptReason: null,
      next: next[came],
      recordId: null,
      payloadDays: 7,
      // With anything but a failure it means nothing.
      ...(came === "block" || came === "retry" || came === "deliver" ? { consequences: { blocksLine: true } } : {}),
    }
    const [settled] = await this.#filled.store.ledger.settle([settlement])
    assert.ok(settled)
    return settled
  }

  /** What neither an arrival nor an attempt causes. */
  async #fromOutside(): Promise<string> {
    const roll = this.#random()
    if (roll < 0.3) return this.#retry()
    if (roll < 0.5) return this.#release()
    if (roll < 0.6) return this.#recover()
    if (roll < 0.65) return this.#giveBack()
    if (roll < 0.75) return this.#expire()
    if (roll < 0.8) return this.#letGo()
    if (roll < 0.85) return this.#endWaiting()
    if (roll < 0.93) return this.#restart()
    return this.#turnClock()
  }

  async #retry(): Promise<string> {
    const blocking = this.#random() < 0.2 ? this.#member(one => one.place === "blocking") : undefined
    const member = blocking ?? this.#member()
    if (member === undefined) return "retry nothing"
    const { place } = member
    const isSending = place === "sending"
    const { ledger } = this.#filled.store
    const answer = await ledger.retry({ event: member.event, integration: member.lane }, this.#filled.project)
    if (answer === "payload_expired") return "retry too late"
    assert.equal(answer, isSending ? "sending" : "due")
    if (!isSending) this.model.comeBack(member)
    if (!isSending && this.#random() < 0.3) return this.#tryNow(member)
    return isSending ? "retry while sending" : `retry ${place}`
  }

  /** A person's retry may go before all others of its lane, never before those of its key. */
  async #tryNow(member: Member): Promise<string> {
    const { store } = this.#filled
    const claim = await store.ledger.claimOne({ event: member.event, integration: member.lane }, store.fence)
    assert.equal(claim === null, member.place === "behind")
    if (claim === null) return "try now, in vain"
    member.place = "sending"
    this.#claims.push(claim)
    return "try now"
  }

  async #release(): Promise<string> {
    const member = this.#member(one => one.place === "blocking") ?? this.#member()
    if (member === undefined) return "release nothing"
    const { store, project } = this.#filled
    const answer = await store.ledger.unblock({ event: member.event, integration: member.lane }, project)
    if (member.place !== "blocking") assert.equal(answer, undefined)
    else assert.equal(answer, this.model.end(member))
    return "release"
  }

  /** A recovery has a delivery that is over wait again: in a queue of its own, unless another of its key is in front. */
  async #recover(): Promise<string> {
    const { store, project, now } = this.#filled
    const rows = await store.db.query<OverRow>(sql`
      select integration_id, event_id, status, reason from delivery
      where status in ('failed', 'withheld', 'delivered') order by event_id desc, integration_id limit 20`)
    const blocking = rows.filter(one => this.model.find(one.integration_id, one.event_id).place === "blocking")
    const row = this.#pick(blocking.length > 0 && this.#random() < 0.5 ? blocking : rows)
    if (row === undefined) return "recover nothing"
    const { integration_id: integration, event_id: event, status, reason } = row
    const recovery = ++this.#recoveries
    await store.db.query(sql`
      insert into recovery (id, project_id, state, asked, up_to, by_kind, created_at, updated_at)
      values (${recovery}, ${project}, 'running', '{}', 0, 'waybill', 0, 0)`)
    await store.db.query(sql`
      insert into recovery_lane (recovery_id, integration_id, reached) values (${recovery}, ${integration}, 0)`)
    const standing = { kind: "delivery", status, reason } as const
    const sends = [{ event, standing, orderingKey: null, keepsRevision: false }]
    const place = { recovery, project, integration, from: 0, reached: event, isThrough: true }
    const queued = await store.ledger.inNextCommit(commit =>
      queuePiece(commit, { ...place, sends, again: [], counts: [] }),
    )
    const isTooLate = firstIdAt(now - DAY_MS + 1) > event
    assert.equal(queued, isTooLate ? 0 : 1)
    if (isTooLate) return "recover too late"
    const member = this.model.find(integration, event)
    member.wasBlocking = member.place === "blocking"
    this.model.comeBack(member)
    return "recover"
  }

  /** A recovery is paused: what it queued and nobody has tried is as it was before. */
  async #giveBack(): Promise<string> {
    const { store } = this.#filled
    const rows = await store.db.query<{ recovery_id: number; integration_id: number; event_id: number }>(sql`
      select recovery_id, integration_id, event_id from delivery
      where recovery_id is not null and before_recovery is not null and status in ('pending', 'skipped')
        and schedule_attempts = 0
      order by integration_id, event_id`)
    const blocked = rows.filter(one => this.model.find(one.integration_id, one.event_id).wasBlocking)
    const row = this.#pick(blocked.length > 0 ? blocked : rows)
    if (row === undefined) return "give back nothing"
    const asked = { recovery: row.recovery_id, integration: row.integration_id, toResume: false, limit: 10 }
    assert.equal(await store.ledger.inNextCommit(commit => giveBack(commit, asked)), 1)
    const member = this.model.find(row.integration_id, row.event_id)
    if (member.wasBlocking) member.place = "blocking"
    else this.model.end(member)
    return member.wasBlocking ? "give back what blocked" : "give back"
  }

  /** The time of payloads is over where a pause, or a failed delivery, held them. */
  async #expire(): Promise<string> {
    const held = this.#pick(["pause", "block"] as const)
    const lane = this.#lane()
    const { store } = this.#filled
    this.#filled.now += DAY_MS / 4
    const { now: at } = this.#filled
    const waiting = this.model.members.filter(
      one => one.lane === lane && (one.place === "in front" || one.place === "behind"),
    )
    const due = waiting.filter(one => firstIdAt(at - DAY_MS + 1) > one.event)
    const events = waiting.map(one => one.event)
    const paused = held === "pause" ? 1 : 0
    await store.db.query(sql`
      insert into integration (id, project_id, name, connector, revision, enabled, snapshot, created_at, updated_at)
      values (${lane}, ${this.#filled.project}, '', 'webhook', 1, 1, ${stopping}, 0, 0) on conflict do nothing`)
    await store.db.query(sql`update integration set paused = ${paused} where id = ${lane}`)
    await store.ledger.inNextCommit(commit => endExpired(commit, lane, events, { at, held }))
    let ended = 0
    for (const member of due.sort((a, b) => a.event - b.event)) {
      const isBlocked = this.model.line(lane, member.key).some(one => one.place === "blocking")
      if (held === "block" && !(isBlocked && member.place === "behind")) continue
      this.model.end(member)
      ended++
    }
    return ended === 0 ? "expire nothing" : `expire in a ${held}`
  }

  /** The policy holds lines no longer. */
  async #letGo(): Promise<string> {
    const lane = this.#lane()
    const { ledger } = this.#filled.store
    const blocking = this.model.members.filter(one => one.lane === lane && one.place === "blocking")
    while ((await ledger.endBlocks(lane, 1)) > 0);
    for (const member of blocking) this.model.end(member)
    return blocking.length === 0 ? "let go nothing" : "let go"
  }

  /** The integration is switched off: in pieces, between which others may come. */
  async #endWaiting(): Promise<string> {
    const lane = this.#lane()
    const reason = { code: "integration_disabled", facts: {} } as const
    for (let ended = 2; ended === 2; ) {
      const before = this.model.picture()
      assert.deepEqual(await this.stored(), before)
      ended = await this.#filled.store.ledger.endWaiting(lane, reason, 2)
      await this.#adoptEndings(lane, ended)
    }
    assert.deepEqual(
      this.model.members.filter(one => one.lane === lane && one.place !== "over" && one.place !== "sending"),
      [],
      "nothing waits and nothing blocks any more",
    )
    return "switch off"
  }

  /** Which of a lane's ended is the store's own business; here only that they have. */
  async #adoptEndings(lane: number, ended: number): Promise<void> {
    const rows = await this.#filled.query<{ event_id: number; next_at: number | null; in_line: number }>(sql`
      select event_id, next_at, in_line from delivery where integration_id = ${lane} and in_line is not null`)
    const left = new Map(rows.map(row => [row.event_id, row]))
    const over = this.model.members.filter(one => one.lane === lane && one.place !== "over" && !left.has(one.event))
    assert.equal(over.length, ended)
    for (const member of over) this.model.end(member)
  }

  /** A restart: what was being sent is recorded as interrupted and waits again, in front as it was. */
  async #restart(): Promise<string> {
    await this.#filled.restart()
    const { ledger } = this.#filled.store
    const lost = await ledger.lost(1_000)
    assert.deepEqual(
      lost.map(claim => claim.delivery.event).sort(),
      this.#claims.map(claim => claim.delivery.event).sort(),
    )
    this.#claims = []
    for (const claim of lost) {
      await this.#write(claim, "retry")
      this.model.find(claim.delivery.integration, claim.delivery.event).place = "in front"
    }
    return "restart"
  }

  async #turnClock(): Promise<string> {
    this.#filled.now += 1_000
    return "turn the clock"
  }

  #lane(): number {
    return this.#pick(this.#filled.integrations.slice(0, 2)) ?? 0
  }

  /** One of the last deliveries; as often as not one of those that are not over. */
  #member(fits?: (member: Member) => boolean): Member | undefined {
    const isAny = this.#random() < 0.5
    return this.#pick(this.model.members.filter(fits ?? (one => isAny || one.place !== "over")).slice(-30))
  }

  #pick<T>(list: readonly T[]): T {
    return list[Math.floor(this.#random() * list.length)] as T
  }
}

interface OverRow {
  readonly integration_id: number
  readonly event_id: number
  readonly status: "failed" | "withheld" | "delivered"
  readonly reason: ReasonCode | null
}

interface StoredRow {
  readonly integration_id: number
  readonly ordering_key: string
  readonly event_id: number
  readonly in_line: number | null
  readonly claim: number | null
  readonly status: string
}
