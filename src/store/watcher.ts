/** Told after every commit, for the metrics. */
export interface CommitWatcher {
  /** How many pieces of work it held, and how long it took, in ms. */
  committed(works: number, durationMs: number): void
}
