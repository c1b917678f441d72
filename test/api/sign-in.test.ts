/** Guessing passwords: how often anybody may, that it holds on all processes, and that it tells nothing. */
import assert from "node:assert/strict"
import { describe, test } from "node:test"
import { networkOf } from "../../src/domain/person.ts"
import { Passwords, TooManyPasswords } from "../../src/engine/passwords.ts"
import { Browser } from "../help/browser.ts"
import { newestChanges, PASSWORD, setUp } from "../help/people.ts"
import { type Answer, Program } from "../help/program.ts"

const MINUTE = 60_000
/** Where requests come from is what the proxy says, which is trusted here. */
const behindProxy = { settings: { trustProxy: "127.0.0.1" } }

function signIn(program: Program, email: string, password: string, address = "203.0.113.9"): Promise<Answer> {
  return new Browser(program).ask("POST", "/v1/session", { email, password }, { "x-forwarded-for": address })
}

describe("one account", () => {
  test("may be tried ten times in a quarter of an hour, and then not even with the right password", async () => {
    await using program = await Program.open(behindProxy)
    await setUp(program)
    // All at once: none of them gets in before it is counted.
    const answers = await Promise.all(
      Array.from({ length: 15 }, (_, i) => signIn(program, "ada@shop.example", `guess number ${i}`, `198.51.100.${i}`)),
    )
    const statuses = answers.map(({ status }) => status).toSorted()
    assert.deepEqual(statuses, [...Array<number>(10).fill(401), ...Array<number>(5).fill(429)])
    const [limited] = answers.filter(({ status }) => status === 429)
    assert.equal(limited?.headers.get("retry-after"), "900")
    assert.equal((await signIn(program, "ADA@shop.example", PASSWORD, "192.0.2.77")).status, 429, "from anywhere")
    const rows = await program.rows("select 1 from change where kind = 'session.refused'")
    assert.equal(rows.length, 10)
    await program.restart()
    program.turn(15 * MINUTE - 1_000)
    const later = await signIn(program, "ada@shop.example", PASSWORD)
    assert.deepEqual([later.status, later.headers.get("retry-after")], [429, "1"])
    program.turn(1_000)
    assert.equal((await signIn(program, "ada@shop.example", PASSWORD)).status, 201)
  })

  test("begins anew with each success", async () => {
    await using program = await Program.open(behindProxy)
    await setUp(program)
    for (let round = 0; round < 2; round++) {
      for (let i = 0; i < 9; i++) assert.equal((await signIn(program, "ada@shop.example", "not this one")).status, 401)
      assert.equal((await signIn(program, "ada@shop.example", PASSWORD)).status, 201)
    }
  })

  test("that is not known is answered the same, counted the same and takes as long", async () => {
    await using program = await Program.open(behindProxy)
    await setUp(program)
    const took = { known: [] as number[], unknown: [] as number[] }
    const bodies = new Set<string>()
    for (let i = 0; i < 10; i++) {
      for (const [kind, email] of [
        ["known", "ada@shop.example"],
        ["unknown", "nobody@shop.example"],
      ] as const) {
        const before = performance.now()
        const { status, body } = await signIn(program, email, "not this one", `203.0.113.${i}`)
        took[kind].push(performance.now() - before)
        bodies.add(JSON.stringify([status, { ...body, instance: "" }]))
      }
    }
    assert.equal(bodies.size, 1)
    const [known = 0, unknown = 0] = [took.known, took.unknown].map(times => times.toSorted((a, b) => a - b)[5])
    assert.ok(
      unknown > known / 2 && known > unknown / 2,
      `${known} ms for a known one, ${unknown} ms for an unknown one`,
    )
    for (const email of ["ada@shop.example", "nobody@shop.example"]) {
      assert.equal((await signIn(program, email, "not this one")).status, 429, email)
    }
  })
})

describe("one address", () => {
  test("may try fifty times, of whatever accounts, and holds up no other address", async () => {
    await using program = await Program.open(behindProxy)
    await setUp(program)
    for (let i = 0; i < 50; i++) await signIn(program, `somebody${i}@shop.example`, "not this one")
    assert.equal((await signIn(program, "ada@shop.example", PASSWORD)).status, 429)
    assert.equal((await signIn(program, "ada@shop.example", PASSWORD, "203.0.113.10")).status, 201)
    assert.deepEqual(await newestChanges(program, 1), ["session.created"])
  })

  test("of IPv6 is its network of 64 bits, and one that is mapped is the IPv4 address", () => {
    assert.equal(networkOf("2001:db8:1:2:aaaa::1"), networkOf("2001:db8:1:2::ffff"))
    assert.notEqual(networkOf("2001:db8:1:2::1"), networkOf("2001:db8:1:3::1"))
    assert.equal(networkOf("2001:0db8::1"), networkOf("2001:db8:0:0:5::1"))
    assert.equal(networkOf("::ffff:203.0.113.9"), "203.0.113.9")
    assert.equal(networkOf("203.0.113.9"), "203.0.113.9")
  })
})

describe("passwords", () => {
  test("are kept as argon2id with their parameters and a salt of their own", async () => {
    const passwords = new Passwords()
    const [a, b] = await Promise.all([passwords.hash(PASSWORD), passwords.hash(PASSWORD)])
    assert.match(a, /^\$argon2id\$v=19\$m=19456,t=2,p=1\$[A-Za-z0-9+/]{22}\$[A-Za-z0-9+/]{43}$/)
    assert.notEqual(a, b)
    assert.deepEqual([await passwords.isRight(PASSWORD, a), await passwords.isRight(`${PASSWORD} `, a)], [true, false])
    assert.equal(await passwords.isRight(PASSWORD, null), false)
    assert.deepEqual([passwords.isOld(a), passwords.isOld(a.replace("t=2", "t=1"))], [false, true])
  })

  test("are checked two at a time, and beyond a hundred that wait whoever comes is sent away", async () => {
    const passwords = new Passwords()
    const kept = await passwords.hash(PASSWORD)
    const all = Array.from({ length: 110 }, () => passwords.isRight(PASSWORD, kept))
    const done = await Promise.allSettled(all)
    const refused = done.filter(each => each.status === "rejected")
    assert.equal(refused.length, 8)
    assert.ok(refused.every(({ reason }) => reason instanceof TooManyPasswords))
    assert.equal(await passwords.isRight(PASSWORD, kept), true, "the queue is empty again")
  })
})
