/** The key that seals secrets: given, or in a file of the data folder, made at the first start. */
import { randomBytes } from "node:crypto"
import { chmodSync, existsSync, readFileSync, writeFileSync } from "node:fs"
import { Seal } from "./seal.ts"
import { StoreFault } from "./store-fault.ts"

/**
 * The seal of a database whose secrets were sealed with the key of this fingerprint; undefined: none were yet. `place`
 * names the database. Throws StoreFault where the key is another, or not there.
 */
export function sealOf(
  options: { readonly dataDir: string; readonly sealingKey: Uint8Array | undefined },
  known: string | undefined,
  place: string,
): Seal {
  const file = `${options.dataDir}/secret.key`
  if (options.sealingKey === undefined && !existsSync(file)) {
    if (known !== undefined) {
      throw new StoreFault(
        `The key that seals the secrets in ${place} is missing: put ${file} back, or set WAYBILL_SECRET_KEY to it.`,
      )
    }
    writeFileSync(file, `${randomBytes(32).toString("base64")}\n`, { mode: 0o600, flag: "wx" })
    chmodSync(file, 0o600)
  }
  const key = options.sealingKey ?? Buffer.from(readFileSync(file, "utf8").trim(), "base64")
  if (key.length !== 32) throw new StoreFault(`${file} does not hold a key of 32 bytes as base64.`)
  const seal = new Seal(key)
  if (known !== undefined && known !== seal.fingerprint) {
    throw new StoreFault(
      `The secrets in ${place} were sealed with another key. Set WAYBILL_SECRET_KEY to that one, or put back the old ${file}.`,
    )
  }
  return seal
}
