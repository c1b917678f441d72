/** The log: one JSON line per occurrence on standard error, control characters escaped, secrets never handed in. */
import { write, writeSync } from "node:fs"
import { type Logger, pino } from "pino"

export type Log = Logger

const STANDARD_ERROR = 2
/** What waits for a place that takes nothing; what comes beyond it is lost. */
const MOST_WAITING_CHARACTERS = 4_194_304

/** Opens the log at a level (`debug`, `info`, `warn`, `error`, `silent`). */
export function openLog(level: string): Log {
  return pino(
    {
      level,
      base: null,
      timestamp: pino.stdTimeFunctions.isoTime,
      formatters: { level: label => ({ level: label }) },
      // A second wall: what should not be handed in is taken out (API-30).
      redact: {
        paths: ["authorization", "cookie", "key", "secret", "*.authorization", "*.cookie", "*.secret", "headers.*"],
        censor: "[redacted]",
      },
    },
    lines,
  )
}

/**
 * Lines on their way to standard error, written without anybody waiting for it. Where it takes none, as a file on a full
 * disk, lines are lost and the service goes on: pino's own destination ends the process then, and hangs while it ends.
 */
class Lines {
  #waiting = ""
  /** What is left of a piece that was taken in part only. */
  #rest: Buffer = Buffer.alloc(0)
  #isWriting = false

  write(line: string): void {
    if (this.#waiting.length + line.length > MOST_WAITING_CHARACTERS) return
    this.#waiting += line
    if (!this.#isWriting) this.#next()
  }

  /** At the end of the process, with no event loop left. */
  flush(): void {
    let rest = this.#take()
    try {
      while (rest.length > 0) rest = rest.subarray(writeSync(STANDARD_ERROR, rest))
    } catch {
      // Nobody is left to be told.
    }
  }

  #next(): void {
    const text = this.#take()
    this.#isWriting = true
    write(STANDARD_ERROR, text, (error, written) => {
      this.#isWriting = false
      // A pipe that is full takes it later; anything else takes it never.
      if (error === null) this.#rest = text.subarray(written)
      else if (error.code === "EAGAIN") this.#rest = text
      if (error === null && (this.#waiting !== "" || this.#rest.length > 0)) this.#next()
    })
  }

  #take(): Buffer {
    const all = Buffer.concat([this.#rest, Buffer.from(this.#waiting)])
    this.#rest = Buffer.alloc(0)
    this.#waiting = ""
    return all
  }
}

const lines = new Lines()
process.on("exit", () => lines.flush())
