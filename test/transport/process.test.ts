import assert from "node:assert/strict"
import { spawn } from "node:child_process"
import { once } from "node:events"
import { text } from "node:stream/consumers"
import { describe, test } from "node:test"
import { fileURLToPath } from "node:url"
import { ok, receiver } from "../help/misbehaving.ts"

const http = new URL("../../src/transport/http.ts", import.meta.url).href
const outbound = new URL("../help/outbound.ts", import.meta.url).href

/** Runs a script that has `transport`, `post` and `limits`, and gives what it printed when it had ended by itself. */
async function run(
  script: string,
  options: { command?: string[]; env?: Record<string, string> } = {},
): Promise<string> {
  const source = `
    import { Transport } from ${JSON.stringify(http)}
    import { limits, post, summary } from ${JSON.stringify(outbound)}
    const transport = new Transport({ rules: { loopback: true, allow: [] }, now: Date.now })
    ${script}`
  const [command = process.execPath, ...before] = [...(options.command ?? []), process.execPath]
  const child = spawn(command, [...before, "--input-type=module-typescript", "-e", source], {
    stdio: ["ignore", "pipe", "pipe"],
    env: { ...process.env, ...options.env },
    cwd: fileURLToPath(new URL("../..", import.meta.url)),
  })
  const [output, errors, [code]] = await Promise.all([text(child.stdout), text(child.stderr), once(child, "exit")])
  assert.equal(code, 0, errors)
  return output.trim()
}

describe("in a process of its own", () => {
  test("no file handle left is the sender's fault, and passes", async () => {
    await using there = await receiver(ok())
    const output = await run(
      `import { closeSync, openSync } from "node:fs"
       const url = ${JSON.stringify(there.url)}
       const warm = await transport.send(post(url.replace("/hook", "/warm")), limits())
       await transport.close(0)
       const second = new Transport({ rules: { loopback: true, allow: [] }, now: Date.now })
       const held = []
       try { for (;;) held.push(openSync("/dev/null")) } catch {}
       const starved = await second.send(post(url), limits())
       for (const fd of held) closeSync(fd)
       const fed = await second.send(post(url), limits())
       console.log([summary(warm), summary(starved), starved.code, summary(fed)].join(", "))`,
      { command: ["sh", "-c", 'ulimit -n 256 && exec "$0" "$@"'] },
    )
    assert.equal(output, "answered 200, broken SENDER_FAULT in connect, EMFILE, answered 200")
  })

  test("idle connections do not keep it alive", async () => {
    await using there = await receiver(ok())
    const idleMs = await run(
      `await transport.send(post(${JSON.stringify(there.url)}), limits())
       const answeredAt = performance.now()
       process.on("exit", () => console.log(performance.now() - answeredAt))`,
    )
    assert.ok(Number(idleMs) < 2_000, "a connection is kept for 4 s")
  })

  test("a proxy that the environment names is not used", async () => {
    await using there = await receiver(ok())
    await using proxy = await receiver(ok())
    const at = `http://127.0.0.1:${proxy.port}`
    const env = {
      HTTP_PROXY: at,
      http_proxy: at,
      HTTPS_PROXY: at,
      ALL_PROXY: at,
      NODE_USE_ENV_PROXY: "1",
      NO_PROXY: "",
      no_proxy: "",
    }
    const output = await run(
      `console.log(summary(await transport.send(post(${JSON.stringify(there.url)}), limits())))`,
      { env },
    )
    assert.equal(output, "answered 200")
    assert.equal(there.accepted(), 1)
    assert.equal(proxy.accepted(), 0)
  })
})
