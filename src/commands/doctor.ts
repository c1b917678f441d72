/** `waybill doctor`: looks at everything that Waybill stands on and says of each part how it is. Changes nothing. */
import { existsSync } from "node:fs"
import type { Command } from "commander"
import { type Config, isLoopbackHost } from "../config.ts"
import type { FileFacts } from "../store/look.ts"
import {
  checkClock,
  checkCommits,
  checkDatabase,
  checkEgress,
  checkFolder,
  checkIntegrity,
  checkKey,
  checkNode,
  checkSpace,
  type Finding,
  type Verdict,
} from "./doctor-checks.ts"
import { examineDatabase } from "./doctor-database.ts"
import { CommandFault } from "./fault.ts"
import { databaseIn, type FolderTools, onFolder } from "./folder.ts"
import { configOf, type SettingFlags, withSettings } from "./settings.ts"
import type { Style, Terminal } from "./terminal.ts"

interface DoctorFlags extends SettingFlags {
  readonly integrity?: true
  readonly json?: true
}

const marks: Readonly<Record<Verdict, readonly [mark: string, style: Style]>> = {
  good: ["✓", "green"],
  doubtful: ["!", "yellow"],
  wrong: ["✗", "red"],
}

export function addDoctor(program: Command, terminal: Terminal): void {
  const names = ["dataDir", "databaseUrl", "allowUnsafeDatabase", "host", "egressAllow", "secretKey"] as const
  withSettings(program.command("doctor").summary("check the database, the disk, the clock and the network"), names)
    .description(
      "Looks at the data folder and its rights, or at the PostgreSQL database that DATABASE_URL names; how durable and how fast commits are, the key, the disk's room, the clock, and what integrations may reach. Exits with 1 if something is wrong. It may be run while Waybill runs.",
    )
    .option("--integrity", "read all of the embedded database, too, which takes a while with a large one")
    .option("--json", "print JSON for programs")
    .addHelpText("after", "\nExample:\n  $ waybill doctor --data-dir /var/lib/waybill")
    .action((flags: DoctorFlags) => doctor(flags, terminal))
}

async function doctor(flags: DoctorFlags, terminal: Terminal): Promise<void> {
  const config = configOf(flags)
  const findings =
    config.databaseUrl === null
      ? await onFolder(config.dataDir, tools => examine(config, flags, terminal.now, tools))
      : await examineDatabase(config, config.databaseUrl, terminal.now)
  if (flags.json) terminal.printJson(findings)
  else for (const finding of findings) show(finding, terminal)
  const wrong = findings.filter(({ verdict }) => verdict === "wrong").length
  if (wrong > 0) throw new CommandFault(wrong === 1 ? "One thing is wrong." : `${wrong} things are wrong.`)
}

async function examine(
  config: Config,
  { integrity }: DoctorFlags,
  now: () => number,
  tools: FolderTools,
): Promise<readonly Finding[]> {
  const { dataDir } = config
  const facts = lookAt(dataDir, tools)
  const isThere = existsSync(dataDir)
  const hosts = facts === null || facts instanceof Error ? [] : facts.hosts
  return [
    checkNode(),
    checkFolder(dataDir, tools),
    checkDatabase(dataDir, facts, tools),
    ...(integrity && facts !== null && !(facts instanceof Error) ? [checkIntegrity(dataDir, tools)] : []),
    ...(isThere ? [checkCommits(dataDir, tools), checkSpace(dataDir)] : []),
    checkKey(config, facts, tools),
    await checkClock(facts, now),
    ...(await checkEgress(config, isLoopbackHost(config.host), hosts)),
  ]
}

/** Null where there is no database, the error where it cannot be read. */
function lookAt(dataDir: string, { look }: FolderTools): FileFacts | Error | null {
  if (!existsSync(databaseIn(dataDir))) return null
  try {
    return look.lookAt(databaseIn(dataDir))
  } catch (error) {
    if (error instanceof Error) return error
    throw error
  }
}

function show({ subject, verdict, message }: Finding, terminal: Terminal): void {
  const [mark, style] = marks[verdict]
  terminal.print(`${terminal.paint(style, mark)} ${subject.padEnd(12)} ${message}`)
}
