/** `waybill serve`: starts the server, says the first words on the terminal, and stops it in order. */
import type { Command } from "commander"
import { type Config, commandName, isLoopbackHost, version } from "../config.ts"
import type { Running } from "../main.ts"
import { judgeUrl, parseEgressAllow } from "../transport/guard.ts"
import { generateSecret } from "../transport/sign.ts"
import { CommandFault, codeOf } from "./fault.ts"
import { firstSteps, firstStepsTitle, freePort } from "./first-steps.ts"
import { configOf, type SettingFlags, withSettings } from "./settings.ts"
import type { Terminal } from "./terminal.ts"

/** What a shell reports of a program that ended by Ctrl-C. */
const INTERRUPTED = 130

export function addServe(program: Command, terminal: Terminal): void {
  withSettings(program.command("serve").summary("start the server"))
    .description("Starts the server. Every setting is an environment variable, too; a flag wins over its variable.")
    .addHelpText("after", "\nExample:\n  $ waybill serve --port 9090 --data-dir /var/lib/waybill")
    .action((flags: SettingFlags) => serve(configOf(flags), terminal))
}

async function serve(config: Config, terminal: Terminal): Promise<void> {
  const running = await begin(config)
  stopOnSignals(running, config, terminal)
  await greet(config, running, terminal)
  // After the greeting: on a terminal, where both come to the same place, that is what a person reads first.
  running.announce()
}

async function begin(config: Config): Promise<Running> {
  // All of the server is loaded here only: other commands start faster without it.
  const { start, StartFault, StoreFault } = await import("../main.ts")
  try {
    return await start(config)
  } catch (error) {
    if (error instanceof StartFault || error instanceof StoreFault) throw new CommandFault(error.message)
    // Somebody was faster after the port had been found free.
    if (codeOf(error) === "EADDRINUSE") {
      throw new CommandFault(
        `${config.host}:${config.port} is taken by another program: choose another port with PORT.`,
      )
    }
    throw error
  }
}

/** The first signal stops in order, a second one at once: what was accepted is on disk either way. */
function stopOnSignals(running: Running, { drainSeconds }: Config, terminal: Terminal): void {
  // A server goes on where nobody takes what it says, as on a full disk.
  for (const stream of [process.stdout, process.stderr]) stream.on("error", () => {})
  let isStopping = false
  const stop = (): void => {
    if (isStopping) process.exit(INTERRUPTED)
    isStopping = true
    const taking = drainSeconds === 0 ? "" : `takes requests for ${drainSeconds} s more (WAYBILL_DRAIN_SECONDS), then `
    terminal.note(`Waybill ${taking}stops when what is under way has ended. Ctrl-C once more ends it at once.`)
    running.stop().then(
      () => process.exit(0),
      (error: unknown) => {
        terminal.note(`Waybill could not stop in order: ${error instanceof Error ? error.message : String(error)}`)
        process.exit(1)
      },
    )
  }
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.on(signal, stop)
}

async function greet(config: Config, running: Running, terminal: Terminal): Promise<void> {
  const loopback = isLoopbackHost(config.host)
  terminal.print(`Waybill ${version} listens on ${running.url}${anyAddress(config.host)}`)
  terminal.print(
    loopback
      ? `It is bound to a loopback address, so integrations may reach loopback (127.0.0.1) on this machine.`
      : `It is not bound to a loopback address, so integrations reach no private addresses${listed(config.egressAllow)}.`,
  )
  if (config.publicUrl !== null) terminal.print(`Others reach it at ${config.publicUrl} (WAYBILL_PUBLIC_URL).`)
  terminal.print(`Everything it keeps is in ${placeOf(config)}. Ctrl-C stops it.`)
  if (running.firstKey === undefined) return

  const port = await freePort()
  const reading = parseEgressAllow(config.egressAllow)
  const allow = reading.kind === "read" ? reading.allow : []
  const reachable = judgeUrl(`http://127.0.0.1:${port}`, { loopback, allow }).kind === "allowed"
  const lines = firstSteps({
    url: config.publicUrl ?? running.url,
    key: config.apiKey === null ? running.firstKey : "$WAYBILL_API_KEY",
    secret: generateSecret(),
    port,
    command: commandName(),
    platform: process.platform,
  })
  terminal.print()
  if (config.apiKey === null) {
    terminal.print(`First API key (shown this once, keep it): ${terminal.paint("bold", running.firstKey)}`)
  } else {
    terminal.print("First API key: the one in WAYBILL_API_KEY.")
  }
  if (running.setupLink !== undefined) {
    terminal.print(`Make yourself the owner (good until used): ${terminal.paint("bold", running.setupLink)}`)
  }
  terminal.print()
  terminal.print(firstStepsTitle(process.platform))
  if (!reachable) {
    terminal.print(
      "(Integrations may not reach 127.0.0.1 here: start with WAYBILL_EGRESS_ALLOW=127.0.0.1 to try them.)",
    )
  }
  terminal.print()
  for (const line of lines) terminal.print(line)
  terminal.print()
}

/** Where everything is kept, without a password. */
function placeOf({ databaseUrl, dataDir }: Config): string {
  if (databaseUrl === null) return dataDir
  const { host, pathname, searchParams } = new URL(databaseUrl)
  const server = host === "" ? (searchParams.get("host") ?? "") : host
  return `the PostgreSQL database ${decodeURIComponent(pathname.slice(1))} on ${server}`
}

function anyAddress(host: string): string {
  return host === "0.0.0.0" || host === "::" ? " and on every other address of this machine" : ""
}

function listed(egressAllow: string): string {
  return egressAllow === "" ? "" : ` but those of WAYBILL_EGRESS_ALLOW (${egressAllow})`
}
