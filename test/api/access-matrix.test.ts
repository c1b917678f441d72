/**
 * Every operation of the OpenAPI document with every kind of credential: let in exactly where domain/scope.ts says so, and
 * told what is missing where not. A route that forgets its scope, or asks for another than it says, is seen here.
 */
import assert from "node:assert/strict"
import { after, before, describe, test } from "node:test"
import { allows, isScope, type NeededScope, roleNames, roles, scopeNames } from "../../src/domain/scope.ts"
import { type Operation, operationsOf } from "../help/document.ts"
import { Program } from "../help/program.ts"

let program: Program
let operations: readonly Operation[]
before(async () => {
  program = await Program.open()
  operations = operationsOf(await (await fetch(`${program.url}/openapi.json`)).json())
})
after(() => program[Symbol.asyncDispose]())

/** What an operation asks of a key. */
type Asked =
  | { readonly kind: "nothing" }
  | { readonly kind: "scope"; readonly scope: NeededScope }
  | { readonly kind: "a person" }

function askedBy({ id, raw }: Operation): Asked {
  const security = raw["security"] as readonly Readonly<Record<string, readonly string[]>>[] | undefined
  assert.ok(security !== undefined, `${id} says whom it lets in`)
  if (security.length === 0) return { kind: "nothing" }
  const [scope] = security.find(one => "key" in one)?.["key"] ?? []
  if (scope === undefined) return { kind: "a person" }
  assert.ok(scope === "any" || isScope(scope), `${id} asks for ${scope}`)
  return { kind: "scope", scope }
}

/** Asks as little as possible: of things that are not there, with nothing in the body. What comes is not read to its end. */
async function ask(operation: Operation, key: string | null) {
  const path = operation.path.replace(/\{\w+\}/g, "nobody")
  const response = await fetch(program.url + path, {
    method: operation.method,
    headers: {
      ...(key === null ? {} : { authorization: `Bearer ${key}` }),
      ...(operation.takesBody ? { "content-type": "application/json" } : {}),
    },
    ...(operation.takesBody ? { body: "{}" } : {}),
  })
  const { status, headers } = response
  if (!headers.get("content-type")?.startsWith("application/problem+json")) {
    await response.body?.cancel()
    return { status, code: "", scope: undefined, detail: "" }
  }
  const { code, scope, detail } = (await response.json()) as Record<"code" | "scope" | "detail", string>
  return { status, code, scope, detail }
}

async function makeKey(scopes: readonly string[], more: object = {}): Promise<{ id: string; key: string }> {
  const made = await program.call("POST", "/v1/api-keys", { name: scopes.join() || "none", scopes, ...more })
  return { id: String(made.id), key: String(made.key) }
}

/** What is wrong with how an operation meets a key with these scopes; null where it is as it should be. */
async function faultOf(operation: Operation, scopes: readonly string[], key: string): Promise<string | null> {
  const asked = askedBy(operation)
  const { status, code, scope, detail } = await ask(operation, key)
  const found = `${operation.id} with [${scopes}]: ${status} ${code} ${detail}`
  switch (asked.kind) {
    case "nothing":
      return null
    case "a person":
      return status === 403 && /people/.test(detail) ? null : found
    case "scope": {
      if (allows(scopes, asked.scope)) return status === 401 || status === 403 ? found : null
      const isTold = status === 403 && code === "forbidden" && scope === asked.scope && detail.includes(asked.scope)
      return isTold ? null : found
    }
  }
}

async function faultsWith(scopes: readonly string[]): Promise<(string | null)[]> {
  const { key } = await makeKey(scopes)
  const faults: (string | null)[] = []
  for (const operation of operations) faults.push(await faultOf(operation, scopes, key))
  return faults.filter(fault => fault !== null)
}

describe("an operation lets in a key", () => {
  for (const scope of scopeNames)
    test(`with the scope ${scope} alone, exactly where it asks for no other`, async () => {
      assert.deepEqual(await faultsWith([scope]), [])
    })

  for (const role of roleNames)
    test(`with the scopes of the role ${role}, exactly where it asks for one of them`, async () => {
      assert.deepEqual(await faultsWith(roles[role].scopes), [])
    })

  test("without any scope only where it asks for none", async () => {
    assert.deepEqual(await faultsWith([]), [])
  })
})

describe("an operation that asks for a credential is closed", () => {
  const closedTo = async (key: string | null) => {
    const open: string[] = []
    for (const operation of operations) {
      if (askedBy(operation).kind === "nothing") continue
      const { status, code } = await ask(operation, key)
      if (status !== 401 || code !== "unauthorized") open.push(`${operation.id}: ${status} ${code}`)
    }
    assert.deepEqual(open, [])
  }

  test("without one", () => closedTo(null))

  test("to a key that is none of ours", () => closedTo("wb_live_sk_guessed"))

  test("to one that was revoked", async () => {
    const { id, key } = await makeKey(["admin"])
    await program.call("DELETE", `/v1/api-keys/${id}`)
    await closedTo(key)
  })

  test("to one that has expired", async () => {
    const { key } = await makeKey(["admin"], { expires_at: new Date(program.now + 1_000).toISOString() })
    program.turn(1_000)
    await closedTo(key)
  })
})

test("the operations that ask for nothing are those that are meant to", () => {
  const open = operations.filter(operation => askedBy(operation).kind === "nothing").map(({ id }) => id)
  assert.deepEqual(open.toSorted(), [...openToAll].sort())
})

/** Whoever adds one here has thought of what it tells a stranger. */
const openToAll = [
  "livez",
  "readyz",
  "getProblemType",
  // The token in its path is the credential: the project that it is of has none left.
  "getRemoval",
  // Public keys, for those who verify what was signed with their private ones.
  "getJwks",
  // Whoever has no credential yet asks for one here.
  "setUp",
  "acceptInvitation",
  "signIn",
  "getSignIn",
  "askForPasswordReset",
  // With the token of a link that was mailed.
  "resetPassword",
  "signInElsewhere",
  "comeBackSignedIn",
]
