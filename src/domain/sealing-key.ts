/** Sealing keys as operators write them: 32 bytes each, as base64 or hex, the newest first. */
import { Buffer } from "node:buffer"

/** What stands between the keys of a ring: commas in a setting, lines in a key file. */
const BETWEEN = /[\s,]+/

/** The keys in a text, newest first, each once; undefined where there is none, or one that is no key of 32 bytes. */
export function readSealingKeys(text: string): readonly Uint8Array[] | undefined {
  const texts = text.split(BETWEEN).filter(part => part !== "")
  const keys = texts.flatMap(part => readSealingKey(part) ?? [])
  if (keys.length === 0 || keys.length < texts.length) return undefined
  return keys.filter((key, i) => keys.findIndex(other => other.equals(key)) === i)
}

function readSealingKey(text: string): Buffer | undefined {
  if (/^[0-9a-fA-F]{64}$/.test(text)) return Buffer.from(text, "hex")
  return /^[\w+/-]{43}=?$/.test(text) ? Buffer.from(text, "base64") : undefined
}
