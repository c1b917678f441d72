/**
 * A receiver of the demo, in a process of its own: verifies each signature with the public `standardwebhooks` library,
 * answers as it was told, and keeps a ledger of everything that it got and answered.
 */
import { createServer } from "node:http"
import { Webhook } from "standardwebhooks"

/** How a receiver answers. */
export interface Manner {
  /** The share of requests that it answers with 503. */
  readonly failRate: number
  /** How long it takes for an answer, in ms: between the two. */
  readonly delayMs: readonly [least: number, most: number]
}

/** What the demo says to a receiver. */
export type Order = { readonly kind: "secret"; readonly secret: string } | { readonly kind: "report" }

/** What a receiver says to the demo. */
export type Word =
  | { readonly kind: "listening"; readonly port: number }
  | { readonly kind: "ledger"; readonly ledger: Ledger }

export interface Ledger {
  readonly requests: number
  readonly refused: number
  readonly badSignatures: number
  /** By `webhook-id`: how often it was answered with 200. */
  readonly taken: Readonly<Record<string, number>>
}

const manner = JSON.parse(process.argv[2] ?? "{}") as Manner
const taken: Record<string, number> = {}
let requests = 0
let refused = 0
let badSignatures = 0
let webhook: Webhook | undefined

const server = createServer((request, response) => {
  const chunks: Buffer[] = []
  request.on("data", (chunk: Buffer) => chunks.push(chunk))
  request.on("end", () => {
    requests++
    const id = String(request.headers["webhook-id"])
    if (!verifies(Buffer.concat(chunks).toString(), request.headers as Record<string, string>)) badSignatures++
    const fails = Math.random() < manner.failRate
    const [least, most] = manner.delayMs
    setTimeout(
      () => {
        if (fails) refused++
        else taken[id] = (taken[id] ?? 0) + 1
        response.writeHead(fails ? 503 : 200, { "content-type": "application/json" })
        response.end(fails ? '{"error":"try again"}' : '{"ok":true}')
      },
      least + Math.random() * (most - least),
    )
  })
})

server.listen(0, "127.0.0.1", () => {
  const address = server.address()
  say({ kind: "listening", port: typeof address === "object" && address !== null ? address.port : 0 })
})

process.on("message", (order: Order) => {
  if (order.kind === "secret") webhook = new Webhook(order.secret)
  else say({ kind: "ledger", ledger: { requests, refused, badSignatures, taken } })
})
process.on("disconnect", () => process.exit(0))

function verifies(body: string, headers: Record<string, string>): boolean {
  try {
    webhook?.verify(body, headers)
    return webhook !== undefined
  } catch {
    return false
  }
}

function say(word: Word): void {
  process.send?.(word)
}
