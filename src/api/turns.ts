/** Turn-taking: work on the same thing one after another, on different things side by side. */

export class Turns<Key> {
  readonly #last = new Map<Key, Promise<unknown>>()

  /** Runs work when all earlier work under the key is over, however that ended. */
  async inTurn<T>(key: Key, work: () => Promise<T>): Promise<T> {
    const before = this.#last.get(key) ?? Promise.resolve()
    const mine = before.then(work, work)
    this.#last.set(key, mine)
    try {
      return await mine
    } finally {
      if (this.#last.get(key) === mine) this.#last.delete(key)
    }
  }
}
