/** The commands that look at and change what a running Waybill has: tables for people, the API's own JSON for programs. */
import assert from "node:assert/strict"
import { writeFileSync } from "node:fs"
import { join } from "node:path"
import test from "node:test"
import { type Ended, linesOf, runCli, waybillForFile } from "../help/cli.ts"
import { Endpoint } from "../help/endpoint.ts"
import { call, newSecret, temporaryFolder } from "../help/waybill.ts"

const waybill = waybillForFile(tellStory)

const run = (...args: readonly string[]): Promise<Ended> => runCli(args, { at: waybill })

/** Runs a command that has to work; gives its standard output. */
async function outputOf(...args: readonly string[]): Promise<string> {
  const { code, stdout, stderr } = await run(...args)
  assert.equal(code, 0, stderr)
  return stdout
}

async function jsonOf<T>(...args: readonly string[]): Promise<T> {
  return JSON.parse(await outputOf(...args, "--json")) as T
}

interface Made {
  readonly id: string
  readonly secret: string
  readonly signing_keys: readonly { readonly number: number }[]
}

/** An event that one integration refuses, one does not want and one cannot get. */
const story = { event: "", delivery: "", refusing: "" }
const data = '{"total": 12.50, "big": 12345678901234567890}'

async function tellStory(): Promise<void> {
  await using endpoint = await Endpoint.open({ status: 422, body: '{"field":"email"}' })
  const create = (name: string, more: object) => call(waybill, "POST", "/v1/integrations", { name, ...more })
  const config = { production: { url: endpoint.url(), authorization: "Token abc" }, verification: "none" }
  const policy = { retry_delays_ms: [] }
  story.refusing = ((await create("CRM", { config, policy })) as Made).id
  await create("Sandbox only", { config: { sandbox: { url: endpoint.url() }, verification: "none" } })
  await create("Unverified", { config: { production: { url: "http://127.0.0.1:1024/" } } })
  const response = await fetch(`${waybill.url}/v1/events`, {
    method: "POST",
    headers: { authorization: `Bearer ${waybill.key}`, "content-type": "application/json" },
    body: `{"type":"order.created","id":"o-1","app":"ios","data":${data}}`,
  })
  story.event = ((await response.json()) as { id: string }).id
  await endpoint.received(1)
  for (;;) {
    const found = await call(waybill, "GET", "/v1/deliveries?status=failed")
    const [delivery] = (found as { data: readonly { id: string }[] }).data
    if (delivery === undefined) continue
    story.delivery = delivery.id
    return
  }
}

test("events are a table with local times, found by what was asked for", async () => {
  const [head, ...rows] = linesOf(await outputOf("events", "--type", "order.*", "--status", "failed", "--since", "1h"))
  assert.match(head ?? "", /^RECEIVED +ID +TYPE +STATUS +DELIVERIES +APP +OWN ID$/)
  assert.equal(rows.length, 1)
  assert.match(
    rows[0] ?? "",
    /^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d +evt_\w+ +order\.created +failed +1 failed, 1 held back +ios +o-1$/,
  )
  const none = await run("events", "--type", "nothing")
  assert.deepEqual([none.code, none.stdout, none.stderr], [0, "", "No events.\n"])

  const elsewhere = await runCli(["events"], { at: waybill, env: { TZ: "Asia/Kathmandu" } })
  const [, hours = ""] = / (\d\d:\d\d):\d\d /.exec(rows[0] ?? "") ?? []
  const [, minutes = 0] = hours.split(":").map(Number)
  assert.match(elsewhere.stdout, new RegExp(` \\d\\d:${String((minutes + 45) % 60).padStart(2, "0")}:\\d\\d `))
})

test("an event shows its payload as it came, where it went, why it did not, and what to do", async () => {
  const text = await outputOf("events", story.event)
  assert.match(text, /^event +evt_\w+\ntype +order\.created\nstatus +failed\n/)
  assert.match(text, /"total": 12\.50,\n {2}"big": 12345678901234567890\n/)
  assert.match(text, /\nfailed → CRM \(int_\w+\)\n {2}dlv_\w+\n {2}attempt 1 · .* · error 422 in \d+ ms\n/)
  assert.match(text, /\(rejected\)\n.*422.*\n {2}Causes: .*\n {2}Do: .*/)
  assert.match(text, /\nnot sent to Sandbox only \(int_\w+\)\n {2}.*\(filtered\)\n/)
  assert.match(text, /\nnot sent to Unverified \(int_\w+\)\n {2}.*\(not_verified\)\n/)
})

test("as JSON a command prints the API's answer byte for byte", async () => {
  const response = await fetch(`${waybill.url}/v1/events/${story.event}`, {
    headers: { authorization: `Bearer ${waybill.key}` },
  })
  assert.equal(await outputOf("events", story.event, "--json"), `${await response.text()}\n`)
})

test("a page that is not the last says how to go on", async () => {
  await call(waybill, "POST", "/v1/events/batch", { events: [{ type: "p" }, { type: "p" }, { type: "p" }] })
  const { stderr, stdout } = await run("events", "--type", "p", "--limit", "2")
  assert.equal(linesOf(stdout).length, 3)
  const [, cursor = ""] = /events --cursor (\S+) \(with the same options\)/.exec(stderr) ?? []
  const rest = await run("events", "--type", "p", "--limit", "2", "--cursor", cursor)
  assert.equal(linesOf(rest.stdout).length, 2)
  assert.equal(rest.stderr, "")
})

test("a delivery shows each attempt with its request, secrets masked, and its answer; retry makes it due", async () => {
  const [head, row] = linesOf(await outputOf("deliveries", "--status", "failed", "--reason", "rejected"))
  assert.match(head ?? "", /^RECEIVED +ID +TYPE +INTEGRATION +STATUS +ATTEMPTS +REASON$/)
  assert.match(row ?? "", new RegExp(`${story.delivery} +order\\.created +CRM +failed +1 +\\S`))
  const text = await outputOf("deliveries", story.delivery)
  assert.match(text, /→ 127\.0\.0\.1:\d+\/hook\n/)
  assert.match(text, /authorization: •••• \(secret\)\n/)
  assert.match(text, /"total": 12\.50,/)
  assert.match(text, /← 422\n[\s\S]*"field": "email"/)

  assert.match(
    await outputOf("retry", story.delivery),
    /^dlv_\w+ is due now\. What comes of it: npm run waybill -- deliveries dlv_/,
  )
  const nothing = await run("retry", "dlv_x")
  assert.deepEqual([nothing.code, nothing.stderr], [1, "There is no delivery dlv_x in this project.\n"])
})

test("an integration is set up, tried, switched, given a new secret and removed", async () => {
  await using endpoint = await Endpoint.open({ body: '{"ok":true}' })
  const options = ["--name", "Made here", "--endpoint", endpoint.url("/x"), "--types", "a,b.*", "--apps", "ios"]
  const { code, stdout, stderr } = await run("integrations", "create", ...options, "--authorization", "Token abc")
  assert.equal(code, 0, stderr)
  assert.match(stdout, /name +Made here\n[\s\S]*production endpoint: verified \(rule json\)/)
  assert.match(stdout, /\nwhsec_\S+\n$/)
  assert.doesNotMatch(stdout, /Token abc/)
  const [, id = ""] = /(int_\w+)/.exec(stdout) ?? []

  assert.match(
    await outputOf("integrations", "test", id, "--type", "a", "--data", "[1.0]"),
    /^delivered · answered 200 in \d+ ms\n/,
  )
  assert.match((await endpoint.request(2)).body.toString(), /"data":\[1\.0\]/)

  assert.match(await outputOf("integrations", "pause", id), /state +paused/)
  assert.match(await outputOf("integrations", "resume", id), /state +on/)
  assert.match(await outputOf("integrations", "disable", id), /state +off \(by person\)/)
  assert.match(
    await outputOf("integrations"),
    new RegExp(`^${id} +Made here +webhook +off \\(by person\\) +production verified +ios$`, "m"),
  )
  assert.match(await outputOf("integrations", "enable", id), /state +on/)

  const secret = newSecret()
  const rotated = await jsonOf<Made>("integrations", "rotate-secret", id, "--secret", secret, "--grace", "1h")
  assert.equal(rotated.secret, secret)
  assert.deepEqual(
    rotated.signing_keys.map(({ number }) => number),
    [2, 1],
  )

  endpoint.play({ body: "no JSON" })
  const failed = await run("integrations", "verify", id)
  assert.equal(failed.code, 1)
  assert.match(failed.stdout, /production endpoint: failed/)

  assert.equal(await outputOf("integrations", "remove", id), `${id} is removed. Its history stays.\n`)
  const gone = await run("integrations", id)
  assert.deepEqual([gone.code, gone.stderr], [1, `There is no integration ${id} in this project.\n`])
})

test("an integration comes from a file, too, and what is wrong in it is said with its place", async t => {
  const file = join(temporaryFolder(t), "crm.json")
  const config = { production: { url: "http://127.0.0.1:1024/" }, verification: "none" }
  writeFileSync(file, JSON.stringify({ name: "From a file", config }))
  const { id } = await jsonOf<Made>("integrations", "create", "--file", file)
  await outputOf("integrations", "remove", id)
  writeFileSync(file, JSON.stringify({ name: "From a file", config, policy: { timeout_ms: 1 }, ordered: true }))
  const wrong = await run("integrations", "create", "--file", file)
  assert.equal(wrong.code, 1)
  assert.match(wrong.stderr, /ordered|timeout_ms/)
  writeFileSync(file, "{")
  assert.match(
    (await run("integrations", "create", "--file", file)).stderr,
    /crm\.json is not JSON: it ends before it is complete/,
  )
})

test("keys are listed, made and revoked", async () => {
  const made = await run("keys", "create", "--name", "billing", "--scopes", "admin")
  assert.match(made.stderr, /^Made key_\w+, which may do admin\. The key is shown this once, keep it:\n$/)
  const [, id = ""] = /(key_\w+)/.exec(made.stderr) ?? []
  const at = { url: waybill.url, key: made.stdout.trim() }
  const [head, row] = linesOf((await runCli(["keys"], { at })).stdout)
  assert.match(head ?? "", /^ID +NAME +KEY +STATE +MAY DO +CREATED +LAST USED +LAST EVENT$/)
  assert.match(row ?? "", new RegExp(`^${id} +billing +wb_live_sk_…\\w{4} +good +admin `))
  const own = await runCli(["keys", "revoke", id], { at })
  assert.equal(own.code, 1)
  assert.match(own.stderr, /very key that it would revoke/)
  assert.equal(await outputOf("keys", "revoke", id), `${id} (billing) is revoked.\n`)
  assert.equal((await runCli(["keys"], { at })).code, 1)
})

test("a key is made with scopes, limits and an end, and another takes its place", async () => {
  await call(waybill, "POST", "/v1/apps", { name: "ios" })
  const limits = ["--app", "ios", "--environment", "sandbox", "--source", "api"]
  const rights = ["--scopes", "ingest, events:read", "--expires", "90d", "--max-requests-per-minute", "600"]
  interface Shown {
    readonly id: string
    readonly key: string
    readonly [field: string]: unknown
  }
  const made = await jsonOf<Shown>("keys", "create", "--name", "ios team", ...limits, ...rights)
  assert.deepEqual(
    [made["scopes"], made["app"], made["environment"], made["source"], made["max_requests_per_minute"]],
    [["ingest", "events:read"], "ios", "sandbox", "api", 600],
  )
  const days = (Date.parse(String(made["expires_at"])) - Date.now()) / 86_400_000
  assert.ok(days > 89.9 && days < 90.1, String(made["expires_at"]))
  const row = linesOf(await outputOf("keys")).find(line => line.startsWith(made.id))
  assert.match(row ?? "", /ingest,events:read \(ios, sandbox, api\)/)

  const rotated = await run("keys", "rotate", made.id, "--grace", "2h")
  assert.match(
    rotated.stderr,
    new RegExp(`^Made key_\\w+ in place of ${made.id}, which ends .+\\nThe key is shown this once`),
  )
  assert.match(rotated.stdout, /^wb_test_sk_\w{36}\n$/)
  for (const wrong of [
    ["--scopes", "everything"],
    ["--environment", "staging"],
    ["--expires", "90x"],
    ["--expires", "tomorrow"],
    ["--app", "nowhere"],
  ]) {
    const { code, stderr } = await run("keys", "create", "--name", "x", ...wrong)
    assert.notEqual(code, 0, wrong.join(" "))
    assert.match(stderr, /scopes|environment|staging|Give a time|expires_at|nowhere|app/)
  }
})

test("a subcommand that was mistyped is answered with the one that was meant", async () => {
  const pause = await run("integrations", "pasue", "int_x")
  assert.deepEqual([pause.code, pause.stderr], [2, '`integrations` knows no "pasue". Did you mean pause?\n'])
  const revoke = await run("keys", "drop", "key_x")
  assert.deepEqual([revoke.code, revoke.stderr], [2, '`keys` knows no "drop". Known are create, rotate, revoke.\n'])
})

test("no colour is printed off a terminal, and none where NO_COLOR asks for none", async () => {
  const colour = /\u001b\[/
  assert.doesNotMatch(await outputOf("events", story.event), colour)
  const forced = await runCli(["events", story.event], { at: waybill, env: { FORCE_COLOR: "1" } })
  assert.match(forced.stdout, colour)
  const refused = await runCli(["events", story.event], { at: waybill, env: { NO_COLOR: "1" } })
  assert.doesNotMatch(refused.stdout, colour)
})
