/**
 * The resealer changes sealing keys while everything works: it takes in a new key from the key file, seals anew what older
 * keys have sealed, in short pieces with a rest after each, and lets an older key go once nothing needs it. Of several
 * processes over one database, one does it, when all of them seal with the newest key.
 */
import { statSync } from "node:fs"
import { setTimeout as rest } from "node:timers/promises"
import type { Log } from "../log.ts"
import { keysInUse, noteKeysInUse, readKeysInUse, withNewest } from "../store/keys-in-use.ts"
import { leads } from "../store/leader.ts"
import { retireOlder, sealingWithOthers } from "../store/postgres-keys.ts"
import type { PostgresStore } from "../store/postgres-store.ts"
import { countByKey, type ResealParts, resealAll } from "../store/reseal.ts"
import { sealingKeyId } from "../store/seal.ts"
import { keyFileOf, missingFrom, readKeyFile } from "../store/secret-key.ts"
import { given } from "../store/step.ts"
import type { EmbeddedStore } from "../store/store.ts"
import type { Metrics } from "./metrics.ts"

export interface ResealerOptions {
  readonly store: EmbeddedStore | PostgresStore
  /** The keys come from the key file in the data folder, not from a setting. */
  readonly hasKeyFile: boolean
  readonly dataDir: string
  readonly metrics: Pick<Metrics, "rewrapPending">
  readonly log: Log
}

/** How often the key file is looked at. */
const LOOK_EVERY_MS = 1_000
/** From the end of a run to the beginning of the next. */
const RUN_EVERY_MS = 60_000
/** A rest is as long as the piece before it, and never shorter than this: others come first. */
const LEAST_REST_MS = 5

export class Resealer {
  readonly #options: ResealerOptions
  readonly #stopping = new AbortController()
  #fileState = ""
  #timer: NodeJS.Timeout | undefined
  #work: Promise<void> | undefined
  #sinceRunMs = RUN_EVERY_MS
  /** It did not come to its end the last time, which has been said. */
  #isAiling = false

  constructor(options: ResealerOptions) {
    this.#options = options
    this.#fileState = this.#stateOfFile()
  }

  /** Runs now, and from now on every minute, and as soon as the key file has another key first. */
  start(): void {
    this.#timer = setInterval(() => this.#again(), LOOK_EVERY_MS).unref()
    this.#again()
  }

  /** Finishes the piece that is under way; the rest waits for the next start. */
  async stop(): Promise<void> {
    clearInterval(this.#timer)
    this.#stopping.abort()
    await this.#work
  }

  #again(): void {
    this.#sinceRunMs += LOOK_EVERY_MS
    this.#work ??= this.#lookAndRun().finally(() => {
      this.#work = undefined
    })
  }

  async #lookAndRun(): Promise<void> {
    try {
      if (!(await this.#lookAtFile()) && this.#sinceRunMs < RUN_EVERY_MS) return
      this.#sinceRunMs = 0
      await this.#run()
      this.#isAiling = false
    } catch (error) {
      if (!this.#isAiling) this.#options.log.warn({ err: error }, "secrets could not be sealed anew; it is tried again")
      this.#isAiling = true
    }
  }

  /** Takes in what the key file holds now; whether it did. Where the database cannot note it, the next look tries again. */
  async #lookAtFile(): Promise<boolean> {
    const { store, log } = this.#options
    const state = this.#stateOfFile()
    if (state === this.#fileState) return false
    const keys = this.#keysInFile(state)
    if (keys === null || !(await this.#areEnough(keys))) {
      this.#fileState = state
      return false
    }
    const [newest = ""] = keys.map(sealingKeyId)
    // Before anything is sealed with it.
    await this.#inTransaction(function* () {
      yield* noteKeysInUse(withNewest(newest, yield* keysInUse()))
    })
    if (newest !== store.seal.newest) log.info({ key: newest }, "a new key seals from now on")
    store.seal.take(keys)
    // What was sealed with the key before has been committed when these have.
    await store.db.transaction(async () => undefined)
    await this.#inTransaction(() => given(undefined))
    this.#fileState = state
    return true
  }

  #keysInFile(state: string): readonly Uint8Array[] | null {
    const file = keyFileOf(this.#options.dataDir)
    try {
      return readKeyFile(file)
    } catch (error) {
      const log = this.#options.log
      if (state !== "") log.warn({ err: error, file }, "the key file cannot be used; the keys stay as they were")
      return null
    }
  }

  async #areEnough(keys: readonly Uint8Array[]): Promise<boolean> {
    const { store, log, dataDir } = this.#options
    const missing = missingFrom(keys, await readKeysInUse(store.db))
    if (missing.length === 0) return true
    log.error(
      { file: keyFileOf(dataDir), missing },
      "the key file lacks a key that secrets are sealed with; the keys stay as they were",
    )
    return false
  }

  /** On PostgreSQL all processes have to be started with a new key: they do not take it in as they run. */
  #stateOfFile(): string {
    const { store, hasKeyFile, dataDir } = this.#options
    if (store.engine === "postgres" || !hasKeyFile) return ""
    const stats = statSync(keyFileOf(dataDir), { throwIfNoEntry: false })
    return stats === undefined ? "" : `${stats.ino} ${stats.mtimeMs} ${stats.size}`
  }

  async #run(): Promise<void> {
    const { store, metrics, log } = this.#options
    const { newest } = store.seal
    const inUse = await readKeysInUse(store.reads)
    if (inUse.length < 2) {
      metrics.rewrapPending.set(0)
      return
    }
    let pending = pendingOf(await countByKey(store.reads), inUse[0] ?? newest)
    metrics.rewrapPending.set(pending)
    // Others seal with a newer one already, or one that leads does it.
    if (inUse[0] !== newest || !(await leads(store))) return
    for (;;) {
      const others = await this.#othersStillSeal(newest)
      let resealed = 0
      for await (const page of resealAll(this.#parts)) {
        resealed += page.resealed
        pending = Math.max(0, pending - page.resealed)
        metrics.rewrapPending.set(pending)
        if (page.damaged > 0) log.warn({ table: page.table, values: page.damaged }, "sealed values open with no key")
        if (this.#stopping.signal.aborted) return
        await rest(Math.max(LEAST_REST_MS, page.ms))
      }
      if (others) return
      // Only a walk that began when nobody sealed with an older key any more, and found nothing, says that nothing is there.
      if (resealed === 0) break
    }
    await this.#retire(newest)
    metrics.rewrapPending.set(0)
    log.info({ key: newest }, "everything is sealed with the newest key; older ones open nothing any more")
  }

  async #othersStillSeal(newest: string): Promise<boolean> {
    const { store } = this.#options
    return store.engine === "postgres" && (await sealingWithOthers(store.db, newest)).length > 0
  }

  async #retire(newest: string): Promise<void> {
    const { store } = this.#options
    if ("lanes" in store) await retireOlder(store.db, newest)
    else await this.#inTransaction(() => noteKeysInUse([newest]))
  }

  get #parts(): ResealParts {
    const { reads, seal } = this.#options.store
    return { reads, seal, inTransaction: work => this.#inTransaction(work) }
  }

  #inTransaction: ResealParts["inTransaction"] = work => this.#options.store.ledger.inNextCommit(() => work())
}

/** How many values another key has sealed. */
function pendingOf(counts: ReadonlyMap<string, number>, newest: string): number {
  return [...counts].reduce((sum, [id, count]) => (id === newest ? sum : sum + count), 0)
}
