/** `waybill secrets`: a new key in the place of an old one, and what a start says to a ring that lacks one. */
import assert from "node:assert/strict"
import { randomBytes } from "node:crypto"
import { cpSync, readFileSync, statSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { DatabaseSync } from "node:sqlite"
import test, { type TestContext } from "node:test"
import { sealingKeyId } from "../../src/store/seal.ts"
import { type Ended, listing, runCli } from "../help/cli.ts"
import { until } from "../help/system-ledger.ts"
import { call, createWebhook, newSecret, startWaybill, temporaryFolder, type Waybill } from "../help/waybill.ts"

interface Status {
  readonly old: number
  readonly keys: readonly { readonly id: string; readonly values: number; readonly state: string }[]
}

const newKey = () => randomBytes(32).toString("base64")
const idOf = (key: string) => sealingKeyId(Buffer.from(key, "base64"))
const keysIn = (dataDir: string) => readFileSync(join(dataDir, "secret.key"), "utf8").trim().split("\n")
const secrets = (dataDir: string, word: string, ...more: readonly string[]): Promise<Ended> =>
  runCli(["secrets", word, "--data-dir", dataDir, ...more])

async function statusOf(dataDir: string): Promise<Status> {
  const { stdout, code, stderr } = await secrets(dataDir, "status", "--json")
  assert.equal(code, 0, stderr)
  return JSON.parse(stdout) as Status
}

/** A data folder with sealed values, on which no Waybill runs. */
async function usedFolder(t: TestContext, env: Record<string, string> = {}): Promise<{ dataDir: string; id: string }> {
  const dataDir = join(temporaryFolder(t), "data")
  const waybill = await startWaybill(t, { dataDir, env })
  const id = await createWebhook(waybill, { name: "one", url: "http://127.0.0.1:9/", secret: newSecret() })
  await call(waybill, "PATCH", `/v1/integrations/${id}`, { config: { production: { authorization: "Bearer one" } } })
  await stop(waybill)
  return { dataDir, id }
}

async function stop(waybill: Waybill): Promise<void> {
  waybill.kill("SIGTERM")
  await waybill.stopped
}

/** A start says this, ends with 1 and leaves the folder as it is. */
async function refuses(dataDir: string, env: Record<string, string>, sentence: RegExp): Promise<void> {
  const before = listing(dataDir)
  const { code, stderr } = await runCli(["serve"], { env: { WAYBILL_DATA_DIR: dataDir, PORT: "0", ...env } })
  assert.equal(code, 1)
  assert.match(stderr, sentence)
  assert.deepEqual(listing(dataDir), before)
}

test("a rotation makes a new key and seals everything with it; the old one can go then, and not before", async t => {
  const { dataDir, id } = await usedFolder(t)
  const [old = ""] = keysIn(dataDir)
  const before = await statusOf(dataDir)
  assert.deepEqual(before.keys, [{ id: idOf(old), values: 3, state: "newest" }])

  const rotated = await secrets(dataDir, "rotate")
  assert.equal(rotated.code, 0, rotated.stderr)
  const [made = "", kept] = keysIn(dataDir)
  assert.equal(kept, old, "backups of before need it")
  assert.equal(statSync(join(dataDir, "secret.key")).mode & 0o777, 0o600)
  assert.match(rotated.stdout, new RegExp(`^Everything is sealed with the key ${idOf(made)} now; 3 values`))
  assert.deepEqual(await statusOf(dataDir), { old: 0, keys: [{ id: idOf(made), values: 3, state: "newest" }] })
  assert.equal((await secrets(dataDir, "status", "--check")).code, 0)

  writeFileSync(join(dataDir, "secret.key"), `${old}\n`)
  await refuses(dataDir, {}, /were sealed with another key \([\w-]{8}\)\. Set WAYBILL_SECRET_KEY to that one/)
  writeFileSync(join(dataDir, "secret.key"), `${made}\n`)
  const waybill = await startWaybill(t, { dataDir })
  const { secrets: read } = (await call(waybill, "GET", `/v1/integrations/${id}/secret`)) as { secrets: unknown[] }
  assert.equal(read.length, 1)
})

test("a key that still seals something is missed at the start, and named; nothing is touched", async t => {
  const { dataDir } = await usedFolder(t)
  const [old = ""] = keysIn(dataDir)
  const made = newKey()
  // As it is when a rotation was interrupted.
  const database = new DatabaseSync(join(dataDir, "waybill.db"))
  database.prepare("update meta set value = ? where key = 'seal'").run(`${idOf(made)} ${idOf(old)}`)
  database.close()
  assert.equal((await secrets(dataDir, "status", "--check")).code, 1)
  assert.equal((await statusOf(dataDir)).old, 3)
  writeFileSync(join(dataDir, "secret.key"), `${made}\n`)
  await refuses(
    dataDir,
    {},
    new RegExp(
      `Some secrets in \\S+waybill\\.db are sealed with the key ${idOf(old)}, which is not in \\S+secret\\.key: put it back`,
    ),
  )
  const doctor = await runCli(["doctor", "--data-dir", dataDir])
  assert.match(doctor.stdout, new RegExp(`sealed with the key ${idOf(old)}: put it back`))
  writeFileSync(join(dataDir, "secret.key"), `${made}\n${old}\n`)
  const gone = await secrets(dataDir, "rotate")
  assert.equal(gone.code, 0, gone.stderr)
  assert.deepEqual(keysIn(dataDir), [made, old], "it goes on with the key that was made, and makes no other")
  assert.equal((await statusOf(dataDir)).old, 0)
})

test("a running Waybill takes a new key in from its file, and not one that lacks what is needed", async t => {
  const { dataDir } = await usedFolder(t)
  const [old = ""] = keysIn(dataDir)
  const waybill = await startWaybill(t, { dataDir, env: { WAYBILL_LOG_LEVEL: "info" } })
  writeFileSync(join(dataDir, "secret.key"), `${newKey()}\n`)
  await until("the log names the fault", 10_000, () => /the key file lacks a key/.test(waybill.output()))
  writeFileSync(join(dataDir, "secret.key"), `${old}\n`)
  const rotated = await secrets(dataDir, "rotate", "--json")
  assert.equal(rotated.code, 0, rotated.stderr)
  const { key, resealed, made } = JSON.parse(rotated.stdout) as { key: string; resealed: number; made: boolean }
  assert.deepEqual({ key, resealed, made }, { key: idOf(keysIn(dataDir)[0] ?? ""), resealed: 3, made: true })
  assert.match(waybill.output(), /a new key seals from now on/)
  const metrics = await fetch(`${waybill.url}/metrics`, { headers: { authorization: `Bearer ${waybill.key}` } })
  assert.match(await metrics.text(), /^waybill_secret_rewrap_pending 0$/m)
})

test("with WAYBILL_SECRET_KEY a start with the new key before the old one seals everything anew", async t => {
  const [old, made] = [newKey(), newKey()]
  const { dataDir } = await usedFolder(t, { WAYBILL_SECRET_KEY: old })
  const alone = await runCli(["secrets", "rotate", "--data-dir", dataDir], { env: { WAYBILL_SECRET_KEY: old } })
  assert.equal(alone.code, 2)
  assert.match(alone.stderr, /openssl rand -base64 32.*WAYBILL_SECRET_KEY=<new>,<old>/)
  await refuses(dataDir, { WAYBILL_SECRET_KEY: made }, /were sealed with another key/)
  const waybill = await startWaybill(t, { dataDir, env: { WAYBILL_SECRET_KEY: `${made},${old}` } })
  await until("all is sealed anew", 10_000, async () => (await secrets(dataDir, "status", "--check")).code === 0)
  await stop(waybill)
  const backup = join(dataDir, "../copy")
  cpSync(dataDir, backup, { recursive: true })
  await refuses(dataDir, { WAYBILL_SECRET_KEY: old }, /were sealed with another key/)
  await startWaybill(t, { dataDir, env: { WAYBILL_SECRET_KEY: made } })
  // Without a server the same command does it, here back to the old key.
  const env = { WAYBILL_SECRET_KEY: `${old},${made}` }
  const back = await runCli(["secrets", "rotate", "--data-dir", backup], { env })
  assert.equal(back.code, 0, back.stderr)
  assert.deepEqual(await statusOf(backup), { old: 0, keys: [{ id: idOf(old), values: 3, state: "newest" }] })
})
