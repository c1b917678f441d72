import assert from "node:assert/strict"
import { randomInt } from "node:crypto"
import { describe, test } from "node:test"
import { Budget } from "../../src/domain/budget.ts"
import { Lane, type LaneLimits } from "../../src/engine/lane.ts"
import { seeded } from "../help/json-writer.ts"

/** When the situations below take place, in ms. */
const NOW = 1_000_000

function open(limits: Partial<LaneLimits> = {}): Lane {
  return new Lane(1, { maxConcurrent: 2, maxPerSecond: null, held: false, ...limits }, null)
}

interface Situation {
  readonly says: string
  readonly limits?: Partial<LaneLimits>
  /** What has happened before. */
  readonly given?: (lane: Lane) => void
  /** What is asked, as a list, and what it comes to. */
  readonly ask: (lane: Lane) => readonly unknown[]
  readonly comesTo: readonly unknown[]
}

/** Carries a claim through: so many places asked for, so many deliveries got. */
function claim(lane: Lane, got: number, nextAt: number | null, now = NOW): number {
  const asked = lane.beginClaim(now, 100)
  lane.claimed(asked, got, nextAt)
  return asked
}

const situations: readonly Situation[] = [
  {
    says: "gives as many places as may be under way at a time",
    ask: lane => [lane.reserve(NOW), lane.reserve(NOW), lane.reserve(NOW), lane.inFlight],
    comesTo: [true, true, false, 2],
  },
  {
    says: "gives a place again when one is given back",
    given: lane => {
      lane.reserve(NOW)
      lane.reserve(NOW)
      lane.release()
    },
    ask: lane => [lane.reserve(NOW), lane.reserve(NOW)],
    comesTo: [true, false],
  },
  {
    says: "gives no place while it is held, and claims nothing",
    limits: { held: true },
    given: lane => lane.expect(NOW),
    ask: lane => [lane.reserve(NOW), lane.beginClaim(NOW, 100), lane.wakeAt(NOW), lane.isHeld],
    comesTo: [false, 0, null, true],
  },
  {
    says: "goes on where it was when it is no longer held",
    limits: { held: true },
    given: lane => {
      lane.expect(NOW)
      lane.setLimits({ maxConcurrent: 2, maxPerSecond: null, held: false })
    },
    ask: lane => [lane.wakeAt(NOW), lane.beginClaim(NOW, 100)],
    comesTo: [NOW, 2],
  },
  {
    says: "lets nothing new pass what waits and is due",
    given: lane => lane.expect(NOW - 1),
    ask: lane => [lane.reserve(NOW), lane.beginClaim(NOW, 100)],
    comesTo: [false, 2],
  },
  {
    says: "lets new ones pass what waits for later",
    given: lane => lane.expect(NOW + 1),
    ask: lane => [lane.reserve(NOW), lane.beginClaim(NOW, 100), lane.wakeAt(NOW)],
    comesTo: [true, 0, NOW + 1],
  },
  {
    says: "gives no place while a claim is on its way, and begins no second one",
    given: lane => {
      lane.expect(NOW)
      lane.beginClaim(NOW, 1)
    },
    ask: lane => [lane.reserve(NOW), lane.beginClaim(NOW, 100), lane.wakeAt(NOW)],
    comesTo: [false, 0, null],
  },
  {
    says: "claims no more than it is allowed from outside",
    given: lane => lane.expect(NOW),
    ask: lane => [lane.beginClaim(NOW, 1), lane.inFlight],
    comesTo: [1, 1],
  },
  {
    says: "claims nothing where there is no room in all",
    given: lane => lane.expect(NOW),
    ask: lane => [lane.beginClaim(NOW, 0), lane.inFlight, lane.nextAt],
    comesTo: [0, 0, NOW],
  },
  {
    says: "keeps the places of what a claim found, and gives back the others",
    given: lane => {
      lane.expect(NOW)
      claim(lane, 1, null)
    },
    ask: lane => [lane.inFlight, lane.nextAt, lane.reserve(NOW), lane.reserve(NOW)],
    comesTo: [1, null, true, false],
  },
  {
    says: "comes back for what a claim left",
    given: lane => {
      lane.expect(NOW)
      claim(lane, 2, NOW + 500)
      lane.release()
    },
    ask: lane => [lane.wakeAt(NOW), lane.beginClaim(NOW + 499, 100), lane.beginClaim(NOW + 500, 100)],
    comesTo: [NOW + 500, 0, 1],
  },
  {
    says: "does not forget what begins to wait while a claim is on its way",
    given: lane => {
      lane.expect(NOW)
      const asked = lane.beginClaim(NOW, 100)
      lane.expect(NOW + 10)
      lane.claimed(asked, 0, null)
    },
    ask: lane => [lane.nextAt !== null && lane.nextAt <= NOW + 10],
    comesTo: [true],
  },
  {
    says: "looks again later where the store could not be asked, with all its places",
    given: lane => {
      lane.expect(NOW)
      lane.claimFailed(lane.beginClaim(NOW, 100), NOW + 1_000)
    },
    ask: lane => [lane.inFlight, lane.wakeAt(NOW), lane.beginClaim(NOW, 100), lane.beginClaim(NOW + 1_000, 100)],
    comesTo: [0, NOW + 1_000, 0, 2],
  },
  {
    says: "does not wake by itself while all its places are taken",
    given: lane => {
      lane.expect(NOW)
      lane.reserve(NOW - 1)
      lane.reserve(NOW - 1)
    },
    ask: lane => [lane.inFlight, lane.wakeAt(NOW)],
    comesTo: [2, null],
  },
  {
    says: "takes on no more while more are under way than it may have since its limit was lowered",
    given: lane => {
      lane.reserve(NOW)
      lane.reserve(NOW)
      lane.setLimits({ maxConcurrent: 1, maxPerSecond: null, held: false })
      lane.release()
    },
    ask: lane => [lane.inFlight, lane.roomAt(NOW), lane.reserve(NOW)],
    comesTo: [1, 0, false],
  },
  {
    says: "starts a tenth of a second's worth at once, then one after the other",
    limits: { maxConcurrent: 100, maxPerSecond: 50 },
    ask: lane => [
      Array.from({ length: 10 }, () => lane.reserve(NOW)).filter(Boolean).length,
      lane.reserve(NOW + 19),
      lane.reserve(NOW + 20),
      lane.reserve(NOW + 20),
    ],
    comesTo: [5, false, true, false],
  },
  {
    says: "starts one at once, however low its rate",
    limits: { maxPerSecond: 0.5 },
    ask: lane => [lane.reserve(NOW), lane.reserve(NOW), lane.reserve(NOW + 1_999), lane.reserve(NOW + 2_000)],
    comesTo: [true, false, false, true],
  },
  {
    says: "wakes when its rate allows the next one",
    limits: { maxPerSecond: 10 },
    given: lane => {
      lane.reserve(NOW)
      lane.release()
      lane.expect(NOW)
    },
    ask: lane => [lane.wakeAt(NOW), lane.wakeAt(NOW + 40), lane.beginClaim(NOW + 99, 9), lane.beginClaim(NOW + 100, 9)],
    comesTo: [NOW + 100, NOW + 100, 0, 1],
  },
  {
    says: "charges its rate with what was sent, not with what a claim asked for",
    limits: { maxConcurrent: 100, maxPerSecond: 50 },
    given: lane => {
      lane.expect(NOW)
      claim(lane, 1, null)
    },
    ask: lane => [Array.from({ length: 10 }, () => lane.reserve(NOW)).filter(Boolean).length],
    comesTo: [4],
  },
  {
    says: "is given nothing for a clock that went back, and a tenth of a second's worth at most for one that leapt ahead",
    limits: { maxConcurrent: 100, maxPerSecond: 10 },
    given: lane => void lane.reserve(NOW),
    ask: lane => [
      lane.reserve(NOW - 3_600_000),
      lane.reserve(NOW - 3_599_900),
      Array.from({ length: 10 }, () => lane.reserve(NOW + 3_600_000)).filter(Boolean).length,
    ],
    comesTo: [false, true, 2],
  },
]

describe("a lane", () => {
  for (const { says, limits = {}, given, ask, comesTo } of situations) {
    test(says, () => {
      const lane = open(limits)
      given?.(lane)
      assert.deepEqual(ask(lane), comesTo)
    })
  }
})

/** A lane with the store that it knows of: deliveries that wait until a time, and a claim that may be on its way. */
class Rehearsal {
  readonly lane: Lane
  /** When the place of each request that was started was taken. */
  readonly starts: number[] = []
  limits: LaneLimits
  now = NOW
  #waiting: number[] = []
  #claim: { at: number; asked: number; got: number[]; nextAt: number | null; hasRead: boolean } | null = null
  #untold: number[] = []
  #underWay = 0

  constructor(limits: LaneLimits) {
    this.limits = limits
    this.lane = new Lane(1, limits, null)
  }

  get isOver(): boolean {
    return this.#waiting.length === 0 && this.#underWay === 0 && this.#claim === null && this.#untold.length === 0
  }

  arrive(): void {
    if (this.lane.reserve(this.now)) this.#start(1, this.now)
    else this.#wait(this.now)
  }

  /** It is on disk before the lane hears of it, and a claim may read it in between. */
  #wait(at: number): void {
    this.#waiting.push(at)
    this.#untold.push(at)
  }

  tell(): void {
    const at = this.#untold.shift()
    if (at !== undefined) this.lane.expect(at)
  }

  begin(): void {
    const asked = this.lane.beginClaim(this.now, 1_000)
    if (asked > 0) this.#claim = { at: this.now, asked, got: [], nextAt: null, hasRead: false }
  }

  /** The store carries the claim out. */
  read(): void {
    const claim = this.#claim
    if (claim === null || claim.hasRead) return
    claim.hasRead = true
    const due = this.#waiting.filter(at => at <= this.now).sort((a, b) => a - b)
    claim.got = due.slice(0, claim.asked)
    for (const at of claim.got) this.#waiting.splice(this.#waiting.indexOf(at), 1)
    claim.nextAt = this.#waiting.length === 0 ? null : Math.min(...this.#waiting)
  }

  endClaim(fails: boolean): void {
    const claim = this.#claim
    if (claim === null) return
    if (fails && !claim.hasRead) this.lane.claimFailed(claim.asked, this.now + 1_000)
    else {
      this.read()
      this.lane.claimed(claim.asked, claim.got.length, claim.nextAt)
      this.#start(claim.got.length, claim.at)
    }
    this.#claim = null
  }

  end(retryMs: number | null): void {
    if (this.#underWay === 0) return
    this.#underWay--
    if (retryMs !== null) {
      this.#waiting.push(this.now + retryMs)
      this.lane.expect(this.now + retryMs)
    }
    this.lane.release()
  }

  change(limits: LaneLimits): void {
    this.limits = limits
    this.lane.setLimits(limits)
  }

  #start(count: number, at: number): void {
    this.#underWay += count
    for (let i = 0; i < count; i++) this.starts.push(at)
  }

  /** Goes on, with everything ending well, for as long as the lane itself says that there is something to do. */
  finish(): void {
    this.change({ ...this.limits, held: false })
    for (let turn = 0; turn < 100_000 && !this.isOver; turn++) {
      while (this.#untold.length > 0) this.tell()
      this.endClaim(false)
      while (this.#underWay > 0) this.end(null)
      const at = this.lane.wakeAt(this.now)
      if (at === null) return
      this.now = Math.max(this.now, at)
      this.begin()
    }
  }
}

describe("a budget that an integration leaves", () => {
  const limits = { maxConcurrent: 4, maxPerSecond: null, held: false }
  /** Requests of a budget that are under way: how many fewer an answer leaves of a hundred, and the one itself. */
  const underWay = (budget: Budget<number>, now: number): number => {
    budget.learn({ remaining: 100, resetMs: 1, limit: null, windowMs: null }, null, now)
    return 100 - (budget.kept?.window?.remaining ?? 0)
  }

  for (const next of [null, new Budget<number>()]) {
    test(`counts nothing of it any more once that has ended, where it goes to ${next === null ? "none" : "another"}`, () => {
      const budget = new Budget<number>()
      const lane = open({ ...limits, budget })
      for (let i = 0; i < 3; i++) lane.reserve(NOW)
      budget.take(2, 1, NOW)
      lane.setLimits({ ...limits, budget: next })
      lane.reserve(NOW)
      assert.equal(underWay(budget, NOW), 3)
      lane.release(false)
      for (let i = 0; i < 3; i++) lane.release()
      assert.equal(underWay(budget, NOW), 0)
      if (next === null) return
      next.take(2, 3, NOW)
      assert.equal(underWay(next, NOW), 2, "none of its own is left either, and none of another's was ended")
    })
  }

  test("loses none of those of others to a request that began before the integration came", () => {
    const budget = new Budget<number>()
    const lane = open(limits)
    lane.reserve(NOW)
    budget.take(2, 3, NOW)
    lane.setLimits({ ...limits, budget })
    lane.release()
    assert.equal(underWay(budget, NOW), 2)
  })
})

describe("whatever happens to a lane in whatever order", () => {
  const seed = randomInt(2 ** 31)
  const random = seeded(seed)
  const below = (limit: number): number => Math.floor(random() * limit)

  const limitsOf = (isPaced: boolean): LaneLimits => ({
    maxConcurrent: 1 + below(5),
    maxPerSecond: isPaced ? 1 + below(100) : null,
    held: false,
  })

  /** One step of many; `always` is called after each. */
  const step = (rehearsal: Rehearsal): void => {
    const acts = [
      () => rehearsal.arrive(),
      () => rehearsal.arrive(),
      () => rehearsal.tell(),
      () => rehearsal.begin(),
      () => rehearsal.read(),
      () => rehearsal.endClaim(random() < 0.2),
      () => rehearsal.end(random() < 0.4 ? below(2_000) : null),
      () => {
        rehearsal.now += below(300)
      },
    ]
    acts[below(acts.length)]?.()
  }

  test("it carries no fewer than none and no more than its limit, and at the end nothing still waits", t => {
    t.diagnostic(`seed ${seed}`)
    for (let run = 0; run < 4_000; run++) {
      const rehearsal = new Rehearsal(limitsOf(run % 2 === 0))
      let highest = rehearsal.limits.maxConcurrent
      for (let i = 0; i < 40; i++) {
        if (random() < 0.02) {
          rehearsal.change({ ...limitsOf(random() < 0.5), held: random() < 0.3 })
          // What is under way when a limit is lowered stays under way.
          highest = Math.max(rehearsal.limits.maxConcurrent, rehearsal.lane.inFlight)
        }
        const before = rehearsal.lane.inFlight
        step(rehearsal)
        const { inFlight } = rehearsal.lane
        assert.ok(inFlight >= 0, `run ${run}, step ${i}: ${inFlight} are under way`)
        assert.ok(inFlight <= highest, `run ${run}, step ${i}: ${inFlight} are under way of ${highest}`)
        assert.ok(inFlight <= before || !rehearsal.limits.held, `run ${run}, step ${i}: it took one on while held`)
        highest = Math.max(rehearsal.limits.maxConcurrent, inFlight)
      }
      rehearsal.finish()
      assert.ok(rehearsal.isOver, `run ${run}: something still waits, and the lane would not come back for it`)
      assert.equal(rehearsal.lane.inFlight, 0)
    }
  })

  test("it starts no more in any time than its rate and a burst allow", t => {
    t.diagnostic(`seed ${seed}`)
    for (let run = 0; run < 100; run++) {
      const limits = limitsOf(true)
      const rate = limits.maxPerSecond ?? 0
      const rehearsal = new Rehearsal({ ...limits, maxConcurrent: 50 })
      for (let i = 0; i < 300; i++) step(rehearsal)
      const { starts } = rehearsal
      const burst = 1 + rate / 10
      for (let from = 0; from < starts.length; from++) {
        for (let to = from; to < starts.length; to++) {
          const allowed = burst + (((starts[to] ?? 0) - (starts[from] ?? 0)) * rate) / 1_000
          assert.ok(to - from + 1 <= allowed + 1e-6, `run ${run}: ${to - from + 1} of ${allowed}`)
        }
      }
    }
  })
})
