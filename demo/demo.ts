/**
 * The demo: real GitHub webhooks through a real Waybill into three receivers, one honest, one that fails a third of its
 * requests, one slow. It ends with an account in which every event is found again, or with an exit code other than 0.
 *
 *     npm run demo [-- --times 10]
 */
import { fork } from "node:child_process"
import { once } from "node:events"
import { mkdtempSync, rmSync } from "node:fs"
import { createRequire } from "node:module"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { parseArgs } from "node:util"
import { SingleBar } from "cli-progress"
import { readConfig } from "../src/config.ts"
import { start } from "../src/main.ts"
import { accountOf, type Call, faultsOf, printAccounts } from "./account.ts"
import type { Ledger, Manner, Order, Word } from "./receiver.ts"

/** A payload of the corpus. */
interface Example {
  readonly type: string
  readonly data: unknown
}

interface Receiver {
  readonly url: string
  tell(order: Order): void
  ledger(): Promise<Ledger>
  stop(): void
}

/** What the demo sets up: a receiver's manner and what its integration wants. */
interface Plan {
  readonly name: string
  readonly manner: Manner
  readonly settings: Readonly<Record<string, unknown>>
}

const BATCH = 100
/** Retries within seconds, so that the demo shows them; production presets take hours. */
const quickRetries = { retry_delays_ms: [200, 400, 800, 1_600, 3_200], jitter: 0.1 }

const plans: readonly Plan[] = [
  {
    name: "honest",
    manner: { failRate: 0, delayMs: [0, 5] },
    settings: { policy: { ...quickRetries, max_concurrent: 20 } },
  },
  {
    name: "fails a third",
    manner: { failRate: 1 / 3, delayMs: [0, 10] },
    settings: {
      policy: { ...quickRetries, max_concurrent: 20 },
      events: { types: { "check_run*": { enabled: false }, "issues.opened": { name: "IssueOpened" } } },
    },
  },
  {
    name: "slow",
    manner: { failRate: 0, delayMs: [20, 80] },
    settings: {
      policy: { ...quickRetries, max_concurrent: 40 },
      filter: { exists: ["data.repository"] },
    },
  },
]

const { values } = parseArgs({ options: { times: { type: "string", default: "10" } } })
process.exitCode = (await run(Number(values.times))) ? 0 : 1

async function run(times: number): Promise<boolean> {
  const dataDir = mkdtempSync(join(tmpdir(), "waybill-demo-"))
  const reading = readConfig({ dataDir, port: "0", host: "127.0.0.1", logLevel: "warn" }, {})
  if ("faults" in reading) throw new Error(reading.faults.join(" "))
  const waybill = await start(reading.config)
  const receivers = await Promise.all(plans.map(plan => startReceiver(plan.manner)))
  try {
    const call = caller(waybill.url, waybill.firstKey ?? "")
    const corpus = readCorpus()
    console.log(`Waybill listens on ${waybill.url}; ${corpus.length} payloads, each sent ${times} times.\n`)
    const integrations = await Promise.all(plans.map((plan, i) => setUp(call, plan, receivers[i])))
    const accepted = await sendAll(call, corpus, times)
    await drain(call, accepted.size * integrations.length)
    const accounts = await Promise.all(integrations.map(({ id, name }) => accountOf(call, id, name)))
    const ledgers = await Promise.all(receivers.map(receiver => receiver.ledger()))
    printAccounts(accepted.size, accounts)
    const faults = accounts.flatMap((account, i) => faultsOf(account, accepted, ledgers[i]))
    for (const fault of faults) console.error(`✗ ${fault}`)
    if (faults.length === 0) console.log("✓ Every event is accounted for, and the receivers' own ledgers agree.")
    return faults.length === 0
  } finally {
    for (const receiver of receivers) receiver.stop()
    await waybill.stop()
    rmSync(dataDir, { recursive: true, force: true })
  }
}

/** Real GitHub deliveries: the event's name and, where it has one, its action make the type. */
function readCorpus(): Example[] {
  const index = createRequire(import.meta.url)("@octokit/webhooks-examples") as { name: string; examples: object[] }[]
  return index.flatMap(({ name, examples }) =>
    examples.map(data => ({ type: "action" in data ? `${name}.${data.action}` : name, data })),
  )
}

async function startReceiver(manner: Manner): Promise<Receiver> {
  const child = fork(new URL("./receiver.ts", import.meta.url), [JSON.stringify(manner)])
  const [word] = (await once(child, "message")) as [Word]
  if (word.kind !== "listening") throw new Error("The receiver did not say where it listens.")
  return {
    url: `http://127.0.0.1:${word.port}/hook`,
    tell: order => void child.send(order),
    ledger: async () => {
      const answer = once(child, "message") as Promise<[Word]>
      child.send({ kind: "report" } satisfies Order)
      const [report] = await answer
      if (report.kind !== "ledger") throw new Error("The receiver gave no ledger.")
      return report.ledger
    },
    stop: () => child.disconnect(),
  }
}

async function setUp(call: Call, { name, settings }: Plan, receiver: Receiver | undefined) {
  if (receiver === undefined) throw new Error("Each plan has a receiver.")
  const config = { production: { url: receiver.url, authorization: `Demo ${name}` }, verification: "none" }
  const made = await call("POST", "/v1/integrations", { name, config, ...settings })
  const { id, secret } = made as { id: string; secret: string }
  receiver.tell({ kind: "secret", secret })
  return { id, name }
}

/** Sends every payload so many times, each with an id of its own; gives the accepted ids. */
async function sendAll(call: Call, corpus: readonly Example[], times: number): Promise<ReadonlySet<string>> {
  const events = Array.from({ length: times }, (_, round) =>
    corpus.map(({ type, data }, i) => ({ type, data, id: `github-${round}-${i}`, app: "github" })),
  ).flat()
  const accepted = new Set<string>()
  const bar = new SingleBar({ format: "sending {bar} {value}/{total} events", barsize: 40, noTTYOutput: false })
  bar.start(events.length, 0)
  for (let from = 0; from < events.length; from += BATCH) {
    const batch = events.slice(from, from + BATCH)
    const answer = await call("POST", "/v1/events/batch", { events: batch })
    for (const result of (answer as { results: { id?: string }[] }).results) {
      if (result.id === undefined) throw new Error(`An event was refused: ${JSON.stringify(result)}`)
      accepted.add(result.id)
    }
    bar.update(from + batch.length)
  }
  bar.stop()
  return accepted
}

/** Waits until nothing is on its way any more: the counts of the API say so. */
async function drain(call: Call, deliveries: number): Promise<void> {
  const bar = new SingleBar({ format: "delivering {bar} {percentage} %", barsize: 40, noTTYOutput: false })
  bar.start(deliveries, 0)
  for (;;) {
    let open = 0
    for (const status of ["pending", "sending", "retrying"]) {
      const page = (await call("GET", `/v1/deliveries?status=${status}&limit=200`)) as {
        data: unknown[]
        next_cursor: unknown
      }
      open += page.data.length + (page.next_cursor === null ? 0 : 200)
    }
    bar.update(Math.max(0, deliveries - open))
    if (open === 0) break
    await new Promise(resolve => setTimeout(resolve, 250))
  }
  bar.update(deliveries)
  bar.stop()
}

function caller(url: string, key: string): Call {
  return async (method, path, body) => {
    const response = await fetch(url + path, {
      method,
      headers: { authorization: `Bearer ${key}`, "content-type": "application/json" },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    })
    if (!response.ok)
      throw new Error(`${method} ${path} was answered with ${response.status}: ${await response.text()}`)
    return response.json()
  }
}
