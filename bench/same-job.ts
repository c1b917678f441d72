/**
 * Proof that a contender does the whole job before its speed counts: an event that is refused once comes again, signed so
 * that it can be verified, and both attempts stand in its record.
 */
import { once } from "node:events"
import { createServer } from "node:http"
import { Webhook } from "standardwebhooks"
import { pause } from "./children.ts"
import { type Contender, webhookSecret } from "./contenders.ts"

/** The first retry of most comes after seconds. */
const LIMIT_MS = 60_000

/** Sends it one event, to a receiver at `port` that answers 500 and then 204. Throws where anything is amiss. */
export async function proveSameJob(contender: Contender, port: number, event: string): Promise<void> {
  const { name } = contender
  const faults: string[] = []
  let requests = 0
  const receiver = createServer((request, response) => {
    const chunks: Buffer[] = []
    request.on("data", (chunk: Buffer) => chunks.push(chunk))
    request.on("end", () => {
      try {
        const headers = Object.fromEntries(Object.entries(request.headers).map(([key, value]) => [key, String(value)]))
        new Webhook(webhookSecret).verify(Buffer.concat(chunks), headers)
      } catch (error) {
        faults.push(`its webhook is not signed as Standard Webhooks says: ${error}`)
      }
      requests++
      response.writeHead(requests === 1 ? 500 : 204).end()
    })
  }).listen(port, "127.0.0.1")
  await once(receiver, "listening")
  try {
    const eventId = await post(contender, event)
    let answers: readonly (number | null)[] = []
    await until(async () => {
      answers = requests < 2 ? [] : await contender.attemptsOf(eventId)
      return answers.length >= 2
    })
    const told = [...answers].sort().join(", ")
    if (told !== "204, 500") faults.push(`of attempts answered with 500 and 204 it recorded ${told || "none"}`)
    if (requests !== 2) faults.push(`it sent the event ${requests} times instead of twice`)
  } finally {
    receiver.closeAllConnections()
    receiver.close()
    await once(receiver, "close")
  }
  if (faults.length > 0) throw new Error(`${name} does not do the same job: ${faults.join("; ")}.`)
}

async function post({ name, targets }: Contender, event: string): Promise<string> {
  const [target] = targets
  if (target === undefined) throw new Error(`${name} has no process.`)
  const headers = { authorization: `Bearer ${target.key}`, "content-type": "application/json" }
  const response = await fetch(target.url, { method: "POST", headers, body: event })
  const answer: unknown = await response.json()
  if (response.status !== 202) throw new Error(`${name} answered ${response.status}: ${JSON.stringify(answer)}`)
  return (answer as { id: string }).id
}

/** Asks until it is so, or the limit has passed. */
async function until(isSo: () => Promise<boolean>): Promise<void> {
  const deadline = performance.now() + LIMIT_MS
  while (!(await isSo()) && performance.now() < deadline) await pause(100)
}
