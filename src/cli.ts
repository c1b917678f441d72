/** The command line: the list of commands, each in a file of its own, and the one place where their faults are told. */
import { Command, CommanderError } from "commander"
import { addBackup } from "./commands/backup.ts"
import { addDeliveries } from "./commands/deliveries.ts"
import { addDoctor } from "./commands/doctor.ts"
import { addEvents } from "./commands/events.ts"
import { CommandFault } from "./commands/fault.ts"
import { addIntegrations } from "./commands/integrations.ts"
import { addKeys } from "./commands/keys.ts"
import { addListen } from "./commands/listen.ts"
import { addMigrate } from "./commands/migrate.ts"
import { addRestore } from "./commands/restore.ts"
import { addSend } from "./commands/send.ts"
import { addServe } from "./commands/serve.ts"
import { addTail } from "./commands/tail.ts"
import { Terminal } from "./commands/terminal.ts"
import { version } from "./config.ts"

const terminal = new Terminal(Date.now)
const program = new Command("waybill")
  .version(version)
  .description("A hub for integration events: every accepted event is accounted for, every failure explains itself.")
  .showHelpAfterError("(add --help to see what can be typed)")
  .exitOverride()

program.commandsGroup("The server and its data folder:")
addServe(program, terminal)
addMigrate(program, terminal)
addBackup(program, terminal)
addRestore(program, terminal)
addDoctor(program, terminal)

program.commandsGroup("On a running Waybill (WAYBILL_URL, WAYBILL_API_KEY):")
addListen(program, terminal)
addSend(program, terminal)
addTail(program, terminal)
addEvents(program, terminal)
addDeliveries(program, terminal)
addIntegrations(program, terminal)
addKeys(program, terminal)

try {
  await program.parseAsync()
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
