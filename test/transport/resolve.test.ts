import assert from "node:assert/strict"
import { after, before, describe, test } from "node:test"
import { CachingResolver, NetworkResolver, type Resolution } from "../../src/transport/resolve.ts"
import { type NameServer, nameServer, type Said } from "../help/name-server.ts"
import { saying } from "../help/outbound.ts"
import { assertAround, assertWithin } from "../help/punctual.ts"

const SIX = "2001:200:0:0:0:0:0:1"
const many = Array.from({ length: 500 }, (_, i) => `93.184.${Math.floor(i / 250)}.${i % 250}`)

/** What the test's name server has, by name and type. */
const zone: Record<string, { readonly A: Said; readonly AAAA: Said }> = {
  "both.example": { A: { addresses: ["93.184.215.14"], ttlSeconds: 90 }, AAAA: { addresses: [SIX], ttlSeconds: 30 } },
  "four.example": { A: { addresses: ["93.184.215.14", "93.184.215.15"] }, AAAA: { addresses: [] } },
  "six.example": { A: { addresses: [] }, AAAA: { addresses: [SIX] } },
  "six-only.example": { A: { error: "SERVFAIL" }, AAAA: { addresses: [SIX] } },
  "zero.example": { A: { addresses: ["93.184.215.14"], ttlSeconds: 0 }, AAAA: { addresses: [] } },
  "missing.example": { A: { error: "NXDOMAIN" }, AAAA: { error: "NXDOMAIN" } },
  "empty.example": { A: { addresses: [] }, AAAA: { addresses: [] } },
  "broken.example": { A: { error: "SERVFAIL" }, AAAA: { error: "SERVFAIL" } },
  "half-broken.example": { A: { addresses: [] }, AAAA: { error: "SERVFAIL" } },
  "refused.example": { A: { error: "REFUSED" }, AAAA: { error: "REFUSED" } },
  "silent.example": { A: "silence", AAAA: "silence" },
  "silent-six.example": { A: { addresses: ["93.184.215.14"] }, AAAA: "silence" },
  "late-six.example": { A: { addresses: ["93.184.215.14"] }, AAAA: { addresses: [SIX], afterMs: 50 } },
  "many.example": { A: { addresses: many }, AAAA: { addresses: [] } },
}

let server: NameServer
let resolver: NetworkResolver

before(async () => {
  server = await nameServer((name, type) =>
    name.startsWith("slow") ? "silence" : (zone[name]?.[type] ?? { error: "NXDOMAIN" }),
  )
  resolver = new NetworkResolver({ servers: () => [server.address], timeoutMs: 800 })
})
after(() => server.close())

describe("asking the DNS", { concurrency: true }, () => {
  const rows: [name: string, resolution: Resolution][] = [
    ["both.example", { kind: "found", addresses: ["93.184.215.14", "2001:200::1"], ttlMs: 30_000 }],
    ["four.example", { kind: "found", addresses: ["93.184.215.14", "93.184.215.15"], ttlMs: 60_000 }],
    ["six.example", { kind: "found", addresses: ["2001:200::1"], ttlMs: 60_000 }],
    ["six-only.example", { kind: "found", addresses: ["2001:200::1"], ttlMs: 60_000 }],
    ["zero.example", { kind: "found", addresses: ["93.184.215.14"], ttlMs: 0 }],
    ["missing.example", { kind: "failed", code: "ENOTFOUND" }],
    ["empty.example", { kind: "failed", code: "ENODATA" }],
    ["broken.example", { kind: "failed", code: "ESERVFAIL" }],
    ["half-broken.example", { kind: "failed", code: "ESERVFAIL" }],
    ["silent.example", { kind: "failed", code: "ETIMEOUT" }],
    ["silent-six.example", { kind: "found", addresses: ["93.184.215.14"], ttlMs: 60_000 }],
    ["late-six.example", { kind: "found", addresses: ["93.184.215.14", "2001:200::1"], ttlMs: 60_000 }],
    ["many.example", { kind: "found", addresses: many, ttlMs: 60_000 }],
  ]
  for (const [name, expected] of rows) {
    test(`${name}: ${expected.kind === "found" ? `${expected.addresses.length} found` : expected.code}`, async () => {
      assert.deepEqual(await resolver.resolve(name, "dns"), expected)
    })
  }

  test("a name server that refuses to answer is a failure, not a missing name", async () => {
    const resolution = await resolver.resolve("refused.example", "dns")
    assert.ok(resolution.kind === "failed" && resolution.code !== "ENOTFOUND" && resolution.code !== "ENODATA")
  })

  test("where nobody listens for questions, that is what is said", async () => {
    const gone = await nameServer(() => "silence")
    await gone.close()
    const nobody = new NetworkResolver({ servers: () => [gone.address], timeoutMs: 2_000 })
    assert.deepEqual(await nobody.resolve("crm.example", "dns"), { kind: "failed", code: "ECONNREFUSED" })
  })

  test("after the network changed, the system's new name servers are asked", async () => {
    const gone = await nameServer(() => "silence")
    await gone.close()
    const servers = [gone.address]
    const moving = new NetworkResolver({ servers: () => servers, timeoutMs: 2_000 })
    servers[0] = server.address
    let resolution = await moving.resolve("four.example", "dns")
    assert.equal(resolution.kind, "failed")
    while (resolution.kind === "failed") resolution = await moving.resolve("four.example", "dns")
    assert.deepEqual(resolution.addresses, ["93.184.215.14", "93.184.215.15"])
  })

  test("its own time limit holds, however many tries and servers there are", async () => {
    const hasty = new NetworkResolver({ servers: () => [server.address, server.address], timeoutMs: 200 })
    const askedAt = performance.now()
    assert.deepEqual(await hasty.resolve("slow-limit.example", "dns"), { kind: "failed", code: "ETIMEOUT" })
    assertAround(performance.now() - askedAt, 200)
  })

  test("20 names without an answer do not delay one that has one", async () => {
    const slow = Array.from({ length: 20 }, (_, i) => resolver.resolve(`slow${i}.example`, "dns"))
    const askedAt = performance.now()
    assert.equal((await resolver.resolve("four.example", "dns")).kind, "found")
    assertWithin(performance.now() - askedAt, 400)
    for (const resolution of await Promise.all(slow)) assert.equal(resolution.kind, "failed")
  })
})

describe("asking the system", () => {
  test("finds what the hosts file has, which the DNS does not", async () => {
    const found = await resolver.resolve("localhost", "system")
    assert.ok(found.kind === "found" && found.addresses.some(address => address === "127.0.0.1" || address === "::1"))
    assert.deepEqual(await resolver.resolve("localhost", "dns"), { kind: "failed", code: "ENOTFOUND" })
  })
})

describe("answers are kept", () => {
  /** A resolver whose answer has this TTL, under a clock that the test turns. */
  function cached(ttlMs: number | string) {
    const clock = { now: 0 }
    const inner = saying(() => "")
    inner.resolve = (name, source) => {
      inner.asked.push(`${source} ${name}`)
      return Promise.resolve(
        typeof ttlMs === "string"
          ? { kind: "failed", code: ttlMs }
          : { kind: "found", addresses: ["93.184.215.14"], ttlMs },
      )
    }
    const limits = { floorMs: 5_000, ceilingMs: 300_000, notFoundMs: 10_000, failedMs: 2_000, names: 3 }
    const resolver = new CachingResolver(inner, () => clock.now, limits)
    const asksAgainAt = async (now: number): Promise<boolean> => {
      const before = inner.asked.length
      clock.now = now
      await resolver.resolve("crm.example", "dns")
      return inner.asked.length > before
    }
    return { resolver, inner, asksAgainAt }
  }

  const rows: [what: string, ttlMs: number | string, keptMs: number][] = [
    ["as long as their TTL says", 60_000, 60_000],
    ["for the floor where the TTL is zero", 0, 5_000],
    ["for the ceiling where the TTL is a week", 604_800_000, 300_000],
    ["for a while where the name does not exist", "ENOTFOUND", 10_000],
    ["for a while where it has no address", "ENODATA", 10_000],
    ["for a moment where there was no answer", "ETIMEOUT", 2_000],
  ]
  for (const [what, ttlMs, keptMs] of rows) {
    test(what, async () => {
      const { asksAgainAt } = cached(ttlMs)
      assert.equal(await asksAgainAt(0), true)
      assert.equal(await asksAgainAt(keptMs - 1), false)
      assert.equal(await asksAgainAt(keptMs), true)
    })
  }

  test("and a question that is under way is not asked twice", async () => {
    const { resolver, inner } = cached(1_000)
    await Promise.all(Array.from({ length: 100 }, () => resolver.resolve("crm.example", "dns")))
    assert.deepEqual(inner.asked, ["dns crm.example"])
  })

  test("for the DNS and for the system apart", async () => {
    const { resolver, inner } = cached(1_000)
    await resolver.resolve("crm.example", "dns")
    await resolver.resolve("crm.example", "system")
    assert.deepEqual(inner.asked, ["dns crm.example", "system crm.example"])
  })

  test("for so many names and no more, the oldest forgotten first", async () => {
    const { resolver, inner } = cached(1_000)
    for (const name of ["a", "b", "c", "d"]) await resolver.resolve(name, "dns")
    for (const name of ["d", "c", "b", "a"]) await resolver.resolve(name, "dns")
    assert.deepEqual(inner.asked.slice(4), ["dns a"])
  })
})
