/** Requests that other sites' pages make with a person's cookie: the whole table of API-9, each row a real request. */
import assert from "node:assert/strict"
import { request } from "node:http"
import { after, before, describe, test } from "node:test"
import { crossSiteFault } from "../../src/domain/cross-site.ts"
import type { Browser } from "../help/browser.ts"
import { setUp } from "../help/people.ts"
import { Program } from "../help/program.ts"

let program: Program
let owner: Browser
before(async () => {
  program = await Program.open()
  owner = await setUp(program)
})
after(() => program[Symbol.asyncDispose]())

/** Over a bare socket: `fetch` sends some of these headers as it sees fit. */
function statusOf(
  method: string,
  headers: Readonly<Record<string, string>>,
  path = "/v1/apps",
  body = '{"name":"a"}',
): Promise<number> {
  const all = { cookie: `waybill=${owner.cookies.get("waybill")}`, ...headers }
  const type = method === "GET" ? {} : { "content-type": "application/json" }
  return new Promise((resolve, reject) => {
    const asked = request(program.url + path, { method, headers: { ...type, ...all } }, response => {
      response.resume()
      resolve(response.statusCode ?? 0)
    })
    asked.on("error", reject)
    asked.end(method === "GET" ? undefined : body)
  })
}

const sites = ["same-origin", "same-site", "cross-site", "none", "absent"] as const
const origins = ["ok", "bad", "null", "absent"] as const

/** What the table asks for: a browser that says `Sec-Fetch-Site` is believed, and for others `Origin` has to be right. */
function isTaken(method: string, site: (typeof sites)[number], origin: (typeof origins)[number]): boolean {
  if (method === "GET") return true
  return site === "absent" ? origin === "ok" : site === "same-origin" || site === "none"
}

describe("with a session's cookie and its token", () => {
  for (const method of ["GET", "POST"]) {
    for (const site of sites) {
      test(`${method} with Sec-Fetch-Site ${site} is taken or refused as the table says, whatever the Origin`, async () => {
        for (const origin of origins) {
          const status = await statusOf(method, {
            "x-csrf-token": String(owner.csrf),
            ...(site === "absent" ? {} : { "sec-fetch-site": site }),
            ...(origin === "absent"
              ? {}
              : { origin: { ok: program.url, bad: "https://evil.example", null: "null" }[origin] }),
          })
          const expected = isTaken(method, site, origin) ? (method === "GET" ? 200 : 201) : 403
          assert.equal(status, expected, `Origin ${origin}`)
        }
      })
    }
  }

  test("a page of another port, or one that says nonsense, is another site's", async () => {
    const token = { "x-csrf-token": String(owner.csrf) }
    const { port } = new URL(program.url)
    assert.equal(await statusOf("POST", { ...token, origin: `http://127.0.0.1:${Number(port) + 1}` }), 403)
    assert.equal(await statusOf("POST", { ...token, origin: "nonsense" }), 403)
    assert.equal(await statusOf("POST", { ...token, "sec-fetch-site": "Same-Origin, cross-site" }), 403)
  })
})

test("nothing is changed without the session's own token, or with that of another session", async () => {
  const own = { "sec-fetch-site": "same-origin" }
  assert.equal(await statusOf("POST", own), 403)
  assert.equal(await statusOf("POST", { ...own, "x-csrf-token": "" }), 403)
  assert.equal(await statusOf("POST", { ...own, "x-csrf-token": `${owner.csrf}x` }), 403)
  const stale = String(owner.csrf)
  const { id } = await owner.call("POST", "/v1/projects", { name: "other" })
  await owner.call("PUT", "/v1/session/project", { project: id })
  assert.equal(await statusOf("POST", { ...own, "x-csrf-token": stale }), 403, "it was that of the project before")
  assert.equal(await statusOf("POST", { ...own, "x-csrf-token": String(owner.csrf) }), 201)
  assert.equal(await statusOf("PUT", own, "/v1/event-types/a.b", "{}"), 403)
  assert.equal(await statusOf("PATCH", own, "/v1/projects/x", "{}"), 403)
  const removed = await owner.ask("DELETE", "/v1/event-types/a.b", undefined, { "x-csrf-token": "" })
  assert.deepEqual([removed.status, removed.body.code], [403, "cross_site"])
})

test("forms cannot be sent with a session's cookie: JSON alone is taken", async () => {
  const headers = { "sec-fetch-site": "same-origin", "x-csrf-token": String(owner.csrf) }
  for (const type of ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x"]) {
    assert.equal(await statusOf("POST", { ...headers, "content-type": type }), 415, type)
    assert.equal(await statusOf("POST", { ...headers, "content-type": type }, "/v1/events"), 415, type)
  }
})

test("another site's page cannot sign a browser in as somebody else", async () => {
  const body = JSON.stringify({ email: "ada@shop.example", password: "x" })
  for (const path of ["/v1/session", "/v1/setup", "/v1/invitations/accept"]) {
    const bodyOf =
      path === "/v1/session"
        ? body
        : JSON.stringify({ token: "x", email: "a@b.example", name: "x", password: "x".repeat(12) })
    const given = path.endsWith("accept") ? JSON.stringify({ token: "x", password: "x".repeat(12) }) : bodyOf
    assert.equal(await statusOf("POST", { "sec-fetch-site": "cross-site" }, path, given), 403, path)
    assert.equal(await statusOf("POST", { origin: "https://evil.example" }, path, given), 403, path)
    assert.notEqual(await statusOf("POST", {}, path, given), 403, `${path} without a browser`)
  }
})

test("behind a proxy the origin is the public one", () => {
  const proxied = { method: "POST", site: undefined, host: "waybill:8080", publicUrl: "https://hub.example/waybill" }
  assert.equal(crossSiteFault({ ...proxied, origin: "https://hub.example" }), null)
  assert.notEqual(crossSiteFault({ ...proxied, origin: "http://hub.example" }), null)
  assert.notEqual(crossSiteFault({ ...proxied, origin: "https://hub.example.evil.example" }), null)
})
