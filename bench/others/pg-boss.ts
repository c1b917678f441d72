/**
 * The job on pg-boss. Every choice beyond the defaults comes from its documentation (docs/api/queues.md, workers.md) and
 * the comments of its types:
 *
 *     retryLimit, retryDelay,     its own retry with exponential backoff
 *     retryBackoff
 *     batchSize, perJobResults    many jobs a fetch, each settled by itself, in one statement for all of a batch
 *     localConcurrency            more than one fetch under way
 *     burstWhenBatchFull          fetches on without a pause while there is more
 *     pollingIntervalSeconds      the least that it takes, half a second
 *
 * Its LISTEN/NOTIFY is left off, as it is by default: it wakes workers at once (p50 13 ms in place of 250), but each commit
 * that notifies waits for the one before it, and no more than 40 % of the events got through.
 */
import { PgBoss } from "pg-boss"
import { attemptsOf, insertOf, pool, prepareAttempts } from "./attempts.ts"
import { type Job, send, serve, setting } from "./service.ts"

const QUEUE = "deliver"

await prepareAttempts()
const boss = new PgBoss({ connectionString: setting("DATABASE_URL"), max: 20 })
boss.on("error", error => console.error(error))
await boss.start()
await boss.createQueue(QUEUE, { retryLimit: 8, retryDelay: 1, retryBackoff: true })
const options = {
  batchSize: 50,
  localConcurrency: 4,
  burstWhenBatchFull: true,
  perJobResults: true,
  pollingIntervalSeconds: 0.5,
} as const
await boss.work<Job, void, typeof options>(QUEUE, options, async jobs => {
  const attempts = await Promise.all(jobs.map(job => send(job.data)))
  // One statement for the batch, as pg-boss settles it with one.
  await pool.query(insertOf(attempts))
  return jobs.map(({ id }, i) => {
    const error = attempts[i]?.error ?? null
    return error === null ? { id, status: "completed" } : { id, status: "failed", output: { message: error } }
  })
})
await serve({ enqueue: job => boss.send(QUEUE, job), attemptsOf, stop: () => boss.stop() })
