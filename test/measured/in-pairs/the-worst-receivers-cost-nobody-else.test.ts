/**
 * Receivers at their worst, all at once and under load: they drip, reset, lie about lengths, pour 40 MB and more, answer
 * with a gzip bomb, hang up in the TLS handshake, never accept, answer 103 for ever. What each attempt comes to is held
 * in engine/fault-classes.test.ts; here it costs Waybill no memory, and another integration nothing of its latency.
 */
import assert from "node:assert/strict"
import { readFileSync } from "node:fs"
import test from "node:test"
import { setTimeout as wait } from "node:timers/promises"
import { gzipSync } from "node:zlib"
import { parseId, timeOfId } from "../../../src/domain/id.ts"
import { accountLine, faultsOf } from "../../help/ledgers.ts"
import {
  answers,
  type Behaviour,
  deaf,
  drips,
  eachRequest,
  hangsUp,
  hintsForEver,
  infiniteBody,
  type Receiver,
  receiver,
  resets,
  silent,
  unanswering,
} from "../../help/misbehaving.ts"
import { median, type Phase, percentile } from "../../help/phases.ts"
import type { Receipt } from "../../help/receiver.ts"
import { Scene } from "../../help/scene.ts"
import { drained, onlyTo, queryDatabase } from "../../help/system-ledger.ts"
import { call, createWebhook } from "../../help/waybill.ts"

/** Events a second, each of which goes to all of them. */
const RATE = 20
const TURNS = 3
const CALM_MS = 1_000
const STORM_MS = 2_300
/** What was begun in a storm has ended by then. */
const SETTLING_MS = 700
/** p95 may be so many times what it is in the calm, and so much on top: the receivers share two processors with Waybill. */
const FACTOR = 2
const ALLOWANCE_MS = 100
/** GB are poured meanwhile; what one answer costs is held to the byte in transport/limits.test.ts. */
const GROWTH_LIMIT_MIB = 200

const MIB = 1_048_576
const OK = "HTTP/1.1 200 OK\r\n"
const bomb = gzipSync(Buffer.alloc(40 * MIB))

/** A good head that promises a body of so much, and then so much of it. */
function pours(promised: number, mebibytes: number): Behaviour {
  const piece = Buffer.alloc(MIB, "x")
  return socket =>
    eachRequest(socket, () => {
      socket.write(`${OK}content-length: ${promised}\r\n\r\n`)
      let left = mebibytes
      const pour = (): void => {
        while (left-- > 0 && !socket.destroyed) if (!socket.write(piece)) return
      }
      socket.on("drain", pour)
      pour()
    })
}

const behaviours: Readonly<Record<string, Behaviour>> = {
  "never answers": silent,
  "never reads": deaf,
  "drips its head": drips(OK, "x: y"),
  "drips its body": drips(`${OK}content-length: 100000\r\n\r\n`, "."),
  "103 for ever": hintsForEver,
  "a body without end": infiniteBody(),
  "40 MB": pours(40 * MIB, 40),
  "1 GB announced": pours(1_024 * MIB, 1),
  "chunks without end": infiniteBody(`${OK}transfer-encoding: chunked\r\n\r\n7fffffff\r\n`),
  "a gzip bomb": answers(
    Buffer.concat([Buffer.from(`${OK}content-encoding: gzip\r\ncontent-length: ${bomb.length}\r\n\r\n`), bomb]),
  ),
  "more than it said": answers(`${OK}content-length: 2\r\n\r\n${"x".repeat(5_000)}`),
  "less than it said": hangsUp(`${OK}content-length: 5000\r\n\r\nxx`),
  "resets at once": resets(null),
  "resets after the request": resets(""),
  "resets within the body": resets(`${OK}content-length: 5000\r\n\r\nxx`),
  "hangs up": hangsUp(""),
  "no HTTP": answers("220 mail.example ESMTP\r\n"),
  "a head of 40 KB": answers(`${OK}x-long: ${"x".repeat(40_000)}\r\n\r\n`),
  "two lengths": answers(`${OK}content-length: 3\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n`),
  "101 upgrade": answers("HTTP/1.1 101 Switching\r\nconnection: upgrade\r\nupgrade: x\r\n\r\n"),
  "204 with a body": answers("HTTP/1.1 204 No Content\r\ncontent-length: 3\r\n\r\nabc"),
}

/** Those at which TLS is spoken, which is what they do to the handshake. */
const handshakes: Readonly<Record<string, Behaviour>> = {
  "hangs up in the handshake": socket => void socket.once("data", () => socket.end()),
  "resets in the handshake": socket => void socket.once("data", () => socket.resetAndDestroy()),
  "stalls in the handshake": silent,
  "plain text for TLS": socket => void socket.once("data", () => socket.end("HTTP/1.1 400 Bad\r\n\r\n")),
}

/** Their status came whole. */
const judgedByStatus = [
  ...["healthy", "drips its body", "a body without end", "40 MB", "1 GB announced", "chunks without end"],
  ...["a gzip bomb", "more than it said", "less than it said", "resets within the body", "204 with a body"],
]

test("receivers at their worst cost Waybill no memory and other integrations no time", {
  timeout: 180_000,
}, async t => {
  const scene = await Scene.open(t)
  const { dataDir, secret, waybill } = scene
  const { id, receiver: healthy } = await scene.take("healthy")
  const bad = await openAll()
  t.after(() => Promise.all(bad.map(({ there }) => there.close())))
  const policy = { timeout_ms: 1_000, retry_delays_ms: [], protection: { enabled: false } }
  const ids = await Promise.all(bad.map(({ name, url }) => createWebhook(waybill, { name, url, secret, policy })))
  for (const one of ids) await call(waybill, "POST", `/v1/integrations/${one}/pause`)
  const producer = await scene.produce({ concurrency: 16, perSecond: RATE })

  const phases: Phase<"calm" | "stormy">[] = []
  const resident = { before: 0, most: 0 }
  const toAll = (action: string) =>
    Promise.all(ids.map(one => call(waybill, "POST", `/v1/integrations/${one}/${action}`)))
  for (let turn = 0; turn < TURNS; turn++) {
    const calmFrom = Date.now()
    await wait(CALM_MS)
    if (turn === 0) resident.before = residentMib(waybill.pid)
    const stormFrom = Date.now()
    phases.push({ kind: "calm", from: calmFrom, to: stormFrom })
    await toAll("resume")
    while (Date.now() < stormFrom + STORM_MS) {
      resident.most = Math.max(resident.most, residentMib(waybill.pid))
      await wait(100)
    }
    phases.push({ kind: "stormy", from: stormFrom, to: Date.now() })
    if (turn === TURNS - 1) break
    await toAll("pause")
    await wait(SETTLING_MS)
  }
  await producer.stop()
  // What the slow ones have left would take them minutes: it ends with them.
  for (const one of ids) await call(waybill, "POST", `/v1/integrations/${one}/disable`)
  await drained(dataDir, 60_000)

  const account = await scene.settle(producer, [], system => onlyTo(system, [parseId("int", id) ?? 0]))
  const receipts = healthy.receipts()
  // A hiccup of the machine falls on one turn, what the receivers cost on every one.
  const ofKind = (kind: "calm" | "stormy") => phases.filter(phase => phase.kind === kind)
  const [calms, storms] = [ofKind("calm"), ofKind("stormy")].map(some => some.map(phase => latency(receipts, phase)))
  const [calm, stormy] = [median(calms ?? []), median(storms ?? [])]
  t.diagnostic(accountLine(account, 0))
  t.diagnostic(
    `p95 of each turn ${calms} ms in the calm, ${storms} ms beside ${bad.length} receivers at their worst; ` +
      `resident ${resident.before.toFixed(0)} MiB before, ${resident.most.toFixed(0)} MiB at the most`,
  )
  assert.deepEqual(faultsOf(account), [])
  assert.equal(account.delivered, account.accepted)
  assert.ok(stormy <= FACTOR * calm + ALLOWANCE_MS, `${stormy} ms is too far from ${calm} ms`)
  assert.ok(resident.most - resident.before < GROWTH_LIMIT_MIB, `grew by ${resident.most - resident.before} MiB`)
  // Each integration is judged by what its own endpoint did.
  const outcomes = queryDatabase<{ name: string; outcomes: string }>(
    dataDir,
    `select i.name, group_concat(distinct a.outcome) as outcomes from attempt a
     join integration i on i.id = a.integration_id group by 1`,
  )
  const expected = [...bad.map(({ name }) => name), "healthy"].map(name => [
    name,
    judgedByStatus.includes(name) ? "success" : "error",
  ])
  assert.deepEqual(
    Object.fromEntries(outcomes.map(row => [row.name, row.outcomes])),
    Object.fromEntries(expected),
    "each is judged by what its own endpoint did: a good status counts, whatever becomes of the body",
  )
})

/** All receivers, with the URL that their integration points to. */
async function openAll(): Promise<{ name: string; url: string; there: Receiver }[]> {
  const plain = Object.entries(behaviours).map(async ([name, behaviour]) => {
    const there = await receiver(behaviour)
    return { name, url: there.url, there }
  })
  const tls = Object.entries(handshakes).map(async ([name, behaviour]) => {
    const there = await receiver(behaviour)
    return { name, url: there.url.replace("http:", "https:"), there }
  })
  const never = await unanswering()
  return [...(await Promise.all([...plain, ...tls])), { name: "never accepts", url: never.url, there: never }]
}

/** What a process has in memory, in MiB. */
function residentMib(pid: number): number {
  const [, kib = "0"] = /VmRSS:\s+(\d+) kB/.exec(readFileSync(`/proc/${pid}/status`, "utf8")) ?? []
  return Number(kib) / 1_024
}

/** The 95th percentile of the time from acceptance to arrival of what was accepted in a phase, in ms. */
function latency(receipts: readonly Receipt[], { from, to }: Phase<string>): number {
  const waits = receipts
    .map(receipt => ({ acceptedAt: acceptedAt(receipt), at: receipt.at }))
    .filter(({ acceptedAt }) => acceptedAt >= from && acceptedAt < to)
    .map(({ acceptedAt, at }) => at - acceptedAt)
  return percentile(waits, 95)
}

/** When the event was accepted: its id carries the time. */
function acceptedAt({ webhookId }: Receipt): number {
  return timeOfId(parseId("evt", webhookId) ?? 0)
}
