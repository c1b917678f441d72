/** A Dockerfile taken apart, and what its `.dockerignore` lets through: as far as the test of ours needs it, and strict beyond. */

export interface Instruction {
  readonly line: number
  /** In capitals. */
  readonly name: string
  /** `--from=built` as `{ from: "built" }`. */
  readonly flags: Readonly<Record<string, string>>
  /** Everything behind the flags, continued lines joined. */
  readonly text: string
}

export interface Stage {
  readonly base: string
  readonly name: string | null
  readonly instructions: readonly Instruction[]
}

const known = [
  ...["ARG", "CMD", "COPY", "ENTRYPOINT", "ENV", "EXPOSE", "HEALTHCHECK", "LABEL", "RUN", "STOPSIGNAL", "USER"],
  ...["VOLUME", "WORKDIR"],
]

/** Throws at the first line that is no instruction. */
export function readDockerfile(text: string): Stage[] {
  const stages: { base: string; name: string | null; instructions: Instruction[] }[] = []
  for (const instruction of instructionsOf(text)) {
    if (instruction.name === "FROM") {
      const [base = "", as, name, ...rest] = instruction.text.split(/\s+/)
      if (rest.length > 0 || (as !== undefined && as !== "AS")) throw wrong(instruction, "is no FROM")
      stages.push({ base, name: name ?? null, instructions: [] })
      continue
    }
    const stage = stages.at(-1)
    if (stage === undefined) throw wrong(instruction, "stands before the first FROM")
    if (!known.includes(instruction.name)) throw wrong(instruction, "is no instruction")
    stage.instructions.push(instruction)
  }
  return stages
}

/** The words of an instruction in the form of a JSON array; throws where it has the form that a shell runs. */
export function execForm({ text, ...instruction }: Instruction): string[] {
  if (!text.startsWith("[")) throw wrong({ text, ...instruction }, "is run by a shell, which keeps signals to itself")
  return JSON.parse(text) as string[]
}

/** The variables of an `ENV`. */
export function variablesOf({ text }: Instruction): Record<string, string> {
  return Object.fromEntries([...text.matchAll(/(\w+)=(\S*)/g)].map(([, name = "", value = ""]) => [name, value]))
}

/** The paths that a `.dockerignore` lets through which leaves everything out but those it lists. */
export function letThrough(text: string): string[] {
  const [first, ...rest] = text.split("\n").filter(line => line !== "" && !line.startsWith("#"))
  if (first !== "*") throw new Error(".dockerignore does not begin with leaving everything out")
  return rest.map(line => {
    if (!/^![\w./-]+$/.test(line)) throw new Error(`.dockerignore: ${line} is no plain path that is let through`)
    return line.slice(1)
  })
}

function instructionsOf(text: string): Instruction[] {
  const found: Instruction[] = []
  let begun: number | null = null
  let joined = ""
  for (const [i, line] of text.split("\n").entries()) {
    if (/^\s*(#|$)/.test(line)) continue
    begun ??= i + 1
    joined += `${line.replace(/\\$/, "").trim()} `
    if (line.endsWith("\\")) continue
    found.push(instructionOf(joined.trim(), begun))
    begun = null
    joined = ""
  }
  if (begun !== null) throw new Error("The Dockerfile ends in the middle of an instruction")
  return found
}

function instructionOf(text: string, line: number): Instruction {
  const [, name = "", flagged = "", rest = ""] = /^(\S+)((?:\s+--\S+)*)\s*(.*)$/s.exec(text) ?? []
  const flags = [...flagged.matchAll(/--([\w-]+)=(\S+)/g)].map(([, flag = "", value = ""]) => [flag, value])
  return { line, name, flags: Object.fromEntries(flags), text: rest }
}

function wrong({ line, name, text }: Instruction, what: string): Error {
  return new Error(`Dockerfile:${line}: ${name} ${text} ${what}`)
}
