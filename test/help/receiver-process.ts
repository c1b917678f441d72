/** The process behind receiver.ts. An answer leaves when its entry in the ledger is on disk. */
import { createHash } from "node:crypto"
import { once } from "node:events"
import { createServer, type IncomingMessage, type ServerResponse } from "node:http"
import { setTimeout as wait } from "node:timers/promises"
import { Webhook } from "standardwebhooks"
import { answerQuestions, helperOptions } from "./helper-process.ts"
import { seeded } from "./json-writer.ts"
import { LedgerFile } from "./ledger-file.ts"
import type { Manner, Receipt, ReceiverQuestion, ReceiverSetup } from "./receiver.ts"

const { ledger: ledgerPath, secret, seed, manners: firstManners } = helperOptions<ReceiverSetup>()
const ledger = await LedgerFile.open(ledgerPath)
const signer = new Webhook(secret)
const random = seeded(seed)
const manners = new Map(Object.entries(firstManners))
const counts = new Map<string, number>()
const underWay = new Set<Promise<void>>()
let waiters: { readonly path: string; readonly count: number; readonly done: () => void }[] = []

const server = createServer((request, response) => {
  const work = receive(request, response).finally(() => underWay.delete(work))
  underWay.add(work)
})
// A connection is never closed by this side, or a resent request would look like a repeat.
server.keepAliveTimeout = 0
server.requestTimeout = 0
server.listen(0, "127.0.0.1", 4_096)
await once(server, "listening")

answerQuestions(async (question: ReceiverQuestion): Promise<unknown> => {
  switch (question.kind) {
    case "address": {
      const address = server.address()
      return `http://127.0.0.1:${typeof address === "object" ? address?.port : ""}`
    }
    case "behave":
      manners.set(question.path, question.manner)
      return undefined
    case "received":
      return new Promise<void>(done => {
        waiters.push({ ...question, done })
        wakeWaiters()
      })
    case "stop":
      server.close()
      await Promise.all(underWay)
      await ledger.close()
      return undefined
  }
})

async function receive(request: IncomingMessage, response: ServerResponse): Promise<void> {
  const body = await bodyOf(request)
  if (body === undefined) return
  const at = Date.now()
  const path = request.url ?? ""
  counts.set(path, (counts.get(path) ?? 0) + 1)
  wakeWaiters()
  const manner = manners.get(path) ?? {}
  const attempt = Number(request.headers["webhook-attempt"])
  const content = JSON.parse(body.toString()) as { data?: unknown; external_id?: unknown; ordering_key?: string }
  const key = content.ordering_key ?? null
  const status = manner.keys?.[key ?? ""] ?? statusFor(manner, attempt)
  if (manner.delayMs !== undefined) await wait(between(manner.delayMs))
  const isGone = request.socket.destroyed || manner.drops === true
  const webhookId = String(request.headers["webhook-id"])
  const timestamp = Number(request.headers["webhook-timestamp"])
  const receipt: Receipt = {
    at,
    path,
    webhookId,
    attempt,
    timestamp,
    externalId: String(content.external_id),
    key,
    body: hashOf(body),
    data: hashOf(JSON.stringify(content.data)),
    isSigned: isSigned(webhookId, timestamp, body, String(request.headers["webhook-signature"])),
    status: isGone ? null : status,
    repliedAt: Date.now(),
  }
  await ledger.append(receipt)
  if (manner.drops) request.socket.destroy()
  else answer(response, status, manner, path)
}

/** The whole body; undefined where the sender went away before its end. */
async function bodyOf(request: IncomingMessage): Promise<Buffer | undefined> {
  const chunks: Buffer[] = []
  try {
    for await (const chunk of request) chunks.push(chunk)
  } catch {
    return undefined
  }
  return Buffer.concat(chunks)
}

function answer(response: ServerResponse, status: number, manner: Manner, path: string): void {
  const { killsAfterReply: pid, ...next } = manner
  response.writeHead(status, manner.headers)
  response.end("{}")
  if (pid === undefined || status > 299) return
  // `end` has handed the answer to the system already: it is on its way whatever happens now.
  process.kill(pid, "SIGKILL")
  manners.set(path, next)
}

function statusFor({ statuses, failing }: Manner, attempt: number): number {
  if (failing !== undefined && random() < failing.share) return failing.status
  return statuses?.[Math.min(attempt, statuses.length) - 1] ?? 200
}

/** By the public library, but for its tolerance: some tests turn the clock. */
function isSigned(id: string, timestamp: number, body: Buffer, signature: string): boolean {
  if (!Number.isSafeInteger(timestamp)) return false
  return signature.split(" ").includes(signer.sign(id, new Date(timestamp * 1_000), body.toString()))
}

function between([least, most]: readonly [number, number]): number {
  return least + random() * (most - least)
}

function hashOf(content: string | Buffer): string {
  return createHash("sha256").update(content).digest("base64url")
}

function wakeWaiters(): void {
  const isOver = ({ path, count }: { path: string; count: number }) => (counts.get(path) ?? 0) >= count
  const over = waiters.filter(isOver)
  if (over.length === 0) return
  waiters = waiters.filter(waiter => !over.includes(waiter))
  for (const { done } of over) done()
}
