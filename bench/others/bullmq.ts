/**
 * The job on BullMQ. From its documentation: `attempts` with exponential `backoff` (Retrying failing jobs); a concurrency of
 * 100, "between 100 and 300 is a quite standard setting" for jobs that wait for others (Parallelism and concurrency); a
 * handful of completed jobs kept and more of the failed ones (Auto-removal of jobs). How durable it is decides Redis, which
 * the bench starts with an append-only file. Each event has a list with its attempts.
 */
import { Queue, Worker } from "bullmq"
import { Redis } from "ioredis"
import { type Attempt, type Job, send, serve, setting } from "./service.ts"

const connection = { url: setting("REDIS_URL") }
const redis = new Redis(connection.url)
const queue = new Queue<Job>("deliver", {
  connection,
  defaultJobOptions: {
    attempts: 8,
    backoff: { type: "exponential", delay: 1_000 },
    removeOnComplete: 1_000,
    removeOnFail: 5_000,
  },
})
const worker = new Worker<Job>("deliver", deliver, { connection, concurrency: 100 })
redis.on("error", error => console.error(error))
queue.on("error", error => console.error(error))
worker.on("error", error => console.error(error))

await serve({
  enqueue: job => queue.add("deliver", job),
  attemptsOf: async id => (await redis.lrange(keyOf(id), 0, -1)).map(text => JSON.parse(text) as Attempt),
  stop: async () => {
    await worker.close()
    await queue.close()
    await redis.quit()
  },
})

async function deliver({ data }: { readonly data: Job }): Promise<void> {
  const attempt = await send(data)
  await redis.rpush(keyOf(data.id), JSON.stringify(attempt))
  if (attempt.error !== null) throw new Error(attempt.error)
}

function keyOf(eventId: string): string {
  return `attempts:${eventId}`
}
