/** The log: one JSON line per occurrence on standard error, control characters escaped, secrets never handed in. */
import { destination, type Logger, pino } from "pino"

export type Log = Logger

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
    destination({ dest: 2, sync: false }),
  )
}
