/** `waybill projects` and `waybill erase`: what an operator sees, and what goes. */
import assert from "node:assert/strict"
import test from "node:test"
import { jsonLines, linesOf, runCli, waybillForFile } from "../help/cli.ts"
import { call } from "../help/waybill.ts"

const waybill = waybillForFile()

test("a person is erased, and the report told", async () => {
  await call(waybill, "POST", "/v1/events", { type: "paid", profile_id: "user-1842" })
  const erased = await runCli(["erase", "user-1842"], { at: waybill })
  assert.equal(erased.code, 0, erased.stderr)
  const [first = "", ...rest] = linesOf(erased.stdout)
  assert.match(first, /^ers_\w+: user-1842 was erased, /)
  assert.equal(rest[0]?.trim(), "1 events")
  const begun = await runCli(["erase", "user-1842", "--no-wait"], { at: waybill })
  assert.match(begun.stdout, /^ers_\w+ has begun\. Its report: GET \/v1\/erasures\/ers_/)
  const [json] = jsonLines<{ state: string }>((await runCli(["erase", "x", "--json"], { at: waybill })).stdout)
  assert.equal(json?.state, "done")
})

test("a project is removed by its name, while an operator looks on", async () => {
  const { key, id } = (await call(waybill, "POST", "/v1/projects", { name: "old shop" })) as { key: string; id: string }
  const at = { url: waybill.url, key }
  await call(at, "POST", "/v1/events", { type: "paid" })
  const list = () => runCli(["projects", "--data-dir", waybill.dataDir])
  assert.match((await list()).stdout, new RegExp(`${id} +old shop .* in use`))

  const unnamed = await runCli(["projects", "remove"], { at })
  assert.equal(unnamed.code, 2)
  assert.match(unnamed.stderr, /This key's project is "old shop" \(prj_\w+\)\. To remove it .*--name "old shop"/)
  const wrong = await runCli(["projects", "remove", "--name", "new shop"], { at })
  assert.equal(wrong.code, 1)
  assert.match(wrong.stderr, /This project is called "old shop"/)

  const removed = await runCli(["projects", "remove", "--name", "old shop"], { at })
  assert.equal(removed.code, 0, removed.stderr)
  assert.match(removed.stdout, new RegExp(`^${id} has gone: \\d+ rows, 1 of them events\\.`))
  const after = await list()
  assert.equal(after.code, 0, after.stderr)
  assert.doesNotMatch(after.stdout, /old shop/)
  assert.match(after.stdout, new RegExp(`${id} .* key_\\w+ `))
  const [json] = jsonLines<{ removed: { id: string }[] }>(
    (await runCli(["projects", "--data-dir", waybill.dataDir, "--json"])).stdout,
  )
  assert.deepEqual(
    json?.removed.map(one => one.id),
    [id],
  )
  const last = await runCli(["projects", "remove", "--name", "default"], { at: waybill })
  assert.match(last.stderr, /This is the only project/)
})
