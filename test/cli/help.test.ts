/** What the command line says of itself: complete help with examples that can be typed, and the nearest word for a slip. */
import assert from "node:assert/strict"
import test from "node:test"
import { linesOf, runCli } from "../help/cli.ts"

/** The names of the commands in a help text. */
function commandsIn(help: string): string[] {
  const lists = help.replace(/^Arguments:\n(?: .*\n)+/m, "")
  return [...lists.matchAll(/^ {2}([a-z][a-z-]+) (?:\[|<| )/gm)]
    .map(([, name = ""]) => name)
    .filter(name => name !== "help")
}

test("the list of commands is that of the command line, in two groups", async () => {
  const { code, stdout } = await runCli(["--help"])
  assert.equal(code, 0)
  assert.deepEqual(commandsIn(stdout), [
    ...["serve", "migrate", "backup", "restore", "export", "import", "secrets", "doctor"],
    ...["listen", "send", "tail", "events", "deliveries", "retry", "release", "recoveries", "integrations", "keys"],
    ...["people", "projects", "erase", "audit"],
  ])
})

test("every command's help has a description, its options and an example of its own", async () => {
  const names = commandsIn((await runCli(["--help"])).stdout)
  const below = await Promise.all(
    ["secrets", "recoveries", "integrations", "keys", "people", "projects", "audit"].map(async parent => {
      const children = commandsIn((await runCli([parent, "--help"])).stdout)
      return children.map(child => [parent, child])
    }),
  )
  const commands = [...names.map(name => [name]), ...below.flat()]
  assert.equal(commands.length, 22 + 2 + 6 + 13 + 3 + 5 + 1 + 1)
  // A few at a time: each is a process.
  for (let at = 0; at < commands.length; at += 6) {
    await Promise.all(
      commands.slice(at, at + 6).map(async words => {
        const { code, stdout } = await runCli([...words, "--help"])
        assert.equal(code, 0)
        assert.match(stdout, new RegExp(`^Usage: waybill ${words.join(" ")} `))
        assert.match(stdout, /\n\n[A-Z][^\n]+[\s\S]*\.\n/, `${words} has no description`)
        const [, examples = ""] = /\nExamples?:\n([\s\S]+)$/.exec(stdout) ?? []
        assert.ok(
          linesOf(examples).some(line => line.includes(`waybill ${words.join(" ")}`)),
          `${words} has no example`,
        )
      }),
    )
  }
})

test("a word that is no command, an option that is none and no word at all end with 2 and a hint", async () => {
  const [word, option, nothing, missing] = await Promise.all([
    runCli(["evnets"]),
    runCli(["events", "--stauts", "failed"]),
    runCli([]),
    runCli(["retry"]),
  ])
  assert.deepEqual([word.code, option.code, nothing.code, missing.code], [2, 2, 2, 2])
  assert.match(word.stderr, /unknown command 'evnets'\n\(Did you mean events\?\)/)
  assert.match(option.stderr, /unknown option '--stauts'\n\(Did you mean --status\?\)/)
  assert.match(nothing.stderr, /^Usage: waybill/)
  assert.match(missing.stderr, /missing required argument 'id'/)
})

test("the version is printed", async () => {
  const { code, stdout } = await runCli(["--version"])
  assert.equal(code, 0)
  assert.match(stdout, /^\d+\.\d+\.\d+\n$/)
})
