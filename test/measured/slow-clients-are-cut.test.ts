/**
 * Clients that send a byte now and then, to hold a place for as long as they can (API-25): each is told so and cut within
 * the limits, even if it keeps its own side open and goes on; who sends as usual notices nothing. Everything here is ten
 * times faster than in earnest: the limits; the drips are a little slower than that, as here the same machine makes them.
 */
import assert from "node:assert/strict"
import { connect } from "node:net"
import { type TestContext, test } from "node:test"
import { timeLimits } from "../../src/api/server.ts"
import { Program } from "../help/program.ts"

const limits = { headersMs: 1_000, requestMs: 3_000, checkMs: 500 }
const DRIP_MS = 500
/** Between the moment when a connection is due to be cut and the one in which its client sees it, on a busy machine. */
const SLACK_MS = 5_000

const LATE = /^HTTP\/1\.1 408 [\s\S]*did not arrive in time: headers within 1 s, all within 3 s/

/** What became of a slow client. */
interface Ending {
  readonly heard: string
  /** From when it asked to be let in, at the soonest of which its time begins, until it was told that it is over. */
  readonly toldMs: number
  /** From when it knew that it was let in, until its socket was gone. */
  readonly goneMs: number
}

/** Says the head at once, then a letter with each drip, and never ends by itself. Without a head it is silent at first. */
function slowClient(t: TestContext, url: string, head: string): Promise<Ending> {
  const askedAt = performance.now()
  let letInAt = askedAt
  const socket = connect({ host: "127.0.0.1", port: Number(new URL(url).port), allowHalfOpen: true })
  t.signal.addEventListener("abort", () => socket.destroy())
  let heard = ""
  let toldMs = Number.POSITIVE_INFINITY
  let drip: NodeJS.Timeout | undefined
  const goOn = (): void => {
    drip ??= setInterval(() => socket.write("x"), DRIP_MS)
  }
  return new Promise(resolve => {
    socket.setEncoding("utf8").on("data", text => {
      heard += text
    })
    // What was told is not taken as an end.
    socket.on("end", () => {
      toldMs = performance.now() - askedAt
      goOn()
    })
    socket.on("error", () => {})
    socket.on("close", () => {
      clearInterval(drip)
      resolve({ heard, toldMs, goneMs: performance.now() - letInAt })
    })
    // Two thousand at once wait for one another before they are let in.
    socket.once("connect", () => {
      letInAt = performance.now()
      if (head === "") return
      socket.write(head)
      goOn()
    })
  })
}

test("two thousand slow clients are cut within the limits, and nobody else waits for them", {
  timeout: 60_000,
}, async t => {
  await using program = await Program.open({ timeLimits: limits })
  const send = (...headers: string[]) =>
    ["POST /v1/events HTTP/1.1", "host: x", "content-type: application/json", ...headers, "", ""].join("\r\n")
  const authorization = `authorization: Bearer ${program.key}`
  const kinds = [
    { what: "never says a word", head: "", count: 400, limitMs: limits.headersMs, hears: LATE },
    {
      what: "drips its headers",
      head: "GET /livez HTTP/1.1\r\nhost: x\r\nx-slow: ",
      count: 650,
      limitMs: limits.headersMs,
      hears: LATE,
    },
    {
      what: "drips its body",
      head: send(authorization, "content-length: 9999"),
      count: 650,
      limitMs: limits.requestMs,
      hears: LATE,
    },
    {
      what: "drips its body without a key",
      head: send("content-length: 9999"),
      count: 300,
      limitMs: limits.requestMs,
      hears: /^HTTP\/1\.1 401 /,
    },
  ]
  let areSlow = true
  const healthy = async () => {
    const tookMs: number[] = []
    while (areSlow) {
      const startedAt = performance.now()
      await program.send({ type: "a", data: "x".repeat(1_000) })
      tookMs.push(performance.now() - startedAt)
    }
    return tookMs
  }
  assert.equal(
    kinds.reduce((sum, { count }) => sum + count, 0),
    2_000,
  )
  const slow = kinds.map(({ head, count }) =>
    Promise.all(Array.from({ length: count }, () => slowClient(t, program.url, head))),
  )
  const others = Promise.all([healthy(), healthy()])
  const endings = await Promise.all(slow)
  areSlow = false
  const tookMs = (await others).flat()

  for (const [i, { what, limitMs, hears }] of kinds.entries()) {
    const all = endings[i] ?? []
    const told = all.filter(({ heard }) => heard !== "")
    // The letter that it was about to send resets the connection, and with it goes what its client has not read yet.
    assert.ok(told.length > all.length * 0.9, `of those that ${what} ${told.length} of ${all.length} were told`)
    for (const { heard, toldMs, goneMs } of all) {
      if (heard !== "") assert.match(heard, hears, `one that ${what} heard ${heard}`)
      assert.ok(toldMs >= limitMs, `one that ${what} was cut after ${toldMs} ms`)
      assert.ok(goneMs < limitMs + limits.checkMs + SLACK_MS, `one that ${what} held its socket ${goneMs} ms`)
    }
  }
  assert.ok(tookMs.length > 100, `${tookMs.length} events were sent meanwhile`)
  const sorted = tookMs.toSorted((a, b) => a - b)
  const slowest = sorted[Math.floor(sorted.length * 0.99)] ?? Number.POSITIVE_INFINITY
  t.diagnostic(`${tookMs.length} events meanwhile, 99 % of them within ${Math.round(slowest)} ms`)
  assert.ok(slowest < 500, `one event in a hundred took ${slowest} ms`)
  assert.equal((await program.rows("select 1 from event")).length, tookMs.length, "of the slow ones none was stored")
})

test("in earnest they are all gone within 45 s", () => {
  const { headersMs, requestMs, checkMs } = timeLimits
  assert.ok(headersMs <= requestMs && requestMs + checkMs <= 45_000)
})
