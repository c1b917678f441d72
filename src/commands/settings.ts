/** The server's settings as options of commands: their flags and sentences come from the one table in config.ts. */
import type { Command } from "commander"
import { type Config, readConfig, type Setting, type SettingName, settings } from "../config.ts"
import { misuse } from "./fault.ts"

/** Flags that were typed, by the name of their setting. */
export type SettingFlags = Readonly<Partial<Record<SettingName, string>>>

/** Gives a command options for these settings, or for all of them. */
export function withSettings(command: Command, names = Object.keys(settings) as readonly SettingName[]): Command {
  for (const name of names) {
    const { flag, value, sentence, variable, fallback }: Setting = settings[name]
    command.option(
      `${flag} ${value}`,
      `${sentence} [${variable}, ${fallback === "" ? "unset" : `default ${fallback}`}]`,
    )
  }
  return command
}

/** The configuration, from flags and environment; throws with a sentence for each value that is wrong. */
export function configOf(flags: SettingFlags): Config {
  const reading = readConfig(flags)
  if ("faults" in reading) throw misuse(reading.faults)
  return reading.config
}
