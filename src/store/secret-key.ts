/** The keys that seal secrets: given, or in a file of the data folder, whose first is made at the first start. */
import { randomBytes } from "node:crypto"
import { chmodSync, closeSync, existsSync, fsyncSync, openSync, readFileSync, renameSync, writeFileSync } from "node:fs"
import { readSealingKeys } from "../domain/sealing-key.ts"
import { sealingKeyId } from "./seal.ts"
import { StoreFault } from "./store-fault.ts"

/** Where the keys of a ring come from. */
export interface KeySource {
  readonly dataDir: string
  /** Newest first; undefined: the key file in the data folder. */
  readonly sealingKeys: readonly Uint8Array[] | undefined
}

/** The file of the keys in a data folder. */
export function keyFileOf(dataDir: string): string {
  return `${dataDir}/secret.key`
}

/**
 * The ring of a database in which something is sealed with the keys of these ids; none: nothing is yet. `place` names the
 * database. Throws StoreFault where a key is missing. A key file is made where nothing needs one that was there before.
 */
export function ringFor(source: KeySource, inUse: readonly string[], place: string): readonly Uint8Array[] {
  const file = keyFileOf(source.dataDir)
  if (source.sealingKeys === undefined && !existsSync(file)) {
    if (inUse.length > 0) {
      throw new StoreFault(
        `The key that seals the secrets in ${place} is missing: put ${file} back, or set WAYBILL_SECRET_KEY to it.`,
      )
    }
    writeKeyFile(file, [newSealingKey()])
  }
  const keys = source.sealingKeys ?? readKeyFile(file)
  assertRing(keys, inUse, place, source)
  return keys
}

/** Throws StoreFault where the keys open not all that is sealed with the keys of these ids. */
export function assertRing(
  keys: readonly Uint8Array[],
  inUse: readonly string[],
  place: string,
  { dataDir, sealingKeys }: KeySource,
): void {
  const missing = missingFrom(keys, inUse)
  if (missing.length === 0) return
  const where = sealingKeys === undefined ? keyFileOf(dataDir) : "WAYBILL_SECRET_KEY"
  if (missing.length === inUse.length) {
    throw new StoreFault(
      `The secrets in ${place} were sealed with another key (${missing.join(", ")}). Set WAYBILL_SECRET_KEY to that one, or put back the old ${keyFileOf(dataDir)}.`,
    )
  }
  throw new StoreFault(
    `Some secrets in ${place} are sealed with the key ${missing.join(", ")}, which is not in ${where}: put it back there, after the others, until \`waybill secrets status\` says that it seals nothing.`,
  )
}

/** Which of these ids belong to none of the keys. */
export function missingFrom(keys: readonly Uint8Array[], ids: readonly string[]): readonly string[] {
  const there = new Set(keys.map(sealingKeyId))
  return ids.filter(id => !there.has(id))
}

/** Whether a text holds keys, and all of these ids among them. */
export function opensAll(text: string, ids: readonly string[]): boolean {
  const keys = readSealingKeys(text)
  return keys !== undefined && missingFrom(keys, ids).length === 0
}

/** The keys in a file, newest first; throws StoreFault. */
export function readKeyFile(file: string): readonly Uint8Array[] {
  const keys = readSealingKeys(readFileSync(file, "utf8"))
  if (keys === undefined) throw new StoreFault(`${file} does not hold a key of 32 bytes as base64 in each line.`)
  return keys
}

/** Writes a file of keys, newest first, for its user alone. It is on the disk before anything can be sealed with them. */
export function writeKeyFile(file: string, keys: readonly Uint8Array[]): void {
  const isNew = !existsSync(file)
  const next = isNew ? file : `${file}.next`
  const text = keys.map(key => `${Buffer.from(key).toString("base64")}\n`).join("")
  writeFileSync(next, text, { mode: 0o600, flag: isNew ? "wx" : "w" })
  chmodSync(next, 0o600)
  flush(next)
  if (!isNew) renameSync(next, file)
  // Windows opens no folders; it keeps names by itself.
  if (process.platform !== "win32") flush(file.slice(0, file.lastIndexOf("/")) || "/")
}

export function newSealingKey(): Uint8Array {
  return randomBytes(32)
}

export { sealingKeyId }

function flush(path: string): void {
  const opened = openSync(path, "r")
  try {
    fsyncSync(opened)
  } finally {
    closeSync(opened)
  }
}
