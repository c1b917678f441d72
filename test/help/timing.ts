/** Times of work that must be quick whatever it is given. */

/** The shortest of three runs in ms: what else the machine does must not decide a test. */
export function shortestMs(work: () => void): number {
  const runs = [1, 2, 3].map(() => {
    const startedAt = performance.now()
    work()
    return performance.now() - startedAt
  })
  return Math.min(...runs)
}
