import assert from "node:assert/strict"
import { test } from "node:test"
import { locationOf, namedField } from "../../src/domain/answer-hints.ts"
import type { Answer } from "../../src/domain/exchange.ts"

function answer(over: Partial<Answer>): Answer {
  return { status: 422, headers: [], body: new Uint8Array(), truncated: false, incomplete: false, ...over }
}

function saying(body: unknown): Answer {
  return answer({ body: new TextEncoder().encode(typeof body === "string" ? body : JSON.stringify(body)) })
}

test("the field that an answer complains of is found in the forms that validators use", () => {
  const answers: readonly (readonly [body: unknown, field: string])[] = [
    [{ type: "about:blank", status: 422, errors: [{ detail: "is required", pointer: "/data/email" }] }, "/data/email"],
    [{ "invalid-params": [{ name: "x", field: "email" }] }, "email"],
    [{ errors: [{ status: "422", source: { pointer: "/data/attributes/email" } }] }, "/data/attributes/email"],
    [{ error: { type: "invalid_request_error", param: "customer[email]" } }, "customer[email]"],
    [{ message: "Validation Failed", errors: [{ resource: "Issue", field: "title", code: "missing_field" }] }, "title"],
    [{ detail: [{ loc: ["body", "items", 0, "email"], msg: "field required" }] }, "body.items.0.email"],
    [{ errors: { email: ["is invalid"], name: ["is too short"] } }, "email"],
    [{ errors: { email: "is invalid" } }, "email"],
    [{ email: ["This field is required."] }, "email"],
    [{ error: { details: [{ fieldViolations: [{ field: "user.email", description: "bad" }] }] } }, "user.email"],
    [{ issues: [{ code: "invalid_type", path: ["user", "email"] }] }, "user.email"],
    [{ errors: [{ type: "field", path: "email", msg: "Invalid value" }] }, "email"],
    [{ fieldErrors: { email: ["Required"] }, formErrors: [] }, "email"],
    [[{ instancePath: "/email", keyword: "format" }], "/email"],
    [{ field: "email", message: "is invalid" }, "email"],
  ]
  for (const [body, field] of answers) assert.equal(namedField(saying(body)), field, JSON.stringify(body))
})

test("an answer that names no field is not made to", () => {
  const answers: readonly unknown[] = [
    "",
    "Unprocessable Entity",
    "<html><body>field</body></html>",
    "null",
    "3",
    '"field"',
    "[]",
    "{}",
    "{",
    { timestamp: 1, status: 400, error: "Bad Request", path: "/hook" },
    { errors: ["Email is invalid"] },
    { error: ["Email is invalid"] },
    { message: "nope", code: 7 },
    { errors: { message: "nope" } },
    { data: { field: "what was sent" } },
    { field: "" },
    { field: { name: "x" } },
    '{"__proto__": {"field": "x"}}',
    { constructor: { field: "x" } },
  ]
  for (const body of answers) assert.equal(namedField(saying(body)), null, JSON.stringify(body))
})

test("a hostile body is neither followed down nor believed at length", () => {
  const bodies = [
    "[".repeat(8_000) + "]".repeat(8_000),
    `${'{"error":'.repeat(1_700)}1${"}".repeat(1_700)}`,
    JSON.stringify({ errors: Array.from({ length: 2_000 }, () => []) }),
    JSON.stringify({ errors: [{ field: "x".repeat(15_000) }] }),
  ]
  for (const body of bodies) assert.ok((namedField(saying(body)) ?? "").length <= 100)
  assert.equal(namedField(answer({ body: new Uint8Array([0x7b, 0xff, 0x7d]) })), null)
  assert.equal(namedField(saying({ errors: [{ field: "a" }], fill: "x".repeat(17_000) })), null)
})

test("a body that is not whole is not read", () => {
  const whole = saying({ field: "email" })
  assert.equal(namedField(whole), "email")
  assert.equal(namedField({ ...whole, truncated: true }), null)
  assert.equal(namedField({ ...whole, incomplete: true }), null)
})

test("a redirect's address is told without credentials, query and fragment", () => {
  const places = [
    ["https://new.example/hook", "https://new.example/hook"],
    ["https://user:pw@new.example/hook?token=s3cret#x", "https://new.example/hook"],
    ["//user:p@w@new.example/", "//new.example/"],
    ["/login?next=/hook", "/login"],
    ["hook/", "hook/"],
    ["/a@b", "/a@b"],
  ] as const
  for (const [location, told] of places) assert.equal(locationOf(answer({ headers: [["location", location]] })), told)
  assert.equal(locationOf(answer({})), null)
  assert.equal(locationOf(answer({ headers: [["location", "  "]] })), null)
})
