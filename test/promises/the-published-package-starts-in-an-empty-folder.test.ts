/**
 * What `npm run build` makes is what users get: packed, installed into an empty folder and started from there, on the
 * Node that the package brings along.
 */
import assert from "node:assert/strict"
import { execFileSync, spawn } from "node:child_process"
import { once } from "node:events"
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { delimiter, join } from "node:path"
import test from "node:test"
import { pathToFileURL } from "node:url"

const root = join(import.meta.dirname, "../..")

/** The machine as it is without this repository's node_modules, whose Node npm puts in front. */
const environment = {
  ...process.env,
  PATH: (process.env["PATH"] ?? "")
    .split(delimiter)
    .filter(folder => !folder.startsWith(root))
    .join(delimiter),
}

test("the published package starts in an empty folder, answers, and stops when it is told to", async t => {
  const folder = mkdtempSync(join(tmpdir(), "waybill-package-"))
  t.after(() => rmSync(folder, { recursive: true, force: true }))
  const installed = install(folder)

  const { findNode } = (await import(pathToFileURL(join(installed, "runtime.mjs")).href)) as {
    findNode(folder: string): { path: string }
  }
  assert.ok(findNode(installed).path.startsWith(folder), "it runs on the Node that was installed with it")
  for (const name of ["LICENSE", "cli.d.ts", "store/migrations/001_start.sql", "sbom.cdx.json"]) {
    assert.ok(existsSync(join(installed, name)), `${name} is in the package`)
  }
  const bill = readFileSync(join(installed, "sbom.cdx.json"), "utf8")
  const { components } = JSON.parse(bill) as { components: readonly { readonly name: string }[] }
  const listed = new Set(components.map(({ name }) => name))
  const { dependencies } = JSON.parse(readFileSync(join(installed, "package.json"), "utf8")) as { dependencies: object }
  assert.deepEqual(
    Object.keys(dependencies).filter(name => !listed.has(name)),
    [],
    "all that it brings along is listed",
  )

  const server = spawn(join(folder, "node_modules/.bin/waybill"), ["serve"], {
    cwd: folder,
    env: { ...environment, PORT: "0", WAYBILL_DATA_DIR: join(folder, "data") },
    stdio: ["ignore", "pipe", "inherit"],
  })
  t.after(() => server.kill("SIGKILL"))
  const ended = once(server, "exit")

  const address = await addressIn(server.stdout.setEncoding("utf8").iterator({ destroyOnReturn: false }))
  assert.equal((await fetch(`${address}/livez`)).status, 200)
  server.kill("SIGTERM")
  assert.deepEqual(await ended, [0, null])
})

/** Builds, packs and installs as a user would; gives the folder of the installed package. */
function install(folder: string): string {
  execFileSync(process.execPath, [join(root, "scripts/build.ts")], { stdio: "pipe" })
  npm(folder, ["pack", join(root, "dist"), "--pack-destination", folder])
  const tarball = readdirSync(folder).find(name => name.endsWith(".tgz"))
  assert.ok(tarball)
  mkdirSync(join(folder, "node_modules"))
  npm(folder, ["install", "--prefer-offline", join(folder, tarball)])
  return join(folder, "node_modules/waybill")
}

function npm(cwd: string, args: readonly string[]): void {
  const options = ["--no-audit", "--no-fund", "--loglevel=error"]
  execFileSync("npm", [...args, ...options], { cwd, env: environment, stdio: ["ignore", "pipe", "inherit"] })
}

/** Where the program says that it listens; fails where it ends instead. */
async function addressIn(output: AsyncIterable<string>): Promise<string> {
  let text = ""
  for await (const chunk of output) {
    text += chunk
    const [address] = /http:\/\/127\.0\.0\.1:\d+/.exec(text) ?? []
    if (address !== undefined) return address
  }
  assert.fail(`The program ended before it said where it listens:\n${text}`)
}
