/** What Waybill depends on: each package with a sentence on why, each install script with its reason, all of it in one list. */
import assert from "node:assert/strict"
import { readFileSync } from "node:fs"
import { join } from "node:path"
import test from "node:test"

const root = join(import.meta.dirname, "..")
const contributing = readFileSync(join(root, "CONTRIBUTING.md"), "utf8")
const read = (name: string) => JSON.parse(readFileSync(join(root, name), "utf8")) as unknown

interface Manifest {
  readonly dependencies: Readonly<Record<string, string>>
  readonly devDependencies: Readonly<Record<string, string>>
  readonly optionalDependencies: Readonly<Record<string, string>>
}

interface Locked {
  readonly dev?: boolean
  readonly hasInstallScript?: boolean
}

/** The rows of the table whose head begins so: what stands in their first two columns. */
function rowsUnder(head: string): { readonly names: readonly string[]; readonly sentence: string }[] {
  const [, table = ""] = contributing.split(head)
  const lines = table.split("\n").slice(2)
  return lines.slice(0, lines.indexOf("")).map(line => {
    const [, names = "", sentence = ""] = line.split("|").map(cell => cell.trim())
    return { names: names.split(", "), sentence }
  })
}

test("every dependency says in CONTRIBUTING.md why it is here, and nothing else stands there", () => {
  const { dependencies, devDependencies, optionalDependencies } = read("package.json") as Manifest
  const all = Object.keys({ ...dependencies, ...devDependencies, ...optionalDependencies })
  const rows = rowsUnder("| package | why it is here")
  assert.deepEqual(rows.flatMap(({ names }) => names).sort(), all.sort())
  for (const { names, sentence } of rows) assert.ok(sentence.split(" ").length >= 4, `${names} says ${sentence}`)
})

test("what is published runs no script when it is installed, and every other script is named with its reason", () => {
  const { packages } = read("package-lock.json") as { packages: Readonly<Record<string, Locked>> }
  const scripted = Object.entries(packages).filter(([, { hasInstallScript }]) => hasInstallScript === true)
  assert.deepEqual(
    scripted.filter(([, { dev }]) => dev !== true).map(([path]) => path),
    [],
  )
  const names = scripted.map(([path]) => path.slice(path.lastIndexOf("node_modules/") + "node_modules/".length))
  const rows = rowsUnder("| package | what its script does").flatMap(row => row.names)
  const named = (name: string) => rows.find(row => row === name || row === `${name.split("/")[0]}/*`)
  assert.deepEqual(
    names.filter(name => named(name) === undefined),
    [],
  )
  assert.deepEqual(new Set(names.map(named)), new Set(rows), "each row is that of a package")
})
