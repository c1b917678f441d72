/** What a command says when it cannot do what was asked: sentences for a person, and the exit code for a program. */
import type { Command } from "commander"
import { nearest } from "../domain/nearest.ts"

/** 1: it did not work. 2: it was asked for in a wrong way, so that the same words would never work. */
export type FaultCode = 1 | 2

/** Thrown by commands and caught once, in cli.ts, which prints its lines. */
export class CommandFault extends Error {
  readonly exitCode: FaultCode

  /** Takes whole sentences; each becomes a line. */
  constructor(message: string | readonly string[], exitCode: FaultCode = 1) {
    super(typeof message === "string" ? message : message.join("\n"))
    this.exitCode = exitCode
  }
}

/** A fault in what was typed. */
export function misuse(message: string | readonly string[]): CommandFault {
  return new CommandFault(message, 2)
}

/** A word that stands where a subcommand can stand, but is none. */
export function unknownSubcommand(parent: Command, word: string): CommandFault {
  const known = parent.commands.map(command => command.name())
  const meant = nearest(word, known)
  const hint = meant === null ? `Known are ${known.join(", ")}.` : `Did you mean ${meant}?`
  return misuse(`\`${parent.name()}\` knows no ${JSON.stringify(word)}. ${hint}`)
}

/** What the system calls an error, such as `ENOENT`; empty for errors that are not the system's. */
export function codeOf(error: unknown): string {
  return error instanceof Error && "code" in error ? String(error.code) : ""
}
