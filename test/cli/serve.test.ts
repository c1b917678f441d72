/** `waybill serve` as an operator meets it: the first words, every fault of a start in one line, and the end. */
import assert from "node:assert/strict"
import { type ChildProcess, spawn } from "node:child_process"
import { once } from "node:events"
import { chmodSync, cpSync, mkdirSync, openSync, readFileSync, rmSync, writeFileSync, writeSync } from "node:fs"
import { createServer } from "node:net"
import { delimiter, dirname, join } from "node:path"
import test, { type TestContext } from "node:test"
import { readConfig } from "../../src/config.ts"
import { start } from "../../src/main.ts"
import { linesOf, listing, type RunOptions, runCli, type Started, startCli } from "../help/cli.ts"
import { Endpoint } from "../help/endpoint.ts"
import { call, createWebhook, newSecret, temporaryFolder, testKey } from "../help/waybill.ts"

const root = join(import.meta.dirname, "../..")

/** A folder on which Waybill has run, and stopped. */
async function usedFolder(t: TestContext): Promise<string> {
  const dataDir = join(temporaryFolder(t), "data")
  const reading = readConfig({ dataDir, port: "0", apiKey: testKey, logLevel: "silent" }, {})
  if ("faults" in reading) assert.fail(reading.faults.join("\n"))
  await (await start(reading.config)).stop()
  return dataDir
}

function serve(env: Readonly<Record<string, string>>, options: RunOptions = {}): Started {
  return startCli(["serve"], { ...options, env: { PORT: "0", WAYBILL_LOG_LEVEL: "warn", ...env } })
}

async function urlOf(server: Started): Promise<string> {
  const [, url = ""] = await server.prints(/listens on (http:\/\/\S+)/)
  return url
}

/** Starts a server that must not start: one clear line, an exit code, and everything on disk as it was. */
async function refuses(
  folder: string,
  env: Readonly<Record<string, string>>,
  sentence: RegExp,
  options: RunOptions = {},
): Promise<void> {
  const before = listing(dirname(folder))
  const { code, stdout, stderr } = await serve({ WAYBILL_DATA_DIR: folder, ...env }, options).ended
  assert.match(stderr, sentence)
  assert.equal(linesOf(stderr).length, 1, stderr)
  assert.equal(stdout, "")
  assert.ok(code === 1 || code === 2, `it ended with ${code}`)
  assert.deepEqual(listing(dirname(folder)), before)
}

test("a new database's start shows its key once, and that loopback may be reached", async t => {
  const folder = temporaryFolder(t)
  const first = serve({ WAYBILL_DATA_DIR: folder })
  const [, key = ""] = await first.prints(/First API key \(shown this once, keep it\): (wb_live_\w+)/)
  const url = await urlOf(first)
  assert.match(first.stdout(), /integrations may reach loopback \(127\.0\.0\.1\)/)
  assert.ok(await call({ url, key }, "GET", "/v1/projects"))
  first.child.kill("SIGTERM")
  assert.equal((await first.ended).code, 0)

  const second = serve({ WAYBILL_DATA_DIR: folder })
  await urlOf(second)
  await second.prints(/Ctrl-C stops it/)
  second.child.kill("SIGINT")
  const { code, stdout } = await second.ended
  assert.equal(code, 0)
  assert.doesNotMatch(stdout, /API key|curl/)
})

test("the greeting comes first where the log goes to the same place, and is whole before the log begins", async t => {
  const cli = join(root, "src/cli.ts")
  const child = spawn("sh", ["-c", 'exec "$0" "$1" serve 2>&1', process.execPath, cli], {
    stdio: ["ignore", "pipe", "ignore"],
    env: { PATH: process.env["PATH"], PORT: "0", WAYBILL_DATA_DIR: temporaryFolder(t) },
  })
  t.after(() => child.kill("SIGKILL"))
  let text = ""
  for await (const chunk of child.stdout.setEncoding("utf8")) {
    text += chunk
    if (text.includes("Waybill listens")) break
  }
  const lines = linesOf(text)
  assert.match(lines[0] ?? "", /^Waybill \S+ listens on http:/)
  const log = lines.findIndex(line => line.startsWith("{"))
  assert.match(lines[log - 1] ?? "", /^curl .*\/v1\/events /, "the last of the three lines stands before the log")
  assert.match(lines[log] ?? "", /"msg":"Waybill listens"/)
})

test("with a public address, the greeting and its lines use that", async t => {
  const publicUrl = "https://hub.example/waybill"
  const server = serve({ WAYBILL_DATA_DIR: temporaryFolder(t), WAYBILL_PUBLIC_URL: `${publicUrl}/` })
  await server.prints(
    /listens on http:\/\/127\.0\.0\.1:\d+\n[\s\S]*Others reach it at https:\/\/hub\.example\/waybill /,
  )
  await server.prints(/curl -sS https:\/\/hub\.example\/waybill\/v1\/events /)
  const answer = await fetch(`${await urlOf(server)}/v1/events`)
  assert.equal(((await answer.json()) as { type: string }).type, `${publicUrl}/problems/unauthorized`)
  server.child.kill("SIGTERM")
  assert.equal((await server.ended).code, 0)
})

test("its three lines, typed one after another, end with an event that the receiver shows as verified", async t => {
  const folder = temporaryFolder(t)
  const server = serve({ WAYBILL_DATA_DIR: folder })
  t.after(() => server.child.kill("SIGKILL"))
  const [, listen = "", integration = "", event = ""] = await server.prints(
    /second terminal[^\n]*\n+(npm run waybill -- listen .*)\n(curl .*)\n(curl .*)\n/,
  )
  const terminal = openTerminal(t)
  terminal.type(listen)
  await terminal.shows(/Listening on http:\/\/127\.0\.0\.1:\d+/)
  terminal.type(integration)
  await terminal.shows(/"id":"int_\w+"/)
  terminal.type(event)
  const [shown] = await terminal.shows(/POST \/\n[\s\S]*signature verified\n.*answered 200/)
  assert.match(shown, /"type": "order\.created"/)
  assert.match(shown, /"total": 12\.5/)
})

test("a key that the operator brings is not shown", async t => {
  const server = serve({ WAYBILL_DATA_DIR: temporaryFolder(t), WAYBILL_API_KEY: testKey })
  await server.prints(/First API key: the one in WAYBILL_API_KEY\.[\s\S]*\$WAYBILL_API_KEY/)
  server.child.kill("SIGTERM")
  assert.ok(!(await server.ended).stdout.includes(testKey))
})

test("bound to every address, it says that loopback is not reached, and how to try the lines all the same", async t => {
  const server = serve({ WAYBILL_DATA_DIR: temporaryFolder(t), HOST: "0.0.0.0" })
  await server.prints(/integrations reach no private addresses\.\n[\s\S]*WAYBILL_EGRESS_ALLOW=127\.0\.0\.1/)
  server.child.kill("SIGTERM")
  assert.equal((await server.ended).code, 0)
})

test("a second Ctrl-C ends at once what the first would have waited for", async t => {
  await using endpoint = await Endpoint.open()
  const answered = Promise.withResolvers<void>()
  endpoint.answer(() => ({ after: answered.promise }))
  const server = serve({ WAYBILL_DATA_DIR: temporaryFolder(t), WAYBILL_API_KEY: testKey })
  const at = { url: await urlOf(server), key: testKey }
  await createWebhook(at, { name: "slow", url: endpoint.url(), secret: newSecret() })
  await call(at, "POST", "/v1/events", { type: "a" })
  await endpoint.received(1)
  server.child.kill("SIGINT")
  await server.prints(/Ctrl-C once more ends it at once/)
  server.child.kill("SIGINT")
  assert.equal((await server.ended).code, 130)
  answered.resolve()
})

test("a wrong value is named with what it should be", async t => {
  const folder = join(temporaryFolder(t), "data")
  await refuses(folder, { PORT: "80a" }, /^PORT=80a must be a number from 0 to 65535\.$/m)
  await refuses(
    folder,
    { WAYBILL_EGRESS_ALLOW: "10.0.0.0/99" },
    /^WAYBILL_EGRESS_ALLOW is wrong: "10\.0\.0\.0\/99" is no/,
  )
  await refuses(
    folder,
    { HOST: "192.0.2.1" },
    /^192\.0\.2\.1:0 is not an address of this machine: choose another with HOST/,
  )
})

test("an unknown variable is named with the one that was meant", async t => {
  const folder = join(temporaryFolder(t), "data")
  await refuses(
    folder,
    { WAYBILL_DATADIR: "x" },
    /^WAYBILL_DATADIR is no setting of Waybill\. Did you mean WAYBILL_DATA_DIR\?$/m,
  )
  await refuses(folder, { WAYBILL_MOOD: "good" }, /^WAYBILL_MOOD is no setting of Waybill\. Unset it; known are /)
})

test("a port that is taken is named, and nothing is made", async t => {
  const other = createServer().listen(0, "127.0.0.1")
  await once(other, "listening")
  t.after(() => other.close())
  const address = other.address()
  assert.ok(typeof address === "object" && address !== null)
  const folder = join(temporaryFolder(t), "data")
  const taken = new RegExp(`^127\\.0\\.0\\.1:${address.port} is taken by another program.*PORT\\.$`, "m")
  await refuses(folder, { PORT: String(address.port) }, taken)
})

test("a data folder that cannot be written is named", async t => {
  const folder = temporaryFolder(t)
  const file = join(folder, "file")
  writeFileSync(file, "")
  await refuses(file, {}, /^The data folder .*\/file cannot be written \(EEXIST\)/)
  chmodSync(folder, 0o500)
  // Root may write everywhere, so that root tries as nobody.
  const asNobody: RunOptions = process.getuid?.() === 0 ? { uid: 65_534 } : {}
  await refuses(
    join(folder, "data"),
    {},
    /^The data folder .*\/data cannot be written \(EACCES\)\. Give it to this user/,
    asNobody,
  )
  chmodSync(folder, 0o700)
})

test("a data folder that a running Waybill has is left to it", async t => {
  const folder = await usedFolder(t)
  const owner = serve({ WAYBILL_DATA_DIR: folder })
  t.after(() => owner.child.kill("SIGKILL"))
  await urlOf(owner)
  await owner.prints(/Ctrl-C stops it/)
  const { code, stderr } = await serve({ WAYBILL_DATA_DIR: folder }).ended
  assert.equal(code, 1)
  assert.match(stderr, /^The data folder .* belongs to a Waybill that is running\. Stop it, or name another folder/)
  assert.equal(linesOf(stderr).length, 1)
})

test("a database of a newer version, a wrong key, a missing key and a damaged file are named and left as they are", async t => {
  const used = await usedFolder(t)
  const copy = (name: string): string => {
    const folder = join(temporaryFolder(t), name)
    cpSync(used, folder, { recursive: true })
    return folder
  }
  const newer = copy("newer")
  setSchemaVersion(join(newer, "waybill.db"), 999)
  await refuses(newer, {}, /^\S+waybill\.db was made by a newer Waybill \(schema 999, this program knows \d+\)/)

  const sealed = copy("sealed")
  const otherKey = Buffer.alloc(32, 1).toString("base64")
  await refuses(sealed, { WAYBILL_SECRET_KEY: otherKey }, /^The secrets in \S+waybill\.db were sealed with another key/)
  rmSync(join(sealed, "secret.key"))
  await refuses(sealed, {}, /^The key that seals the secrets in \S+waybill\.db is missing: put \S+secret\.key back/)

  const damaged = copy("damaged")
  writeFileSync(join(damaged, "waybill.db"), "no database")
  await refuses(damaged, {}, /^\S+waybill\.db is damaged or no database .*waybill restore/)
})

test("an option that does not exist is answered with the one that was meant, and code 2", async () => {
  const { code, stderr } = await runCli(["serve", "--prot", "8080"])
  assert.equal(code, 2)
  assert.match(stderr, /unknown option '--prot'\n\(Did you mean --port\?\)/)
})

test("a folder that it makes is its user's alone", { skip: process.platform === "win32" }, async t => {
  const folder = join(temporaryFolder(t), "data")
  mkdirSync(dirname(folder), { recursive: true })
  const server = serve({ WAYBILL_DATA_DIR: folder })
  await urlOf(server)
  await server.prints(/Ctrl-C stops it/)
  server.child.kill("SIGTERM")
  await server.ended
  assert.match(listing(dirname(folder)).join("\n"), /^data 40700 $/m)
  assert.match(readFileSync(join(folder, "secret.key"), "utf8"), /^[\w+/]{43}=\n$/)
})

/** SQLite's file format: user_version is the big-endian integer at offset 60. */
function setSchemaVersion(path: string, version: number): void {
  const bytes = Buffer.alloc(4)
  bytes.writeUInt32BE(version)
  writeSync(openSync(path, "r+"), bytes, 0, 4, 60)
}

/** A shell into which lines are typed, in the folder of the sources, as a reader of the first words would have it. */
function openTerminal(t: TestContext): { type(line: string): void; shows(pattern: RegExp): Promise<RegExpExecArray> } {
  const shell: ChildProcess & { readonly stdin: NodeJS.WritableStream | null } = spawn("sh", [], {
    cwd: root,
    // A group of its own, so that what runs in its background ends with it.
    detached: true,
    stdio: ["pipe", "pipe", "pipe"],
    env: {
      HOME: process.env["HOME"],
      PATH: [dirname(process.execPath), process.env["PATH"]].join(delimiter),
    },
  })
  let text = ""
  const looks = new Set<() => void>()
  for (const stream of [shell.stdout, shell.stderr]) {
    stream?.setEncoding("utf8").on("data", (chunk: string) => {
      text += chunk
      for (const look of looks) look()
    })
  }
  t.after(async () => {
    const ended = once(shell, "close")
    if (shell.pid !== undefined) process.kill(-shell.pid, "SIGKILL")
    await ended
  })
  return {
    type: line => void shell.stdin?.write(`${line}\n`),
    shows: pattern =>
      new Promise((resolve, reject) => {
        const look = (): void => {
          const found = pattern.exec(text)
          if (found !== null) resolve(found)
        }
        looks.add(look)
        look()
        shell.once("close", () => reject(new Error(`The shell ended without showing ${pattern}:\n${text}`)))
      }),
  }
}
