/** The command line: `waybill serve` and everything that talks to a running server. */
import { Command } from "commander"
import { readConfig, type SettingName, settings, version } from "./config.ts"
import { StartFault, StoreFault, start } from "./main.ts"

const program = new Command("waybill").version(version).description("A hub for integration events.")

const serve = program.command("serve").description("Starts the server.")
for (const setting of Object.values(settings)) {
  serve.option(
    `${setting.flag} ${setting.value}`,
    `${setting.sentence} [${setting.variable}, default ${setting.fallback || "unset"}]`,
  )
}
serve.action(async (flags: Partial<Record<SettingName, string>>) => {
  const reading = readConfig(flags)
  if ("faults" in reading) {
    for (const fault of reading.faults) process.stderr.write(`${fault}\n`)
    process.exit(1)
  }
  try {
    const running = await start(reading.config)
    const end = (): void => void running.stop().then(() => process.exit(0))
    process.once("SIGINT", end)
    process.once("SIGTERM", end)
    process.stdout.write(`Waybill ${version} listens on ${running.url}\n`)
    if (running.firstKey !== undefined) process.stdout.write(`First API key (shown once): ${running.firstKey}\n`)
  } catch (error) {
    if (error instanceof StartFault || error instanceof StoreFault) {
      process.stderr.write(`${error.message}\n`)
      process.exit(1)
    }
    throw error
  }
})

await program.parseAsync()
