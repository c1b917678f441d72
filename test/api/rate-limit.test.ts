/** Quotas of requests: what answers say of them, what comes beyond them, and who is not bothered. */
import assert from "node:assert/strict"
import { describe, test } from "node:test"
import { levelAt, secondsToNext } from "../../src/domain/quota.ts"
import { items } from "../help/items.ts"
import { type Answer, Program } from "../help/program.ts"

async function keyWith(program: Program, quota: number | null): Promise<string> {
  const asked = { name: "k", scopes: ["ingest", "events:read"], max_requests_per_minute: quota }
  return String((await program.call("POST", "/v1/api-keys", asked)).key)
}

async function limitProject(program: Program, quota: number | null): Promise<void> {
  const [project] = items((await program.call("GET", "/v1/projects")).data)
  await program.call("PATCH", `/v1/projects/${project?.id}`, { max_requests_per_minute: quota })
}

function as(program: Program, key: string, method = "GET", path = "/v1/apps", body?: unknown): Promise<Answer> {
  return program.ask(method, path, body, { authorization: `Bearer ${key}` })
}

/** A list of strings with parameters that are whole numbers (RFC 9651), by the string. */
function readFields(header: string | null): Record<string, Record<string, number>> {
  const members = (header ?? "").split(", ").map(member => {
    const [, name = "", rest = ""] = /^"([a-z]+)"((?:;[a-z]+=\d+)+)$/.exec(member) ?? []
    assert.notEqual(name, "", `${header} is a list of strings with parameters`)
    const parameters = rest
      .split(";")
      .slice(1)
      .map(text => text.split("=") as [string, string])
    return [name, Object.fromEntries(parameters.map(([key, value]) => [key, Number(value)]))] as const
  })
  return Object.fromEntries(members)
}

const quotaOf = ({ headers }: Answer) => readFields(headers.get("ratelimit"))
const policyOf = ({ headers }: Answer) => readFields(headers.get("ratelimit-policy"))

describe("a key with a quota", () => {
  test("is told of it and of what is left with every answer, and refused when nothing is", async () => {
    await using program = await Program.open()
    const key = await keyWith(program, 3)
    for (const left of [2, 1, 0]) {
      const answer = await as(program, key)
      assert.deepEqual(
        [answer.status, policyOf(answer), quotaOf(answer)["key"]?.["r"]],
        [200, { key: { q: 3, w: 60 } }, left],
      )
    }
    const refused = await as(program, key)
    assert.deepEqual([refused.status, refused.body.code], [429, "quota_exceeded"])
    assert.equal(refused.body.type, "https://iana.org/assignments/http-problem-types#quota-exceeded")
    assert.deepEqual(refused.body["violated-policies"], ["key"])
    const { r, t } = quotaOf(refused)["key"] ?? {}
    const after = Number(refused.headers.get("retry-after"))
    assert.ok(r === 0 && t === 20 && after >= t, refused.headers.get("ratelimit") ?? "")
    program.turn(after * 1_000)
    assert.deepEqual([(await as(program, key)).status, (await as(program, key)).status], [200, 429])
  })

  test("gets no more than its quota, however its requests are spread over a minute", async () => {
    await using program = await Program.open()
    const key = await keyWith(program, 60)
    let admitted = 0
    for (let second = 0; second < 120; second++) {
      for (let i = 0; i < 3; i++) if ((await as(program, key)).status === 200) admitted++
      program.turn(1_000)
    }
    assert.equal(admitted, 60 + 119, "what the bucket held at first, and one a second after it")
  })

  test("sends events by it too: nothing of what is refused is stored", async () => {
    await using program = await Program.open()
    const key = await keyWith(program, 1)
    const statuses = [
      (await as(program, key, "POST", "/v1/events", { type: "a" })).status,
      (await as(program, key, "POST", "/v1/events", { type: "a" })).status,
      (await as(program, key, "POST", "/v1/events/batch", { events: [{ type: "a" }] })).status,
    ]
    assert.deepEqual(statuses, [202, 429, 429])
    assert.equal((await program.rows("select 1 from event")).length, 1)
    assert.deepEqual(items((await program.call("GET", "/v1/rejections")).data), [])
  })

  test("uses it up with what it may not do, and not with what comes without it", async () => {
    await using program = await Program.open()
    const key = await keyWith(program, 2)
    const guess = await as(program, "wb_guessed")
    assert.deepEqual([guess.status, guess.headers.get("ratelimit")], [401, null])
    const statuses = [await as(program, key, "GET", "/v1/api-keys"), await as(program, key, "GET", "/v1/api-keys")]
    assert.deepEqual(
      statuses.map(({ status }) => status),
      [403, 403],
    )
    assert.equal((await as(program, key)).status, 429)
  })

  test("has its new one from the next request on", async () => {
    await using program = await Program.open()
    const { id, key } = await program.call("POST", "/v1/api-keys", {
      name: "k",
      scopes: [],
      max_requests_per_minute: 1,
    })
    const status = async () => (await as(program, String(key), "GET", "/v1/projects")).status
    assert.deepEqual([await status(), await status()], [200, 429])
    await program.call("PATCH", `/v1/api-keys/${id}`, { max_requests_per_minute: null })
    const { headers } = await as(program, String(key), "GET", "/v1/projects")
    assert.deepEqual([headers.get("ratelimit"), headers.get("ratelimit-policy")], [null, null])
  })
})

describe("a project with a quota", () => {
  test("shares it among its keys, and each is told of both quotas", async () => {
    await using program = await Program.open()
    const [one, two] = [await keyWith(program, 100), await keyWith(program, null)]
    await limitProject(program, 3)
    const first = await as(program, one)
    assert.deepEqual(policyOf(first), { key: { q: 100, w: 60 }, project: { q: 3, w: 60 } })
    assert.deepEqual([quotaOf(first)["key"]?.["r"], quotaOf(first)["project"]?.["r"]], [99, 2])
    assert.deepEqual([(await as(program, two)).status, (await as(program, two)).status], [200, 200])
    const refused = await as(program, one)
    assert.deepEqual([refused.status, refused.body["violated-policies"]], [429, ["project"]])
    assert.equal(quotaOf(refused)["key"]?.["r"], 99, "what the project refuses uses up nothing of the key's")
  })

  test("leaves the others alone", async () => {
    await using program = await Program.open()
    const { key } = await program.call("POST", "/v1/projects", { name: "other" })
    await limitProject(program, 1)
    await as(program, program.key)
    assert.equal((await as(program, program.key)).status, 429)
    assert.equal((await as(program, String(key))).status, 200)
  })
})

test("of a quota that several processes share each gives out its part, one request at least", () => {
  assert.equal(levelAt(undefined, 600, 3, 0).left, 200)
  assert.equal(levelAt(undefined, 2, 3, 0).left, 1)
  assert.equal(levelAt({ left: 0, at: 0 }, 600, 2, 30_000).left, 150)
  assert.equal(secondsToNext({ left: 0, at: 0 }, 60, 2), 2)
  const seconds = secondsToNext({ left: 0, at: 0 }, 7, 1)
  assert.ok(levelAt({ left: 0, at: 0 }, 7, 1, seconds * 1_000).left >= 1, "after so long one is there")
  assert.equal(levelAt({ left: 1, at: 1_000 }, 60, 1, 0).left, 1, "a clock that was set back fills nothing")
})
