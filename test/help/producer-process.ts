/** The process behind producer.ts. A request leaves when its entry in the ledger is on disk. */
import { createHash } from "node:crypto"
import { setTimeout as wait } from "node:timers/promises"
import { Pool } from "undici"
import { answerQuestions, helperOptions } from "./helper-process.ts"
import { seeded } from "./json-writer.ts"
import { LedgerFile } from "./ledger-file.ts"
import type { Outcome, ProducerEntry, ProducerQuestion, ProducerSetup, Progress } from "./producer.ts"

interface Letter {
  readonly id: string
  readonly body: string
  /** SHA-256 of `data`. */
  readonly data: string
  tries: number
}

/** How long a refused letter waits before it is sent again. */
const REFUSED_WAIT_MS = 25
const ANSWER_LIMIT_MS = 30_000

const options = helperOptions<ProducerSetup>()
const { name, types, concurrency, perSecond, givesUp = 0, padBytes = 300 } = options
const ledger = await LedgerFile.open(options.ledger)
const random = seeded(options.seed)
const pool = new Pool(options.url, { connections: concurrency, pipelining: 1, keepAliveTimeout: 60_000 })
const headers = { authorization: `Bearer ${options.key}`, "content-type": "application/json" }
const again: Letter[] = []
const progress = { inFlight: 0, acknowledged: 0, unknown: 0, failed: 0 }
let waiters: { readonly count: number; readonly done: () => void }[] = []
let made = 0
let startedAt = 0
let isStopping = false
let senders: Promise<void>[] = []

answerQuestions(async (question: ProducerQuestion): Promise<unknown> => {
  switch (question.kind) {
    case "start":
      startedAt = performance.now()
      senders = Array.from({ length: concurrency }, send)
      return undefined
    case "progress":
      return { ...progress } satisfies Progress
    case "acknowledged":
      return new Promise<void>(done => {
        waiters.push({ count: question.count, done })
        wakeWaiters()
      })
    case "stop":
      isStopping = true
      await Promise.all(senders)
      await pool.close()
      await ledger.close()
      return undefined
  }
})

/** One request after another, until there is nothing more to send. */
async function send(): Promise<void> {
  for (;;) {
    const letter = again.shift() ?? (isStopping ? undefined : await makeLetter())
    if (letter !== undefined) await sendOne(letter)
    else if (progress.inFlight === 0 && again.length === 0) return
    // What others have under way may have to be sent again.
    else await wait(REFUSED_WAIT_MS)
  }
}

async function sendOne(letter: Letter): Promise<void> {
  const { id, data } = letter
  letter.tries++
  await ledger.append({ kind: "invoke", at: Date.now(), id, try: letter.tries, data } satisfies ProducerEntry)
  progress.inFlight++
  const answer = await ask(letter.body)
  progress.inFlight--
  const entry: ProducerEntry = { ...answer, at: Date.now(), id, try: letter.tries }
  await ledger.append(entry)
  switch (answer.kind) {
    case "ok":
      progress.acknowledged++
      wakeWaiters()
      return
    case "fail":
      progress.failed++
      again.push(letter)
      await wait(REFUSED_WAIT_MS)
      return
    case "unknown":
      progress.unknown++
      if (random() >= givesUp) again.push(letter)
  }
}

interface Reply {
  readonly kind: Outcome
  readonly status: number | null
  readonly event?: string
  readonly duplicate?: boolean
  readonly error?: string
}

async function ask(body: string): Promise<Reply> {
  let status: number | null = null
  try {
    const signal = AbortSignal.timeout(ANSWER_LIMIT_MS)
    const answer = await pool.request({ method: "POST", path: "/v1/events", headers, body, signal })
    status = answer.statusCode
    const text = await answer.body.text()
    // A database that went away in the middle: Waybill says that it does not know either.
    if (status === 503 && text.includes("is not known")) return { kind: "unknown", status, error: "not known" }
    if (status !== 202) return { kind: "fail", status }
    const { id, duplicate } = JSON.parse(text) as { id: string; duplicate: boolean }
    return { kind: "ok", status, event: id, duplicate }
  } catch (error) {
    // Only where there was no connection is it certain that nothing was sent.
    const isRefused = error instanceof Error && "code" in error && error.code === "ECONNREFUSED"
    return { kind: isRefused ? "fail" : "unknown", status, error: String(error) }
  }
}

/** A new event, when its time has come; undefined where the producer is told to stop before that. */
async function makeLetter(): Promise<Letter | undefined> {
  const number = ++made
  if (perSecond !== undefined) {
    const dueInMs = startedAt + (number * 1_000) / perSecond - performance.now()
    if (dueInMs > 0) await wait(dueInMs)
    if (isStopping) return undefined
  }
  const id = `${name}-${number}`
  const pad = Math.floor(random() * 2 ** 32).toString(36)
  const data = JSON.stringify({ number, name, text: pad.padEnd(padBytes, pad) })
  const type = types[number % types.length] ?? ""
  const key = options.keys === undefined ? "" : `"ordering_key":"key-${number % options.keys}",`
  const body = `{"type":"${type}","id":"${id}","app":"shop","profile_id":"p-${number % 500}",${key}"data":${data}}`
  return { id, body, data: createHash("sha256").update(data).digest("base64url"), tries: 0 }
}

function wakeWaiters(): void {
  const over = waiters.filter(({ count }) => progress.acknowledged >= count)
  if (over.length === 0) return
  waiters = waiters.filter(waiter => !over.includes(waiter))
  for (const { done } of over) done()
}
