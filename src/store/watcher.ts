/** Told after every commit, for the metrics. */
export interface CommitWatcher {
  /** How many pieces of work it held, and how long it took, in ms. */
  committed(works: number, durationMs: number): void
  /** Told, where claiming is a round trip of its own, how long one took, in ms. */
  claimed?(durationMs: number): void
}
