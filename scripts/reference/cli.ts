/** The page of the command line, from the definitions of its commands. */
import type { Argument, Command, Option } from "commander"
import { code, pageHead, table, text } from "./markdown.ts"

const intro = `In the sources a command is typed as \`npm run waybill -- <command>\`, so \`waybill tail\` reads
\`npm run waybill -- tail\`. Results go to standard output, everything else to standard error; \`--json\` prints lines of JSON
for programs. The exit code is 0 when it worked, 1 when it did not, 2 when it was asked for in a way that never works.`

/** The page as Markdown; the anchor of a command is its name with hyphens. */
export function cliPage(program: Command): string {
  const commands = commandsOf(program)
  const index = table(
    ["command", "does"],
    commands.map(command => [`[${code(fullName(command))}](#${anchorOf(command)})`, text(command.summary())]),
  )
  const server = `All commands that talk to a running server have these, too:\n\n${serverTable(commands)}`
  return [pageHead("Command line", "src/commands/", intro), index, server, ...commands.map(section)].join("\n")
}

function commandsOf(command: Command): Command[] {
  return command.commands.flatMap(child => [child, ...commandsOf(child)])
}

/** Options that say which server a command talks to, and how it answers: described once. */
const serverOptions = ["--url", "--key", "--json"]

/** The options of `serverOptions`, from a command that has them all. */
function serverTable(commands: readonly Command[]): string {
  const found = commands.map(command => command.options.filter(isServerOption))
  const options = found.find(({ length }) => length === serverOptions.length) ?? []
  return table(["option", "what it does"], options.map(optionRow))
}

function isServerOption({ long }: Option): boolean {
  return long !== undefined && serverOptions.includes(long)
}

function section(command: Command): string {
  const given = command.registeredArguments.map(argumentRow)
  const options = command
    .createHelp()
    .visibleOptions(command)
    .filter(option => option.long !== "--help" && !isServerOption(option))
  const parts = [
    `## ${code(fullName(command))}\n\n${text(command.description() || command.summary())}\n`,
    `\`\`\`\n${fullName(command)} ${command.usage()}\n\`\`\`\n`,
    ...(given.length > 0 ? [table(["argument", "what it is"], given)] : []),
    ...(options.length > 0 ? [table(["option", "what it does"], options.map(optionRow))] : []),
    ...examplesOf(command),
  ]
  return parts.join("\n")
}

function argumentRow(argument: Argument): string[] {
  return [code(argument.name()), text(argument.description)]
}

function optionRow({ flags, description, defaultValue }: Option): string[] {
  const isTold = defaultValue === undefined || defaultValue === false
  return [code(flags), text(description) + (isTold ? "" : `; default ${code(String(defaultValue))}`)]
}

/** What a command adds to its help: everything that is not made of its definition. */
function examplesOf(command: Command): string[] {
  let whole = ""
  command.configureOutput({ writeOut: written => (whole += written) })
  command.outputHelp()
  const added = whole.replace(command.helpInformation(), "").trim()
  return added === "" ? [] : [`\`\`\`sh\n${added.replace(/^Examples?:\n/, "").replace(/^ {2}\$ /gm, "")}\n\`\`\`\n`]
}

function fullName(command: Command): string {
  return command.parent === null ? command.name() : `${fullName(command.parent)} ${command.name()}`
}

function anchorOf(command: Command): string {
  return fullName(command).replaceAll(" ", "-")
}
