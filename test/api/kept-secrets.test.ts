/** Secrets that are kept go to the host that they were given for, unless who changes that may read them or has them. */
import assert from "node:assert/strict"
import { after, before, describe, test } from "node:test"
import { type Answer, Program } from "../help/program.ts"

const HERE = "http://127.0.0.1:9/hook"
const ELSEWHERE = "http://127.0.0.1:19/hook"

let program: Program
let writer: string
before(async () => {
  program = await Program.open()
  const scopes = ["integrations:read", "integrations:write"]
  writer = String((await program.call("POST", "/v1/api-keys", { name: "writer", scopes })).key)
})
after(() => program[Symbol.asyncDispose]())

async function made(production: object): Promise<string> {
  const config = { production: { url: HERE, ...production }, verification: "none" }
  return `/v1/integrations/${(await program.call("POST", "/v1/integrations", { name: "CRM", config })).id}`
}

const change = (path: string, production: object, key = writer): Promise<Answer> =>
  program.ask("PATCH", path, { config: { production } }, { authorization: `Bearer ${key}` })

const kinds: readonly [what: string, production: object, pointers: readonly string[]][] = [
  ["an authorization", { authorization: "Bearer canary" }, ["/config/production/authorization"]],
  ["a header", { headers: { "x-key": "canary" } }, ["/config/production/headers/x-key"]],
  [
    "a password",
    { auth: { kind: "basic", username: "ada", password: "canary" } },
    ["/config/production/auth/password"],
  ],
]

describe("a key that sets up integrations and reads no secrets", () => {
  for (const [what, production, pointers] of kinds) {
    test(`sends ${what} to no other host by changing the address`, async () => {
      const path = await made(production)
      const refused = await change(path, { url: ELSEWHERE })
      assert.deepEqual(
        [refused.status, refused.body.code, String(refused.body.scope)],
        [403, "forbidden", "secrets:read"],
      )
      const errors = refused.body.errors as unknown as { pointer: string }[]
      assert.deepEqual(
        errors.map(({ pointer }) => pointer),
        pointers,
      )
      assert.equal((await program.call("GET", path)).config?.production?.url, HERE)
      const marked = await change(path, { url: ELSEWHERE, ...(await shown(path)) })
      assert.equal(marked.status, 403, "nor by sending back what it was shown")
      assert.equal((await change(path, { url: ELSEWHERE, ...production })).status, 200, "who has it may send it anew")
    })
  }

  test("has no client secret sent to another token endpoint", async () => {
    const auth = { kind: "oauth2", token_url: HERE, client_id: "us", client_secret: "canary", client_auth: "post" }
    const path = await made({ auth })
    assert.equal((await change(path, { auth: { token_url: ELSEWHERE } })).status, 403)
    assert.equal((await change(path, { url: ELSEWHERE })).status, 403, "nor the token to another endpoint")
    assert.equal((await change(path, { auth: { token_url: ELSEWHERE, client_secret: "another" } })).status, 200)
  })

  test("changes the path, the name, an address without secrets, and one that is new", async () => {
    const path = await made({ authorization: "Bearer canary" })
    assert.equal((await change(path, { url: `${HERE}/v2?x=1` })).status, 200)
    assert.equal((await change(path, { url: ELSEWHERE, authorization: null })).status, 200)
    assert.equal((await change(await made({}), { url: ELSEWHERE })).status, 200)
    const sandbox = { config: { sandbox: { url: ELSEWHERE, authorization: "Bearer new" } } }
    const added = await program.ask("PATCH", path, sandbox, { authorization: `Bearer ${writer}` })
    assert.equal(added.status, 200)
  })
})

test("who may read secrets mends an address, and what waits goes there with what was kept", async () => {
  const path = await made({ authorization: "Bearer canary" })
  const scopes = ["integrations:write", "secrets:read"]
  const { key } = await program.call("POST", "/v1/api-keys", { name: "developer", scopes })
  assert.equal((await change(path, { url: ELSEWHERE }, String(key))).status, 200)
  assert.deepEqual((await program.call("GET", path)).config?.production?.authorization, { set: true })
})

/** The endpoint's settings as they are read, without the address. */
async function shown(path: string): Promise<object> {
  const { url: _, ...rest } = (await program.call("GET", path)).config?.production ?? {}
  return rest
}
