/** What tests of sending need: requests, limits, and a resolver that says what it is told to say. */
import type { Exchange, OutboundRequest } from "../../src/domain/exchange.ts"
import { Transport, type TransportOptions } from "../../src/transport/http.ts"
import type { Resolution, Resolver } from "../../src/transport/resolve.ts"
import type { SendLimits } from "../../src/transport/sending.ts"
import { type Behaviour, receiver } from "./misbehaving.ts"

/** A transport that may reach loopback, and ends with the block that it was made in. */
export function freshTransport(options: Partial<TransportOptions> = {}): Transport & AsyncDisposable {
  const transport = new Transport({ rules: { loopback: true, allow: [] }, now: Date.now, ...options })
  return Object.assign(transport, { [Symbol.asyncDispose]: () => transport.close(0) })
}

/** A POST of `{}` to a URL, with what the test changes. */
export function post(url: string, changes: Partial<OutboundRequest> = {}): OutboundRequest {
  const headers = [{ name: "content-type", value: "application/json" }]
  return { kind: "http", method: "POST", url, headers, body: "{}", signature: null, ...changes }
}

/** One POST to a receiver that behaves like this, and what comes of it. */
export async function meet(
  transport: Transport,
  behaviour: Behaviour,
  changes: Partial<SendLimits> = {},
): Promise<Exchange> {
  await using there = await receiver(behaviour)
  return await transport.send(post(there.url), limits(changes))
}

/** Limits that no test reaches unless it lowers them. */
export function limits(changes: Partial<SendLimits> = {}): SendLimits {
  return { deadlineMs: 10_000, keepBytes: 16_384, connections: 16, ...changes }
}

/** Answers each question with what a function says: addresses, or the code of an error. */
export function saying(
  answer: (name: string, question: number) => readonly string[] | string,
): Resolver & { asked: string[] } {
  const asked: string[] = []
  return {
    asked,
    resolve: (name, source) => {
      asked.push(`${source} ${name}`)
      const said = answer(name, asked.length)
      const resolution: Resolution =
        typeof said === "string" ? { kind: "failed", code: said } : { kind: "found", addresses: said, ttlMs: 0 }
      return Promise.resolve(resolution)
    },
  }
}

/** `answered 200`, or `broken ECONNRESET in headers`: what most tests look at. */
export function summary(exchange: Exchange): string {
  return exchange.kind === "answered"
    ? `answered ${exchange.answer.status}`
    : `broken ${exchange.class} in ${exchange.phase}`
}
