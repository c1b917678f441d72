/** Integrations as they are made and listed. */
import assert from "node:assert/strict"
import { after, before, describe, test } from "node:test"
import { Endpoint } from "../help/endpoint.ts"
import { type Answer, type Json, MORNING, Program } from "../help/program.ts"

let program: Program
let there: Endpoint
before(async () => {
  program = await Program.open()
  there = await Endpoint.open()
})
after(async () => {
  await program[Symbol.asyncDispose]()
  await there.close()
})

/** What a config says where nobody has said anything else. */
const defaults = { format: "waybill", cloudevents_mode: "structured", signature: { scheme: "v1" } }

function create(more: object): Promise<Answer> {
  const config = { production: { url: there.url() }, verification: "none" }
  return program.ask("POST", "/v1/integrations", { name: "x", config, ...more })
}

/** A config that is good but for what is in it of this. */
function withConfig(config: object): object {
  return { config: { production: { url: "https://crm.example/" }, verification: "none", ...config } }
}

describe("a new integration", () => {
  test("shows all that it was made with and all that follows from it, secrets masked", async () => {
    const answer = await create({
      name: "CRM",
      connector: "webhook",
      enabled: true,
      apps: ["ios", "android"],
      config: {
        production: { url: there.url(), authorization: "Token abc", headers: { "x-team": "growth" } },
        verification: "json",
        destination_record: { pointer: "/id" },
      },
      events: { default: "on", types: { trial_started: { name: "TrialBegan" }, paused: { enabled: false } } },
      filter: { and: [{ eq: ["data.plan", "pro"] }, { gte: ["data.amount", 10] }] },
      policy: { preset: "subscription", max_per_second: 50 },
    })
    assert.equal(answer.status, 201)
    const { id, secret, verification, signing_keys, created_at, updated_at, policy, ...rest } = answer.body
    assert.match(String(id), /^int_[0-9a-z]+$/)
    assert.match(String(secret), /^whsec_/)
    assert.deepEqual([created_at, updated_at], Array(2).fill(new Date(MORNING).toISOString()))
    assert.deepEqual(Object.keys(verification ?? {}), ["production"])
    assert.deepEqual(signing_keys?.[0]?.scheme, "v1")
    assert.deepEqual(
      [policy?.preset, policy?.stop, policy?.max_per_second, policy?.timeout_ms],
      ["subscription", "400-404", 50, 10_000],
    )
    assert.deepEqual(rest, {
      name: "CRM",
      connector: "webhook",
      revision: 1,
      enabled: true,
      paused: false,
      disabled: null,
      apps: ["ios", "android"],
      config: {
        production: { url: there.url(), authorization: { set: true }, headers: { "x-team": { set: true } } },
        verification: "json",
        destination_record: { pointer: "/id" },
        ...defaults,
      },
      events: { default: "on", types: { trial_started: { name: "TrialBegan" }, paused: { enabled: false } } },
      filter: { and: [{ eq: ["data.plan", "pro"] }, { gte: ["data.amount", 10] }] },
      options: {},
    })
    const { secret: _, ...shownLater } = answer.body
    const { protection, ...shown } = await program.call("GET", `/v1/integrations/${id}`)
    assert.deepEqual(shown, shownLater)
    const none = { count: 0, or_more: false }
    assert.deepEqual(protection, { origins: [], concurrency_limit: 10, budget_used_up_until: null, waiting: none })
  })

  const wrong: [what: string, body: object, pointer: string, says: RegExp][] = [
    ["an unknown connector", { connector: "webhok" }, "/connector", /Did you mean webhook/],
    ["an unknown field", { colour: "red" }, "/colour", /not a field here/],
    ["no endpoint", { config: {} }, "/config", /Give an endpoint/],
    [
      "a URL with credentials",
      withConfig({ production: { url: "https://a:b@crm.example/" } }),
      "/config/production/url",
      /Authorization/,
    ],
    [
      "a URL of another scheme",
      withConfig({ production: { url: "ftp://crm.example/" } }),
      "/config/production/url",
      /https/,
    ],
    [
      "a URL with a line break",
      withConfig({ production: { url: "https://crm.example/\na" } }),
      "/config/production/url",
      /control character/,
    ],
    [
      "a header with a line break",
      withConfig({ sandbox: { url: "https://a.example/", headers: { "x-a": "1\r\nx-b: 2" } } }),
      "/config/sandbox/headers/x-a",
      /line break/,
    ],
    [
      "a header of the connection's",
      withConfig({ production: { url: "https://a.example/", headers: { Host: "x" } } }),
      "/config/production/headers/Host",
      /belongs to the connection/,
    ],
    [
      "a header of Waybill's",
      withConfig({ production: { url: "https://a.example/", headers: { "webhook-id": "x" } } }),
      "/config/production/headers/webhook-id",
      /Waybill's own/,
    ],
    [
      "an Authorization with a space at its end",
      withConfig({ production: { url: "https://a.example/", authorization: "Token a " } }),
      "/config/production/authorization",
      /ends with a space/,
    ],
    [
      "an Authorization beyond ASCII",
      withConfig({ production: { url: "https://a.example/", authorization: "Tökén" } }),
      "/config/production/authorization",
      /beyond ASCII/,
    ],
    [
      "a blank name for a type that is on",
      { events: { types: { trial: { enabled: true, name: " " } } } },
      "/events/types/trial",
      /"trial" is on but its name is blank/,
    ],
    ["a star in the middle", { events: { types: { "a*b": {} } } }, "/events/types/a*b", /star/],
    ["a filter of an unknown operator", { filter: { equals: ["data.a", 1] } }, "/filter", /equals/],
    [
      "a policy of an unknown preset",
      { policy: { preset: "standart" } },
      "/policy/preset",
      /"standard", "subscription", "revenuecat" or "device"/,
    ],
    ["a time limit beyond two minutes", { policy: { timeout_ms: 120_001 } }, "/policy/timeout_ms", /120/],
    ["a status that is success and stop", { policy: { success: "200-410" } }, "/policy/success", /410/],
    [
      "a schedule longer than payloads are kept",
      { policy: { retry_delays_ms: [8 * 86_400_000], jitter: 0 } },
      "/policy/retry_delays_ms",
      /outlast/,
    ],
    ["a secret that is none", { secret: "whsec_AAAA" }, "/secret", /24/],
    [
      "a secret of another scheme",
      { secret: `whsec_${"A".repeat(32)}`, ...withConfig({ signature: { scheme: "v1a" } }) },
      "/secret",
      /v1a/,
    ],
    ["an app that cannot be one", { apps: ["a/b"] }, "/apps/0", /1 to 64/],
    // What is not built yet says so, and is never taken and passed over.
    ...[
      "send_trial_price",
      "exclude_historical",
      "send_user_attributes",
      "send_attribution",
      "send_play_store_purchase_token",
    ].map((name): [string, object, string, RegExp] => [
      `the option ${name}`,
      { options: { [name]: true } },
      `/options/${name}`,
      /not built yet/,
    ]),
    ...["adapty", "revenuecat", "template"].map((format): [string, object, string, RegExp] => [
      `the format ${format}`,
      withConfig({ format }),
      "/config/format",
      /not built yet/,
    ]),
    ["verification by handshake", withConfig({ verification: "cloudevents" }), "/config/verification", /not built yet/],
    [
      "a rest that is longer than the longest",
      { policy: { protection: { rest_ms: 60_000, longest_rest_ms: 30_000 } } },
      "/policy/protection/longest_rest_ms",
      /a rest only ever grows/,
    ],
    [
      "a warning that comes after the end",
      { policy: { long_failure: { warn_after_ms: 500_000_000, disable_after_ms: 400_000_000 } } },
      "/policy/long_failure/warn_after_ms",
      /too late to act on/,
    ],
    [
      "a template in its URL",
      withConfig({ production: { url: "https://a.example/{{data.id}}" } }),
      "/config/production/url",
      /not built yet/,
    ],
  ]
  for (const [what, body, pointer, says] of wrong) {
    test(`with ${what} is refused with the field and how to mend it, and nothing is kept or asked`, async () => {
      const [count, asked] = [(await program.rows("select 1 from integration")).length, there.requests.length]
      const answer = await create(body)
      assert.equal(answer.status, 422, answer.text)
      assert.equal(answer.body.errors?.[0]?.pointer, pointer)
      assert.match(String(answer.body.errors?.[0]?.message), says)
      assert.match(String(answer.body.detail), /[.?]$/, "the detail is a sentence")
      assert.equal((await program.rows("select 1 from integration")).length, count)
      assert.equal(there.requests.length, asked)
    })
  }

  test("is told of everything that is wrong with it at once", async () => {
    const { body } = await create({
      ...withConfig({ production: { url: "http://10.0.0.1/", headers: { host: "a" } } }),
      filter: { nope: [] },
      policy: { success: "410" },
    })
    const pointers = Object.values(body.errors ?? {}).map(error => String(error?.pointer))
    assert.deepEqual(pointers.sort(), [
      "/config/production/headers/host",
      "/config/production/url",
      "/filter",
      "/policy/success",
    ])
  })

  test("makes the apps that it names, unless the project is strict", async () => {
    const answer = await create({ apps: ["made-here"] })
    assert.deepEqual(answer.body.apps, ["made-here"])
    const apps = await program.call("GET", "/v1/apps")
    assert.ok(Object.values(apps.data ?? {}).some(app => String(app?.name) === "made-here"))
  })

  test("that is refused leaves no app behind; one that is kept notes in the audit log those that it made", async () => {
    const named = async () => Object.values((await program.call("GET", "/v1/apps")).data ?? {}).map(app => app?.name)
    const before = await named()
    const refused = await create({ apps: ["typo-1"], policy: { success: "410" } })
    assert.equal(refused.status, 422)
    assert.equal((await create({ apps: ["typo-1"], secret: "whsec_x" })).status, 422)
    const made = await create({ apps: ["kept-1", "kept-2"] })
    const path = `/v1/integrations/${made.body.id}`
    const patch = (body: object, headers = {}, at = path) => program.ask("PATCH", at, body, headers)
    assert.equal((await patch({ apps: ["typo-2"], policy: { success: "410" } })).status, 422)
    assert.equal((await patch({ apps: ["typo-2"] }, { "if-match": '"stale"' })).status, 412)
    assert.equal((await patch({ apps: ["typo-2"] }, {}, "/v1/integrations/int_00000000000")).status, 404)
    assert.deepEqual((await patch({ apps: ["kept-1", "kept-3"] })).body.apps, ["kept-1", "kept-3"])
    assert.deepEqual((await patch({ name: "y" })).body.apps, ["kept-1", "kept-3"])
    assert.deepEqual((await named()).sort(), [...before, "kept-1", "kept-2", "kept-3"].sort())

    const { data } = await program.call("GET", "/v1/audit-log?limit=6")
    const changes = Object.values(data ?? {})
      .map(change => [change?.kind, change?.after?.name])
      .reverse()
    assert.deepEqual(changes, [
      ["app.created", "kept-1"],
      ["app.created", "kept-2"],
      ["integration.created", "x"],
      ["app.created", "kept-3"],
      ["integration.updated", "x"],
      ["integration.updated", "y"],
    ])
    const apps = Object.values(data ?? {}).map(change => change?.after?.apps)
    assert.deepEqual(
      [apps[1], apps[3]],
      [
        ["kept-1", "kept-3"],
        ["kept-1", "kept-2"],
      ],
      "by name, as they are made",
    )
    const sent = await program.call("POST", "/v1/events", { type: "a", app: "kept-3" })
    assert.match(String(sent.id ?? sent.event?.id), /^evt_/)
  })

  test("beside another that names the same new app at the same moment has that one app", async () => {
    const both = await Promise.all([create({ apps: ["at-once"] }), create({ apps: ["at-once"] })])
    assert.deepEqual(
      both.map(({ status, body }) => [status, ...Object.values(body.apps ?? {})]),
      [
        [201, "at-once"],
        [201, "at-once"],
      ],
    )
    assert.equal((await program.rows("select 1 from app where name = 'at-once'")).length, 1)
    assert.equal(
      (await program.rows("select 1 from change where kind = 'app.created' and after like '%at-once%'")).length,
      1,
    )
  })
})

test("the list has the newest first, page by page", async () => {
  await using fresh = await Program.open()
  const ids: string[] = []
  for (let i = 0; i < 5; i++) ids.unshift(await fresh.integrate(there.url(), { name: `number ${i}` }))
  const found: (Json | undefined)[] = []
  let cursor = ""
  do {
    const page = await fresh.call("GET", `/v1/integrations?limit=2${cursor}`)
    found.push(...Object.values(page.data ?? {}))
    cursor = page.next_cursor === null ? "" : `&cursor=${page.next_cursor}`
  } while (cursor !== "")
  assert.deepEqual(
    found.map(each => each?.id),
    ids,
  )
})
