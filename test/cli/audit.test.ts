/** `waybill audit`: who changed what, as a table, and whole for another system. */
import assert from "node:assert/strict"
import test from "node:test"
import { linesOf, runCli, waybillForFile } from "../help/cli.ts"
import { call } from "../help/waybill.ts"

const waybill = waybillForFile(async () => {
  for (const name of ["ios", "android"]) await call(waybill, "POST", "/v1/apps", { name })
  await call(waybill, "PUT", "/v1/event-types/order.created", { examples: ["a\nb"] })
})

const run = (...args: readonly string[]) => runCli(["audit", ...args], { at: waybill })

test("the audit log is a table of who did what, narrowed by what was asked for", async () => {
  const all = await run()
  assert.equal(all.code, 0, all.stderr)
  const [head, newest] = linesOf(all.stdout)
  assert.match(head ?? "", /^AT +WHAT +TO +BY +FROM/)
  assert.match(newest ?? "", /event_type\.created +order\.created +key_\w+ +127\.0\.0\.1/)
  const apps = await run("--kind", "app.created", "--since", "1h")
  assert.equal(linesOf(apps.stdout).length, 3)
  const page = await run("--limit", "1", "--json")
  assert.equal((JSON.parse(page.stdout) as { data: unknown[] }).data.length, 1)
})

test("its export is an entry a line, the oldest first", async () => {
  const { code, stdout, stderr } = await run("export", "--kind", "app.created")
  assert.equal(code, 0, stderr)
  const entries = stdout
    .trimEnd()
    .split("\n")
    .map(line => JSON.parse(line) as { after: { name: string } })
  assert.deepEqual(
    entries.map(({ after }) => after.name),
    ["ios", "android"],
  )
})

test("a mistyped subcommand is told, not taken for a list", async () => {
  const { code, stderr } = await run("exprot")
  assert.notEqual(code, 0)
  assert.match(stderr, /exprot/)
})
