/**
 * Makes dist/: what would be published. JavaScript and types from src/, the files that lie beside them (migrations), the
 * command that finds its own Node, and a package.json without what only developing needs.
 */
import { spawnSync } from "node:child_process"
import { chmodSync, copyFileSync, cpSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { join } from "node:path"

const root = join(import.meta.dirname, "..")
const dist = join(root, "dist")

rmSync(dist, { recursive: true, force: true })
compile()
cpSync(join(root, "src"), dist, { recursive: true, filter: path => !path.endsWith(".ts") })
for (const name of ["bin.mjs", "runtime.mjs"]) copyFileSync(join(root, "scripts", name), join(dist, name))
chmodSync(join(dist, "bin.mjs"), 0o755)
for (const name of readdirSync(root)) {
  if (/^(README|LICENSE|CHANGELOG)/.test(name)) copyFileSync(join(root, name), join(dist, name))
}
writeJson("package.json", publishedPackage())
writeJson("npm-shrinkwrap.json", publishedLock())
console.log(`Built ${dist}`)

function compile(): void {
  const tsc = join(root, "node_modules/typescript/bin/tsc")
  const { status } = spawnSync(process.execPath, [tsc, "-p", join(root, "tsconfig.build.json")], { stdio: "inherit" })
  if (status !== 0) {
    console.error("Nothing was built: the types have faults, see above.")
    process.exit(1)
  }
}

function publishedPackage(): object {
  const { private: _private, scripts: _scripts, devDependencies: _devDependencies, ...kept } = readJson("package.json")
  return { ...kept, bin: { waybill: "bin.mjs" } }
}

/** The lock file without dev packages, under the name that npm publishes: users get the versions that were tested. */
function publishedLock(): object {
  const lock = readJson("package-lock.json")
  const { "": self, ...packages } = lock["packages"] as Record<string, Record<string, unknown>>
  const { devDependencies: _devDependencies, ...kept } = self ?? {}
  const published = Object.entries(packages).filter(([, entry]) => entry["dev"] !== true)
  return { ...lock, packages: { "": { ...kept, bin: { waybill: "bin.mjs" } }, ...Object.fromEntries(published) } }
}

function readJson(name: string): Record<string, unknown> {
  return JSON.parse(readFileSync(join(root, name), "utf8")) as Record<string, unknown>
}

function writeJson(name: string, content: object): void {
  writeFileSync(join(dist, name), `${JSON.stringify(content, null, 2)}\n`)
}
