/**
 * A thread that has next to nothing to do: it looks at the clock, and twenty times a second writes a few bytes durably.
 * How long the machine keeps even that waiting is no fault of what is measured beside it.
 */
import { once } from "node:events"
import { closeSync, fsyncSync, openSync, rmSync, writeSync } from "node:fs"
import { join } from "node:path"
import { monitorEventLoopDelay } from "node:perf_hooks"
import { isMainThread, parentPort, Worker, workerData } from "node:worker_threads"

/** The longest waits of the idle thread, in ms: for its turn, and for the disk. */
export interface MachineWaits {
  readonly turnMs: number
  readonly fsyncMs: number
}

/** Starts the thread, which writes to the disk that a folder is on; call what it gives to end it. */
export function watchMachine(folder: string): () => Promise<MachineWaits> {
  const worker = new Worker(new URL(import.meta.url), { workerData: join(folder, "idle-thread") })
  return async () => {
    worker.postMessage("how long")
    const [waits] = (await once(worker, "message")) as [MachineWaits]
    await worker.terminate()
    return waits
  }
}

if (!isMainThread && parentPort !== null) {
  const port = parentPort
  const path = String(workerData)
  const file = openSync(path, "w")
  let [turnMs, fsyncMs] = [0, 0]
  const resolution = 5
  const delay = monitorEventLoopDelay({ resolution })
  delay.enable()
  const timer = setInterval(() => {
    turnMs = Math.max(turnMs, delay.max / 1e6 - resolution)
    writeSync(file, "waybill", 0)
    const startedAt = performance.now()
    fsyncSync(file)
    fsyncMs = Math.max(fsyncMs, performance.now() - startedAt)
    // The time in fsync is no wait for a turn.
    delay.reset()
  }, 50)
  port.once("message", () => {
    clearInterval(timer)
    closeSync(file)
    rmSync(path)
    port.postMessage({ turnMs, fsyncMs } satisfies MachineWaits)
  })
}
