/** The command line: parses what was typed, and is the one place where the faults of commands are told. */
import { CommanderError } from "commander"
import { CommandFault } from "./commands/fault.ts"
import { makeProgram } from "./commands/program.ts"
import { Terminal } from "./commands/terminal.ts"

const terminal = new Terminal(Date.now)
try {
  await makeProgram(terminal).parseAsync()
} catch (error) {
  process.exitCode = tell(error)
}

/** Says what went wrong; gives the exit code. */
function tell(error: unknown): number {
  if (error instanceof CommandFault) {
    for (const line of error.message.split("\n")) terminal.note(terminal.paintNote("red", line))
    return error.exitCode
  }
  // Commander has said it already; asking for help or the version is no fault.
  if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : 2
  // What the system says of a file or a connection is a sentence already; anything else is a fault of ours.
  if (error instanceof Error && "syscall" in error) terminal.note(terminal.paintNote("red", error.message))
  else terminal.note(error instanceof Error ? (error.stack ?? error.message) : String(error))
  return 1
}
