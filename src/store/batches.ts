/**
 * Batches of one verb: what is asked for while a batch is under way waits for the next, which leaves as soon as that one
 * has landed. Under no load a batch is one piece and waits for nothing.
 */
import type { CommitWatcher } from "./watcher.ts"

export interface BatchesOptions<Item, Answer> {
  /** How large a batch becomes, by `sizeOf`; a piece that is larger by itself goes alone. */
  readonly most: number
  sizeOf(item: Item): number
  /** Pieces of one name never go in one batch. */
  namesOf?(item: Item): readonly string[]
  /** Carries a batch out, as a whole or not at all; gives an answer for each of its pieces. */
  carryOut(batch: readonly Item[]): Promise<readonly Answer[]>
  /** Whether an error would meet each piece by itself too. */
  isHopeless(error: unknown): boolean
  readonly watcher?: CommitWatcher | undefined
}

interface Waiting<Item, Answer> {
  readonly item: Item
  resolve(answer: Answer): void
  reject(error: unknown): void
}

export class Batches<Item, Answer> {
  readonly #options: BatchesOptions<Item, Answer>
  #waiting: Waiting<Item, Answer>[] = []
  #isUnderWay = false

  constructor(options: BatchesOptions<Item, Answer>) {
    this.#options = options
  }

  /** How many pieces wait for a batch. */
  get waiting(): number {
    return this.#waiting.length
  }

  /** Resolves with the answer to this piece, after the commit that holds it; rejects with what undid it. */
  add(item: Item): Promise<Answer> {
    return new Promise((resolve, reject) => {
      this.#waiting.push({ item, resolve, reject })
      if (this.#isUnderWay) return
      this.#isUnderWay = true
      // What else is asked for in this turn goes along.
      setImmediate(() => void this.#workOff())
    })
  }

  async #workOff(): Promise<void> {
    while (this.#waiting.length > 0) {
      const batch = this.#take()
      const error = await this.#carryOut(batch)
      if (error === undefined) continue
      // One piece may have spoilt the batch for all: each on its own, so that only the bad one fails.
      const isShared = batch.length === 1 || this.#options.isHopeless(error)
      for (const one of batch) {
        const failure = isShared ? error : await this.#carryOut([one])
        if (failure !== undefined) one.reject(failure)
      }
    }
    this.#isUnderWay = false
  }

  #take(): Waiting<Item, Answer>[] {
    const { most, sizeOf, namesOf } = this.#options
    const batch: Waiting<Item, Answer>[] = []
    let rest: Waiting<Item, Answer>[] = []
    const names = new Set<string>()
    let size = 0
    for (const [i, one] of this.#waiting.entries()) {
      if (size >= most) {
        // There may be more of them than a call takes arguments.
        rest = rest.concat(this.#waiting.slice(i))
        break
      }
      const own = namesOf?.(one.item) ?? []
      const isFree = batch.length === 0 || !own.some(name => names.has(name))
      // Those of one name keep their order: behind one that waits, all of its names wait.
      for (const name of own) names.add(name)
      if (!isFree) {
        rest.push(one)
        continue
      }
      batch.push(one)
      size += sizeOf(one.item)
    }
    this.#waiting = rest
    return batch
  }

  async #carryOut(batch: readonly Waiting<Item, Answer>[]): Promise<unknown> {
    const startedAt = performance.now()
    let answers: readonly Answer[]
    try {
      answers = await this.#options.carryOut(batch.map(({ item }) => item))
    } catch (error) {
      return error ?? new Error("A batch failed for no reason.")
    }
    this.#options.watcher?.committed(batch.length, performance.now() - startedAt)
    for (const [i, one] of batch.entries()) one.resolve(answers[i] as Answer)
    return undefined
  }
}
