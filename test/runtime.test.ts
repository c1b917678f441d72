/** Programs run on the pinned Node, whatever Node started them, and behave as if nothing stood in between. */
import assert from "node:assert/strict"
import { type ChildProcessByStdio, spawn } from "node:child_process"
import { once } from "node:events"
import { copyFileSync, mkdtempSync, realpathSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import type { Readable } from "node:stream"
import test, { type TestContext } from "node:test"
import { findNode } from "../scripts/runtime.mjs"

const root = join(import.meta.dirname, "..")

test("the Node that package.json pins is the one that runs this", () => {
  const found = findNode(root)
  assert.ok("path" in found)
  assert.equal(realpathSync(found.path), realpathSync(process.execPath))
})

test("where the pinned Node is not installed, a Node of the system that is new enough serves", t => {
  assert.deepEqual(findNode(packageFolder(t, "")), { path: process.execPath })
})

test("where there is no Node that is new enough, one line says so and what to do", t => {
  const folder = packageFolder(t, "")
  const path = process.env["PATH"]
  t.after(() => {
    process.env["PATH"] = path
  })
  process.env["PATH"] = folder

  const found = findNode(folder, "20.11.0")

  assert.ok("missing" in found)
  assert.match(found.missing, /^Waybill needs Node 26 or newer, this is 20\.11\.0: .*(npm install|nodejs\.org).*\.$/)
})

test("a program is told of the signal that was meant for it, and its exit code is passed on", async t => {
  const folder = packageFolder(
    t,
    'process.on("SIGTERM", () => process.exit(7)); setInterval(() => {}, 1e6); console.log("up")',
  )
  const command = start(t, process.execPath, [join(folder, "bin.mjs")])
  await once(command.stdout, "data")
  command.kill("SIGTERM")
  assert.deepEqual(await once(command, "exit"), [7, null])
})

test("a program that a signal ends is seen to end by that signal", async t => {
  const folder = packageFolder(t, 'process.kill(process.pid, "SIGKILL")')
  const command = start(t, process.execPath, [join(folder, "bin.mjs")])
  assert.deepEqual(await once(command, "exit"), [null, "SIGKILL"])
})

test("a program stops when the shell is killed in which npm runs scripts", async t => {
  const folder = packageFolder(
    t,
    'process.on("SIGTERM", () => process.exit()); setInterval(() => {}, 1e6); console.log("up")',
  )
  const runtime = JSON.stringify(join(folder, "runtime.mjs"))
  const script = `
    import { runOnNode } from ${runtime}
    runOnNode(${JSON.stringify(folder)}, [${JSON.stringify(join(folder, "cli.js"))}], { endWithParent: true })`
  writeFileSync(join(folder, "script.mjs"), script)
  // What follows the command keeps a shell from making way for it.
  const shell = start(t, "sh", ["-c", `"${process.execPath}" "${join(folder, "script.mjs")}"; true`])
  await once(shell.stdout, "data")
  shell.kill("SIGTERM")
  // The stream ends with the last process that holds it: the program itself.
  await once(shell.stdout.resume(), "end")
})

/** A folder as the published package has it, without anything installed, in which the command runs `program`. */
function packageFolder(t: TestContext, program: string): string {
  const folder = mkdtempSync(join(tmpdir(), "waybill-runtime-"))
  t.after(() => rmSync(folder, { recursive: true, force: true }))
  for (const name of ["bin.mjs", "runtime.mjs"]) copyFileSync(join(root, "scripts", name), join(folder, name))
  copyFileSync(join(root, "package.json"), join(folder, "package.json"))
  writeFileSync(join(folder, "cli.js"), program)
  return folder
}

function start(t: TestContext, command: string, args: readonly string[]): ChildProcessByStdio<null, Readable, null> {
  const child = spawn(command, args, { stdio: ["ignore", "pipe", "inherit"] })
  t.after(() => child.kill("SIGKILL"))
  return child
}
