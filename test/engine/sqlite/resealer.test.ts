/** A running process takes in a new sealing key from its key file. */
import assert from "node:assert/strict"
import test from "node:test"
import { Gauge } from "prom-client"
import { Resealer } from "../../../src/engine/resealer.ts"
import { openLog } from "../../../src/log.ts"
import { StoreUnavailable } from "../../../src/store/database.ts"
import { readKeysInUse } from "../../../src/store/keys-in-use.ts"
import { sealingKeyId } from "../../../src/store/seal.ts"
import { keyFileOf, newSealingKey, readKeyFile, writeKeyFile } from "../../../src/store/secret-key.ts"
import { embedded } from "../../help/engines.ts"
import { openFilledStore } from "../../help/filled-store.ts"
import { until } from "../../help/system-ledger.ts"

const LIMIT_MS = 10_000

test("a key that was made while the disk was full seals as soon as there is room", async t => {
  const filled = await openFilledStore(t)
  const store = embedded(filled.store)
  const { dataDir } = filled.place
  let refused = 0
  let isFull = true
  const ledger = new Proxy(store.ledger, {
    get: (target, name) => {
      if (name !== "inNextCommit") return Reflect.get(target, name, target)
      if (!isFull) return target.inNextCommit.bind(target)
      return () => {
        refused++
        return Promise.reject(new StoreUnavailable("full", new Error("database or disk is full")))
      }
    },
  })
  const resealer = new Resealer({
    store: { ...store, ledger },
    hasKeyFile: true,
    dataDir,
    metrics: { rewrapPending: new Gauge({ name: "pending", help: "-", registers: [] }) },
    log: openLog("silent"),
  })
  resealer.start()
  t.after(() => resealer.stop())
  const before = store.seal.newest
  const made = newSealingKey()
  const file = keyFileOf(dataDir)
  writeKeyFile(file, [made, ...readKeyFile(file)])
  await until("it has been seen", LIMIT_MS, () => refused > 0)
  assert.equal(store.seal.newest, before)
  isFull = false
  await until("it seals", LIMIT_MS, () => store.seal.newest === sealingKeyId(made))
  await until("it is the only one", LIMIT_MS, async () => {
    const inUse = await readKeysInUse(store.db)
    return inUse.length === 1 && inUse[0] === sealingKeyId(made)
  })
})
