/** What the tree must not say: nothing in it may depend on the machine or the network on which it was written. */
import assert from "node:assert/strict"
import { readdirSync, readFileSync } from "node:fs"
import { join, relative, sep } from "node:path"
import test from "node:test"

const root = join(import.meta.dirname, "..")

/** What git does not keep either. */
const leftOut = [".git", "node_modules", "data", "dist", "bench/results"]
const leftOutAnywhere = /(^|\/)(node_modules|dist)\//

/** Each pattern is written so that it does not match itself. */
const unwelcome: readonly { readonly what: string; readonly pattern: RegExp }[] = [
  {
    what: "a path of one machine",
    pattern: /(?<![\w.~-])\/(?:work|root|Users\/\w+|home\/(?!node\b|waybill\b)\w+)\/\w/,
  },
  { what: "a temporary folder of one machine", pattern: /(?<![\w.])\/tmp\/[\w.-]*\w/ },
  {
    what: "a registry's host",
    pattern: /\b(?:registry\.(?:npmjs|yarnpkg|npmmirror)|npm\.pkg\.github|python(?:hosted)|pypi\.(?:org))\b/,
  },
  { what: "a key for a registry", pattern: /_auth(?:Token)?\s*=|\bnpm_[A-Za-z0-9]{36}\b/ },
]

test("no file names a registry or a path of the machine on which it was written", () => {
  const found = textFiles().flatMap(path =>
    readFileSync(join(root, path), "utf8")
      .split("\n")
      .flatMap((line, i) =>
        unwelcome.filter(({ pattern }) => pattern.test(line)).map(({ what }) => `${path}:${i + 1} has ${what}`),
      ),
  )
  assert.equal(found.join("\n"), "")
})

test("the lock file leaves it to npm's settings where packages come from", () => {
  const { packages } = readJson("package-lock.json") as { packages: Record<string, { resolved?: string }> }
  const addressed = Object.entries(packages).filter(([, entry]) => entry.resolved !== undefined)
  assert.deepEqual(
    addressed.map(([path]) => path),
    [],
  )
})

test("the lock file holds every optional package, or `npm ci` would refuse it", () => {
  const { packages } = readJson("package-lock.json") as { packages: Record<string, { optionalDependencies?: object }> }
  const wanted = Object.values(packages).flatMap(entry => Object.keys(entry.optionalDependencies ?? {}))
  assert.deepEqual(
    wanted.filter(name => packages[`node_modules/${name}`] === undefined),
    [],
  )
})

test("every dependency is pinned to one version, and Node to the same one for every platform", () => {
  const { dependencies, devDependencies, optionalDependencies } = readJson("package.json") as Record<
    string,
    Record<string, string>
  >
  const all = Object.entries({ ...dependencies, ...devDependencies, ...optionalDependencies })
  assert.deepEqual(
    all.filter(([, version]) => !/^\d+\.\d+\.\d+(-[\w.]+)?$/.test(version)),
    [],
  )
  assert.equal(new Set(Object.values(optionalDependencies ?? {})).size, 1)
})

function textFiles(): string[] {
  return readdirSync(root, { withFileTypes: true })
    .filter(entry => !leftOut.includes(entry.name))
    .flatMap(entry => {
      if (!entry.isDirectory()) return [entry.name]
      const inside = readdirSync(join(root, entry.name), { recursive: true, withFileTypes: true })
      return inside.filter(file => file.isFile()).map(file => relative(root, join(file.parentPath, file.name)))
    })
    .map(path => path.replaceAll(sep, "/"))
    .filter(
      path =>
        !leftOut.some(folder => path.startsWith(`${folder}/`)) &&
        !leftOutAnywhere.test(path) &&
        !/\.(png|ico|db|gz|log|cpuprofile)$/.test(path),
    )
}

function readJson(name: string): unknown {
  return JSON.parse(readFileSync(join(root, name), "utf8"))
}
