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
writeFileSync(join(dist, "package.json"), `${JSON.stringify(publishedPackage(), null, 2)}\n`)
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
  const sources = JSON.parse(readFileSync(join(root, "package.json"), "utf8")) as Record<string, unknown>
  const { private: _private, scripts: _scripts, devDependencies: _devDependencies, ...kept } = sources
  return { ...kept, bin: { waybill: "bin.mjs" } }
}
