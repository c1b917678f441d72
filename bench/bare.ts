/**
 * What Waybill is measured against: the same work without keeping anything. `node:http` takes an event, it is parsed
 * once, answered with 202, signed once and sent on with undici. Nothing is stored, retried, recorded or looked up, so
 * that what Waybill costs beyond this is the price of its promises. It is written to be fast, or the ratio would flatter.
 *
 *     bench/bare.ts --port <number> --target <url>
 */
import { createHmac, createSecretKey, randomBytes } from "node:crypto"
import { createServer, type IncomingMessage, type ServerResponse } from "node:http"
import { parseArgs } from "node:util"
import { type Dispatcher, Pool } from "undici"

/** To the receiver. Measured with 8, 16, 32, 64 and 256: 17,000, 18,500, 19,900, 22,100 and 15,600 events/s. */
const CONNECTIONS = 64
/** Events accepted and not yet delivered; beyond it answers wait, so that what waits stays flat. */
const MAX_WAITING = 256

const { values } = parseArgs({ options: { port: { type: "string" }, target: { type: "string", default: "" } } })
const target = new URL(values.target)
// The pool that undici's Agent would keep for this origin, without looking it up for each request.
const pool = new Pool(target.origin, { connections: CONNECTIONS, pipelining: 1, keepAliveTimeout: 60_000 })
const key = createSecretKey(randomBytes(32))
const held: ServerResponse[] = []
const badRequest = '{"title":"The body is no event."}'
let waiting = 0
let accepted = 0

/** The same for all deliveries: there is nothing to remember of one. */
const onDelivered: Dispatcher.DispatchHandler = {
  onRequestStart() {},
  onResponseStart(_controller, status) {
    if (status !== 204 && status !== 200) console.error(`The receiver answered ${status}.`)
  },
  onResponseData() {},
  onResponseEnd: finish,
  onResponseError(_controller, error) {
    console.error(error)
    finish()
  },
}

createServer({ keepAliveTimeout: 72_000, noDelay: true }, receive).listen(Number(values.port), "127.0.0.1", 1_024)
process.on("SIGTERM", () => process.exit(0))

function receive(request: IncomingMessage, response: ServerResponse): void {
  let body: Buffer | undefined
  request.on("data", (chunk: Buffer) => {
    body = body === undefined ? chunk : Buffer.concat([body, chunk])
  })
  request.on("end", () => {
    if (body === undefined || !isEvent(body)) answer(response, 400, badRequest)
    else take(body, response)
  })
}

function isEvent(body: Buffer): boolean {
  try {
    const event: unknown = JSON.parse(body.toString())
    return typeof event === "object" && event !== null && "type" in event && typeof event.type === "string"
  } catch {
    return false
  }
}

function take(body: Buffer, response: ServerResponse): void {
  const id = `evt_${accepted++}`
  waiting++
  if (waiting > MAX_WAITING) held.push(response)
  else answer(response, 202, `{"id":"${id}","status":"received"}`)
  deliver(id, body)
}

/** Signed as Standard Webhooks says: HMAC-SHA256 over `id.timestamp.body`. */
function deliver(id: string, body: Buffer): void {
  const timestamp = String(Math.floor(Date.now() / 1_000))
  const signature = createHmac("sha256", key).update(`${id}.${timestamp}.`).update(body).digest("base64")
  const headers = [
    "content-type",
    "application/json",
    "webhook-id",
    id,
    "webhook-timestamp",
    timestamp,
    "webhook-signature",
    `v1,${signature}`,
  ]
  pool.dispatch({ method: "POST", path: target.pathname, headers, body }, onDelivered)
}

function finish(): void {
  waiting--
  const response = held.shift()
  if (response !== undefined) answer(response, 202, '{"status":"received"}')
}

function answer(response: ServerResponse, status: number, body: string): void {
  response.writeHead(status, ["content-type", "application/json", "content-length", String(body.length)])
  response.end(body)
}
