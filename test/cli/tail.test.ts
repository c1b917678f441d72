/** `waybill tail`: what happens as it happens, without a gap over breaks. */
import assert from "node:assert/strict"
import { join } from "node:path"
import test from "node:test"
import { jsonLines, linesOf, runCli, startCli, waybillForFile } from "../help/cli.ts"
import { Endpoint } from "../help/endpoint.ts"
import {
  call,
  createWebhook,
  newSecret,
  type Reachable,
  stablePort,
  startWaybill,
  temporaryFolder,
} from "../help/waybill.ts"

const waybill = waybillForFile()

interface TailLine {
  readonly message: string
  readonly position: string
  readonly data: { readonly id: string; readonly type?: string }
}

/** Sends events until one of them shows: by then the stream is open. */
async function untilItShows(shows: Promise<unknown>, type: string, at: Reachable = waybill): Promise<void> {
  let isShown = false
  const shown = shows.then(() => {
    isShown = true
  })
  while (!isShown) {
    await call(at, "POST", "/v1/events", { type })
    await Promise.race([shown, call(at, "GET", "/v1/status")])
  }
}

test("events, attempts and changes are lines for people, in the order in which they happened", async () => {
  await using endpoint = await Endpoint.open({ status: 200 }, { status: 422 })
  const tail = startCli(["tail"], { at: waybill })
  await untilItShows(tail.prints(/ {2}event {4}evt_\w+ ready → 0 integrations/), "ready")
  await call(waybill, "POST", "/v1/api-keys", { name: "for the tail" })
  const id = await createWebhook(waybill, { name: "CRM", url: endpoint.url(), secret: newSecret() })
  await call(waybill, "POST", "/v1/events", { type: "order.created", app: "ios" })
  await tail.prints(/ {2}attempt {2}dlv_\w+ order\.created → CRM · 200 success in \d+ ms\n/)
  await call(waybill, "POST", "/v1/events", { type: "order.created" })
  await tail.prints(/ → CRM · 422 error in \d+ ms · .+ · again \d{4}-\d\d-\d\d \d\d:\d\d:\d\d\n/)
  tail.child.kill("SIGINT")
  const { code, stdout, stderr } = await tail.ended
  assert.equal(code, 0)
  assert.equal(stderr, "")
  assert.match(
    stdout,
    /change {3}api_key\.created key_\w+ by key_\w+\n.*change {3}integration\.created int_\w+ by key_\w+\n.*event {4}evt_\w+ order\.created · ios → 1 integration\n.*attempt {2}dlv/,
  )
  await call(waybill, "DELETE", `/v1/integrations/${id}`)
})

test("as JSON it goes on after a position, and ends after as many messages as were asked for", async () => {
  const tail = startCli(["tail", "--json", "--type", "order.*", "--count", "1"], { at: waybill })
  await untilItShows(tail.ended, "order.first")
  const [first] = jsonLines<TailLine>((await tail.ended).stdout)
  assert.equal(first?.message, "event")
  const response = await fetch(`${waybill.url}/v1/events`, {
    method: "POST",
    headers: { authorization: `Bearer ${waybill.key}`, "content-type": "application/json" },
    body: '{"type":"order.second","data":{"n": 1.0,\n"n": 12345678901234567890}}',
  })
  assert.equal(response.status, 202)

  const args = ["tail", "--json", "--type", "order.second", "--after", first.position, "--count", "1"]
  const { code, stdout } = await runCli(args, { at: waybill })
  assert.equal(code, 0)
  assert.equal(stdout.trimEnd().split("\n").length, 1)
  assert.ok(stdout.includes('"payload":{"n": 1.0, "n": 12345678901234567890}'), stdout)
})

test("when Waybill stops and starts again, it goes on where it had stopped", async t => {
  const dataDir = join(temporaryFolder(t), "data")
  const port = await stablePort()
  const first = await startWaybill(t, { dataDir, port })
  const tail = startCli(["tail", "--json"], { at: first })
  await untilItShows(tail.prints(/"type":"before"/), "before", first)
  first.kill("SIGTERM")
  await first.stopped
  await tail.prints(/Waybill is stopping\. .*\n.*The connection to \S+ is lost\. It is tried again/)

  const second = await startWaybill(t, { dataDir, port })
  const { id } = (await call(second, "POST", "/v1/events", { type: "meanwhile" })) as { id: string }
  await tail.prints(new RegExp(`"position":"${id}"`))
  tail.child.kill("SIGTERM")
  const { code, stdout, stderr } = await tail.ended
  assert.equal(code, 0)
  assert.equal(linesOf(stderr).length, 2, "a break is told once, however long it lasts")
  const shown = jsonLines<TailLine>(stdout).filter(({ data }) => data.type === "before" || data.type === "meanwhile")
  const { data: all } = (await call(second, "GET", "/v1/events?limit=200")) as { data: readonly { id: string }[] }
  const since = all.map(event => event.id).filter(other => other >= (shown[0]?.data.id ?? ""))
  assert.deepEqual(new Set(shown.map(({ data }) => data.id)), new Set(since))
})

test("a filter that is wrong, a key that is wrong and nobody there end it with a sentence", async () => {
  const wrong = await runCli(["tail", "--integration", "x"], { at: waybill })
  assert.equal(wrong.code, 1)
  assert.match(wrong.stderr, /^`integration` must be the id of an integration, such as int_/)
  const stranger = await runCli(["tail"], { at: { url: waybill.url, key: "wb_wrong" } })
  assert.equal(stranger.code, 1)
  assert.match(stranger.stderr, /^The API key is not known/)
  const nobody = await runCli(["tail"], { at: { url: `http://127.0.0.1:${await stablePort()}`, key: "wb_x" } })
  assert.equal(nobody.code, 1)
  assert.match(nobody.stderr, /^Nothing listens on /)
})
