/**
 * The job on Graphile Worker. Concurrency, local queue and batched completion are the configuration with which its own page
 * on performance (worker.graphile.org/docs/performance) reaches most. Retries are its own: 25 attempts, exponential
 * backoff. A line of log for each job, which it writes by default, is left out.
 */
import { Logger, run } from "graphile-worker"
import { attemptsOf, insertOf, pool, prepareAttempts } from "./attempts.ts"
import { type Job, send, serve } from "./service.ts"

await prepareAttempts()
const runner = await run({
  pgPool: pool,
  preset: {
    worker: {
      concurrentJobs: 24,
      localQueue: { size: 500 },
      completeJobBatchDelay: 0,
      failJobBatchDelay: 0,
    },
  },
  noHandleSignals: true,
  logger: new Logger(() => (level, message) => {
    if (level === "error" || level === "warning") console.error(message)
  }),
  taskList: {
    async deliver(payload) {
      const attempt = await send(payload as Job)
      await pool.query(insertOf([attempt]))
      if (attempt.error !== null) throw new Error(attempt.error)
    },
  },
})
await serve({ enqueue: job => runner.addJob("deliver", job), attemptsOf, stop: () => runner.stop() })
