/**
 * A stage for one row of the fault matrix: Waybill in a process of its own, receivers and a producer around it, each with
 * its ledger. Whatever the row does in between, in the end all of them are held against each other.
 */
import assert from "node:assert/strict"
import type { TestContext } from "node:test"
import { parseId, timeOfId } from "../../src/domain/id.ts"
import { type Account, accountLine, faultsOf, settleAccounts } from "../help/ledgers.ts"
import { type Producer, type ProducerEntry, type ProducerOptions, startProducer } from "../help/producer.ts"
import { type Manner, type Receipt, type Receiver, startReceiver } from "../help/receiver.ts"
import { drained, onlyTo, readSystem } from "../help/system-ledger.ts"
import {
  createWebhook,
  newSecret,
  type StartOptions,
  stablePort,
  startWaybill,
  temporaryFolder,
  testKey,
  type Waybill,
} from "../help/waybill.ts"

/** What a run of the soak was asked for. */
export interface Soak {
  readonly seed: number
  readonly random: () => number
  /** How long the storm at the end lasts. */
  readonly stormMs: number
}

/** A row of the fault matrix, and what injects it. Gives the account, where it has one. */
export interface Row {
  readonly id: string
  readonly what: string
  run(t: TestContext, soak: Soak): Promise<Ending | null>
}

/** What a row came to. */
export interface Ending extends Account {
  readonly kills: number
}

export interface Place {
  readonly manner?: Manner
  readonly policy?: Readonly<Record<string, unknown>>
  readonly events?: Readonly<Record<string, unknown>>
}

export interface StageOptions extends Partial<Pick<StartOptions, "env" | "through">> {
  readonly seed: number
  readonly places: Readonly<Record<string, Place>>
}

export class Stage {
  readonly t: TestContext
  readonly folder: string
  readonly dataDir: string
  readonly secret = newSecret()
  readonly kills: number[] = []
  readonly #options: StageOptions
  readonly #port: number
  readonly #receivers = new Map<string, { readonly id: string; readonly receiver: Receiver }>()
  readonly #producers: Producer[] = []
  #waybill: Waybill | undefined

  private constructor(t: TestContext, options: StageOptions, port: number) {
    this.t = t
    this.#options = options
    this.#port = port
    this.folder = temporaryFolder(t)
    this.dataDir = `${this.folder}/data`
  }

  static async open(t: TestContext, options: StageOptions): Promise<Stage> {
    const stage = new Stage(t, options, await stablePort())
    await stage.start(options)
    const { seed, places } = options
    for (const [i, [name, { manner = {}, policy, events }]] of Object.entries(places).entries()) {
      const manners = { [`/${name}`]: manner }
      const receiver = await startReceiver(t, {
        folder: stage.folder,
        name,
        secret: stage.secret,
        seed: seed + i,
        manners,
      })
      const given = { name, url: receiver.url(`/${name}`), secret: stage.secret }
      const more = { ...(policy === undefined ? {} : { policy }), ...(events === undefined ? {} : { events }) }
      stage.#receivers.set(name, { receiver, id: await createWebhook(stage.waybill, { ...given, ...more }) })
    }
    return stage
  }

  get waybill(): Waybill {
    if (this.#waybill === undefined) throw new Error("Waybill was not started.")
    return this.#waybill
  }

  /** `int_…` */
  id(name: string): string {
    return this.#place(name).id
  }

  receipts(name: string): Receipt[] {
    return this.#place(name).receiver.receipts()
  }

  behave(name: string, manner: Manner): Promise<void> {
    return this.#place(name).receiver.behave(`/${name}`, manner)
  }

  async produce(options: Partial<ProducerOptions> = {}): Promise<Producer> {
    const started = await startProducer(this.t, {
      folder: this.folder,
      name: `p${this.#producers.length}-${this.#options.seed}`,
      url: this.waybill.url,
      key: testKey,
      seed: this.#options.seed,
      types: ["order.paid", "user.created"],
      concurrency: 32,
      ...options,
    })
    let stopped: Promise<void> | undefined
    const stop = (): Promise<void> => {
      stopped ??= started.stop()
      return stopped
    }
    const producer = { ...started, stop }
    this.#producers.push(producer)
    return producer
  }

  /** Starts Waybill, the way that the stage says unless another is given. */
  async start({ env, through }: Partial<Pick<StartOptions, "env" | "through">> = this.#options): Promise<void> {
    this.#waybill = await startWaybill(this.t, {
      dataDir: this.dataDir,
      port: this.#port,
      ...(env === undefined ? {} : { env }),
      ...(through === undefined ? {} : { through }),
    })
  }

  async kill(): Promise<void> {
    this.waybill.kill("SIGKILL")
    this.kills.push(Date.now())
    await this.waybill.stopped
  }

  async stop(): Promise<void> {
    this.waybill.kill("SIGTERM")
    await this.waybill.stopped
  }

  /** Ends everything when the backlog is gone, and makes up the account. */
  async settle(limitMs = 180_000): Promise<Ending> {
    for (const producer of this.#producers) await producer.stop()
    await drained(this.dataDir, limitMs)
    await this.stop()
    const places = [...this.#receivers.values()]
    await Promise.all(places.map(({ receiver }) => receiver.stop()))
    const account = settleAccounts({
      producer: this.#producers.flatMap(producer => producer.entries()),
      destinations: [...this.#receivers].map(([name, { id, receiver }]) => ({
        id,
        name,
        receipts: receiver.receipts(),
      })),
      system: onlyTo(
        readSystem(this.dataDir),
        places.map(({ id }) => parseId("int", id) ?? 0),
      ),
      kills: this.kills,
    })
    this.t.diagnostic(accountLine(account, this.kills.length))
    assert.deepEqual(faultsOf(account), [])
    return { ...account, kills: this.kills.length }
  }

  #place(name: string) {
    const place = this.#receivers.get(name)
    if (place === undefined) throw new Error(`There is no receiver ${name}.`)
    return place
  }
}

/** A share of the times from acceptance to arrival, in ms: 0.99 for the 99th percentile. */
export function arrivalMs(
  receipts: readonly Receipt[],
  share: number,
  from = 0,
  to = Number.POSITIVE_INFINITY,
): number {
  const within = receipts.filter(({ at, attempt }) => attempt === 1 && at >= from && at < to)
  return percentile(
    within.map(({ at, webhookId }) => at - timeOfId(parseId("evt", webhookId) ?? 0)),
    share,
  )
}

/** A share of the times that ingest took to answer so, in ms. */
export function answerMs(entries: readonly ProducerEntry[], kind: "ok" | "fail", share: number): number {
  const left = new Map<string, number>()
  const took: number[] = []
  for (const entry of entries) {
    const name = `${entry.id}/${entry.try}`
    if (entry.kind === "invoke") left.set(name, entry.at)
    else if (entry.kind === kind) took.push(entry.at - (left.get(name) ?? entry.at))
  }
  return percentile(took, share)
}

export function percentile(values: readonly number[], share: number): number {
  return values.toSorted((a, b) => a - b)[Math.floor(values.length * share)] ?? 0
}
