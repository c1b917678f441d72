/**
 * What a promise under load is tried on: a Waybill in a process of its own that can be killed and started anew on its
 * folder, receivers that keep ledgers, a producer, and the account that is made up of all of them in the end.
 */
import assert from "node:assert/strict"
import type { TestContext } from "node:test"
import { type Account, settleAccounts } from "./ledgers.ts"
import { type Producer, type ProducerOptions, startProducer } from "./producer.ts"
import { type Manner, type Receiver, startReceiver } from "./receiver.ts"
import { readSystem, type SystemLedger } from "./system-ledger.ts"
import { createWebhook, newSecret, stablePort, startWaybill, temporaryFolder, type Waybill } from "./waybill.ts"

/** How a receiver behaves, and what its integration asks for. */
export interface Place {
  readonly manner?: Manner
  readonly policy?: Readonly<Record<string, unknown>>
  readonly events?: Readonly<Record<string, unknown>>
}

/** A receiver with the integration that points to it, at the path of its name. */
export interface Taken {
  /** `int_…` */
  readonly id: string
  readonly name: string
  readonly receiver: Receiver
}

export class Scene {
  readonly folder: string
  readonly dataDir: string
  readonly secret: string
  /** All that it has taken, in turn. */
  readonly taken: Taken[] = []
  readonly #t: TestContext
  readonly #port: number
  readonly #seed: number
  #waybill: Waybill | undefined

  private constructor(t: TestContext, port: number, seed: number) {
    this.#t = t
    this.#port = port
    this.#seed = seed
    this.folder = temporaryFolder(t)
    this.dataDir = `${this.folder}/data`
    this.secret = newSecret()
  }

  /** Starts Waybill in a new folder. */
  static async open(t: TestContext, seed = 1): Promise<Scene> {
    const scene = new Scene(t, await stablePort(), seed)
    await scene.start()
    return scene
  }

  /** The one that runs, or ran last. */
  get waybill(): Waybill {
    assert.ok(this.#waybill)
    return this.#waybill
  }

  /** Starts Waybill on the folder and port of the one that has ended. */
  async start(): Promise<void> {
    this.#waybill = await startWaybill(this.#t, { dataDir: this.dataDir, port: this.#port })
  }

  /** Ends Waybill as an operator does; it has to end with 0. */
  async stop(): Promise<void> {
    this.waybill.kill("SIGTERM")
    assert.deepEqual(await this.waybill.stopped, { code: 0, signal: null })
  }

  /** Starts a receiver in a process of its own and the integration that points to it. */
  async take(name: string, { manner = {}, ...asked }: Place = {}): Promise<Taken> {
    const seed = this.#seed + this.taken.length
    const { folder, secret } = this
    const receiver = await startReceiver(this.#t, { folder, name, secret, seed, manners: { [`/${name}`]: manner } })
    const id = await createWebhook(this.waybill, { name, url: receiver.url(`/${name}`), secret, ...asked })
    const taken = { id, name, receiver }
    this.taken.push(taken)
    return taken
  }

  /** Starts a producer, of orders where it is not told otherwise. */
  produce(options: Pick<ProducerOptions, "concurrency"> & Partial<ProducerOptions>): Promise<Producer> {
    const { url, key } = this.waybill
    const usual = { folder: this.folder, name: `run${this.#seed}`, seed: this.#seed, types: ["order.paid"] }
    return startProducer(this.#t, { ...usual, url, key, ...options })
  }

  /** Ends Waybill and the receivers, and makes up the account. `system` is what to hold against them of what Waybill says. */
  async settle(
    producer: Producer,
    kills: readonly number[] = [],
    system: (ledger: SystemLedger) => SystemLedger = all => all,
  ): Promise<Account> {
    await this.stop()
    await Promise.all(this.taken.map(({ receiver }) => receiver.stop()))
    return settleAccounts({
      producer: producer.entries(),
      destinations: this.taken.map(({ id, name, receiver }) => ({ id, name, receipts: receiver.receipts() })),
      system: system(readSystem(this.dataDir)),
      kills,
    })
  }
}
