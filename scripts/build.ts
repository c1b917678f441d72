/**
 * Makes dist/: what would be published. JavaScript and types from src/, the files that lie beside them (migrations), the
 * command that finds its own Node, the dashboard, a package.json without what only developing needs, and a list of what it
 * brings along.
 */
import { spawnSync } from "node:child_process"
import { chmodSync, copyFileSync, cpSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { join } from "node:path"

const root = join(import.meta.dirname, "..")
const dist = join(root, "dist")
/** How npm marks what only developing needs. */
const DEVELOPMENT = "cdx:npm:package:development"

rmSync(dist, { recursive: true, force: true })
compile()
cpSync(join(root, "src"), dist, { recursive: true, filter: path => !path.endsWith(".ts") })
for (const name of ["bin.mjs", "runtime.mjs"]) copyFileSync(join(root, "scripts", name), join(dist, name))
chmodSync(join(dist, "bin.mjs"), 0o755)
for (const name of readdirSync(root)) {
  if (/^(README|LICENSE|CHANGELOG)/.test(name)) copyFileSync(join(root, name), join(dist, name))
}
buildDashboard()
writeFileSync(join(dist, "package.json"), `${JSON.stringify(publishedPackage(), null, 2)}\n`)
writeFileSync(join(dist, "sbom.cdx.json"), `${JSON.stringify(billOfMaterials(), null, 2)}\n`)
console.log(`Built ${dist}`)

function compile(): void {
  const tsc = join(root, "node_modules/typescript/bin/tsc")
  const { status } = spawnSync(process.execPath, [tsc, "-p", join(root, "tsconfig.build.json")], { stdio: "inherit" })
  if (status !== 0) {
    console.error("Nothing was built: the types have faults, see above.")
    process.exit(1)
  }
}

/** Where src/main.ts looks for it in a package. */
function buildDashboard(): void {
  const { status } = spawnSync(process.execPath, [join(root, "scripts/dashboard.ts")], { stdio: "inherit" })
  if (status !== 0) process.exit(1)
  const filter = (path: string): boolean => !path.endsWith(".stamp")
  cpSync(join(root, "dashboard/dist"), join(dist, "dashboard"), { recursive: true, filter })
}

function publishedPackage(): object {
  const sources = JSON.parse(readFileSync(join(root, "package.json"), "utf8")) as Record<string, unknown>
  const { private: _private, scripts: _scripts, devDependencies: _devDependencies, ...kept } = sources
  return { ...kept, bin: { waybill: "bin.mjs" } }
}

/** Every package that what is published brings with it, in CycloneDX's form, as npm makes it of the lock file. */
function billOfMaterials(): object {
  const args = ["sbom", "--sbom-format=cyclonedx", "--package-lock-only", "--loglevel=error"]
  const isWindows = process.platform === "win32"
  const options = { cwd: root, encoding: "utf8", shell: isWindows, maxBuffer: 50_000_000 } as const
  const { status, stdout, stderr } = spawnSync("npm", args, options)
  if (status !== 0) {
    console.error(`Nothing was built: npm could not list what is in it.\n${stderr}`)
    process.exit(1)
  }
  const { serialNumber: _number, metadata, components, dependencies, ...bill } = JSON.parse(stdout) as Bill
  const { timestamp: _time, component, ...kept } = metadata
  // With `--omit=dev` npm (11.19) leaves out as well what developing and the program share, such as pg.
  const ours = components.filter(({ properties = [] }) => !properties.some(({ name }) => name === DEVELOPMENT))
  const refs = new Set([component["bom-ref"], ...ours.map(each => each["bom-ref"])])
  return {
    ...bill,
    // The same sources give the same text, whenever and in whatever folder they are built.
    metadata: { ...kept, component: { ...component, name: "waybill" } },
    components: ours,
    dependencies: dependencies
      .filter(({ ref }) => refs.has(ref))
      .map(({ ref, dependsOn }) => ({ ref, dependsOn: dependsOn.filter(on => refs.has(on)) })),
  }
}

/** What npm writes, as far as it is changed. */
interface Bill {
  readonly serialNumber?: string
  readonly metadata: { readonly timestamp?: string; readonly component: Component }
  readonly components: readonly Component[]
  readonly dependencies: readonly { readonly ref: string; readonly dependsOn: readonly string[] }[]
}

interface Component {
  readonly "bom-ref": string
  readonly properties?: readonly { readonly name: string }[]
}
