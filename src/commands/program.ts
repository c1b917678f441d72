/** The commands of the command line, each in a file of its own, in the order in which the help lists them. */
import { Command } from "commander"
import { version } from "../config.ts"
import { addAudit } from "./audit.ts"
import { addBackup } from "./backup.ts"
import { addDeliveries } from "./deliveries.ts"
import { addDoctor } from "./doctor.ts"
import { addErase } from "./erase.ts"
import { addEvents } from "./events.ts"
import { addExport } from "./export.ts"
import { addImport } from "./import.ts"
import { addIntegrations } from "./integrations.ts"
import { addKeys } from "./keys.ts"
import { addListen } from "./listen.ts"
import { addMigrate } from "./migrate.ts"
import { addPeople } from "./people.ts"
import { addProjects } from "./projects.ts"
import { addRecoveries } from "./recoveries.ts"
import { addRestore } from "./restore.ts"
import { addSecrets } from "./secrets.ts"
import { addSend } from "./send.ts"
import { addServe } from "./serve.ts"
import { addTail } from "./tail.ts"
import type { Terminal } from "./terminal.ts"

/** The command line, ready to parse what was typed. It throws instead of ending the process. */
export function makeProgram(terminal: Terminal): Command {
  const program = new Command("waybill")
    .version(version)
    .description("A hub for integration events: every accepted event is accounted for, every failure explains itself.")
    .showHelpAfterError("(add --help to see what can be typed)")
    .exitOverride()

  program.commandsGroup("The server and its database:")
  addServe(program, terminal)
  addMigrate(program, terminal)
  addBackup(program, terminal)
  addRestore(program, terminal)
  addExport(program, terminal)
  addImport(program, terminal)
  addSecrets(program, terminal)
  addDoctor(program, terminal)

  program.commandsGroup("On a running Waybill (WAYBILL_URL, WAYBILL_API_KEY):")
  addListen(program, terminal)
  addSend(program, terminal)
  addTail(program, terminal)
  addEvents(program, terminal)
  addDeliveries(program, terminal)
  addRecoveries(program, terminal)
  addIntegrations(program, terminal)
  addKeys(program, terminal)
  addPeople(program, terminal)
  addProjects(program, terminal)
  addErase(program, terminal)
  addAudit(program, terminal)

  return program
}
