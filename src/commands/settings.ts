/** The server's settings as options of commands: their flags and sentences come from the one table in config.ts. */
import type { Command } from "commander"
import { type Config, readConfig, type Setting, type SettingName, settings } from "../config.ts"
import { misuse } from "./fault.ts"

/** Flags that were typed, by the name of their setting. Those that take no value are true or, with `--no-`, false. */
export type SettingFlags = Readonly<Partial<Record<SettingName, string | boolean>>>

/** Gives a command options for these settings, or for all of them. */
export function withSettings(command: Command, names = Object.keys(settings) as readonly SettingName[]): Command {
  for (const name of names) {
    const { flag, value, sentence, variable, fallback }: Setting = settings[name]
    command.option(
      `${flag} ${value}`.trimEnd(),
      `${sentence} [${variable}, ${fallback === "" ? "unset" : `default ${fallback}`}]`,
    )
  }
  return command
}

/** The configuration, from flags and environment; throws with a sentence for each value that is wrong. */
export function configOf(flags: SettingFlags): Config {
  const reading = readConfig(valuesOf(flags))
  if ("faults" in reading) throw misuse(reading.faults)
  return reading.config
}

/** What was typed, as values. Commander says `true` of a `--no-` flag that was not. */
function valuesOf(flags: SettingFlags): Partial<Record<SettingName, string>> {
  const values: Partial<Record<SettingName, string>> = {}
  for (const name of Object.keys(settings) as SettingName[]) {
    const given = flags[name]
    const { flag, means }: Setting = settings[name]
    if (typeof given === "string") values[name] = given
    else if (means !== undefined && given === !flag.startsWith("--no-")) values[name] = means
  }
  return values
}
