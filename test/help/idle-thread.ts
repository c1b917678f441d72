/** A thread that does nothing but look at the clock: how long the machine keeps even an idle one waiting. */
import { once } from "node:events"
import { monitorEventLoopDelay } from "node:perf_hooks"
import { isMainThread, parentPort, Worker } from "node:worker_threads"

/** Starts the thread; call what it gives to end it, for the longest that it had to wait in ms. */
export function watchMachine(): () => Promise<number> {
  const worker = new Worker(new URL(import.meta.url))
  return async () => {
    worker.postMessage("how long")
    const [waitedMs] = (await once(worker, "message")) as [number]
    await worker.terminate()
    return waitedMs
  }
}

if (!isMainThread && parentPort !== null) {
  const port = parentPort
  const resolution = 5
  const delay = monitorEventLoopDelay({ resolution })
  delay.enable()
  port.once("message", () => port.postMessage(Math.max(0, delay.max / 1e6 - resolution)))
}
