/** The log: one JSON line per occurrence on standard error, control characters escaped, secrets never handed in. */
import { destination, type Logger, pino } from "pino"

export type Log = Logger

/** What waits for a place that takes nothing, such as a full disk; what comes beyond it is lost. */
const MOST_WAITING_BYTES = 4_194_304

/** Opens the log at a level (`debug`, `info`, `warn`, `error`, `silent`). */
export function openLog(level: string): Log {
  const lines = destination({ dest: 2, sync: false, maxLength: MOST_WAITING_BYTES })
  // A log that cannot be written must not take the service with it: without a listener the process would end.
  lines.on("error", () => {})
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
