/** The demo is a promise of its own: real payloads through real receivers, and an account that adds up. */
import assert from "node:assert/strict"
import { spawn } from "node:child_process"
import { once } from "node:events"
import { join } from "node:path"
import { test } from "node:test"

test("the demo ends with every event accounted for, as the receivers' own ledgers have it", {
  timeout: 120_000,
}, async () => {
  const demo = spawn(process.execPath, [join(import.meta.dirname, "../../demo/demo.ts"), "--times", "2"], {
    stdio: ["ignore", "pipe", "pipe"],
  })
  let output = ""
  for (const stream of [demo.stdout, demo.stderr])
    stream.setEncoding("utf8").on("data", (text: string) => (output += text))
  const [code] = (await once(demo, "close")) as [number | null]
  assert.equal(code, 0, output)
  assert.match(output, /Every event is accounted for/)
})
