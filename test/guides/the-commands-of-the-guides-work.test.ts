/**
 * The guides are typed, line by line: every block of code marked `sh` runs in a shell against a Waybill of its own, in the
 * order in which it stands. Blocks marked `shell` are for people only, such as those that wait for Ctrl-C.
 *
 * Guides name things by variables (`$INTEGRATION`, `$EVENT`, `$DELIVERY`, `$RECOVERY`, `$KEY`); here each is the last one that was printed.
 */
import assert from "node:assert/strict"
import { spawn } from "node:child_process"
import { once } from "node:events"
import { readFileSync, symlinkSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import test from "node:test"
import {
  call,
  createWebhook,
  newSecret,
  type OpenWaybill,
  openWaybill,
  stablePort,
  temporaryFolder,
} from "../help/waybill.ts"

const root = join(import.meta.dirname, "../..")

/** Where the guides say that Waybill and a receiver listen. */
const writtenPorts = { waybill: "127.0.0.1:8080", receiver: "9000" }

const guides = [
  ...["getting-started", "send-events", "set-up-an-integration", "find-out-what-happened"],
  ...[
    "is-it-waybill-or-the-endpoint",
    "why-did-it-not-arrive",
    "send-again-what-failed",
    "deliver-in-order",
    "when-an-endpoint-fails",
    "be-told",
    "audit-log",
    "api-keys",
    "portal",
    "private-fields",
    "projects",
    "secrets",
    "erase-a-person",
    "operate",
  ],
]

/** A block of commands, and what the guide says up to the next one. */
interface Block {
  readonly commands: string
  readonly after: string
}

for (const guide of guides) {
  test(`what ${guide}.md says can be typed as it stands`, { timeout: 120_000 }, async t => {
    const folder = temporaryFolder(t)
    const waybill = await openWaybill(t, { dataDir: join(folder, "data") })
    await fill(waybill)
    const blocks = blocksIn(read(`docs/${guide}.md`))
    assert.ok(blocks.length > 0)
    const port = String(await stablePort())
    const script = blocks.map(({ commands }) => commands.replaceAll(writtenPorts.receiver, port))
    const outputs = await type(script, { folder, waybill })
    for (const [i, { commands, after }] of blocks.entries()) {
      const { output, failed } = outputs[i] ?? { output: "", failed: "before it began" }
      assert.equal(failed, "", `${commands}\nfailed at ${failed}:\n${output}`)
      for (const [, problem = ""] of output.matchAll(/"type":"[^"]+\/problems\/(\w+)"/g)) {
        assert.ok(after.includes(problem), `${commands}\nwas answered with ${problem}, of which the guide says nothing`)
      }
    }
  })
}

test("the receiver of the guide takes what Waybill signed, once, and refuses what somebody else did", async t => {
  const folder = temporaryFolder(t)
  const port = await stablePort()
  const [, source = ""] = /```js\n(\/\/ receiver\.mjs\n[\s\S]*?)```/.exec(read("docs/receive-webhooks.md")) ?? []
  writeFileSync(join(folder, "receiver.mjs"), source.replace(writtenPorts.receiver, String(port)))
  symlinkSync(join(root, "node_modules"), join(folder, "node_modules"), "junction")
  const secret = newSecret()
  const receiver = spawn(process.execPath, ["receiver.mjs"], {
    cwd: folder,
    env: { ...process.env, WEBHOOK_SECRET: secret },
    stdio: ["ignore", "pipe", "inherit"],
  })
  t.after(() => receiver.kill())
  const waybill = await openWaybill(t, { dataDir: join(folder, "data") })
  const url = `http://127.0.0.1:${port}/`
  // Soon tried again, should the receiver still be starting.
  await createWebhook(waybill, { name: "known", url, secret, policy: { retry_delays_ms: Array(50).fill(100) } })
  await call(waybill, "POST", "/v1/events", { type: "order.created", data: { order: 1842 } })
  const [line] = (await once(receiver.stdout.setEncoding("utf8"), "data")) as [string]
  assert.match(line, /^verified order\.created evt_\w+\n$/)

  const forged = await fetch(url, { method: "POST", headers: { "webhook-id": "evt_1" }, body: "{}" })
  assert.equal(forged.status, 401)
})

function read(path: string): string {
  return readFileSync(join(root, path), "utf8")
}

function blocksIn(guide: string): Block[] {
  const parts = guide.split(/^```sh\n([\s\S]*?)^```$/m)
  return parts.flatMap((commands, i) => (i % 2 === 1 ? [{ commands, after: parts[i + 1] ?? "" }] : []))
}

/** An integration whose endpoint is away, and an event that waits for it: something for the guides to look at. */
async function fill(waybill: OpenWaybill): Promise<void> {
  const url = `http://127.0.0.1:${await stablePort()}/`
  await createWebhook(waybill, { name: "First receiver", url, secret: newSecret() })
  await call(waybill, "POST", "/v1/events", { type: "order.created", data: { order: 1842, total: 12.5 } })
}

/** Types blocks into one shell; gives for each what it printed and the last command that failed, empty where none did. */
async function type(
  blocks: readonly string[],
  { folder, waybill }: { readonly folder: string; readonly waybill: OpenWaybill },
): Promise<{ readonly output: string; readonly failed: string }[]> {
  const log = join(folder, "log")
  const lines = [
    `waybill() { '${process.execPath}' '${join(root, "src/cli.ts")}' "$@"; }`,
    `last() { grep -oE "$1_[0-9a-z]{11,}" '${log}' | tail -n 1; }`,
    // What a block leaves running ends with the shell: each is a group of its own, with the program that a function started.
    "set -m",
    "trap 'for job in $(jobs -p); do kill -- -$job; done 2>/dev/null' EXIT",
    "waybill events; waybill deliveries; waybill integrations",
    ...blocks.flatMap(block => [
      "INTEGRATION=$(last int); EVENT=$(last evt); DELIVERY=$(last dlv); RECOVERY=$(last rec); KEY=$(last key)",
      "echo '=== block'",
      "failed=; trap 'failed=$BASH_COMMAND' ERR",
      block.replaceAll(writtenPorts.waybill, new URL(waybill.url).host),
      'trap - ERR; echo "=== $failed"',
    ]),
  ]
  writeFileSync(join(folder, "typed.sh"), `exec > '${log}' 2>&1\n${lines.join("\n")}\n`)
  const shell = spawn("bash", [join(folder, "typed.sh")], {
    cwd: folder,
    env: {
      PATH: process.env["PATH"],
      WAYBILL_URL: waybill.url,
      WAYBILL_API_KEY: waybill.key,
      WAYBILL_DATA_DIR: waybill.dataDir,
    },
    stdio: "ignore",
  })
  await once(shell, "exit")
  const parts = readFileSync(log, "utf8").split("=== block\n").slice(1)
  return parts.map(part => {
    const [, output = part, failed = "its end"] = /^([\s\S]*?)=== (.*)\n/.exec(part) ?? []
    return { output, failed }
  })
}
