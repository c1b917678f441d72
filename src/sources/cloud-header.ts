/** The value of a `ce-…` header as the text that it stands for (CE-9, HTTP binding 3.1.3.2). */
import { utf8Text } from "./source.ts"

const quotedString = /^"(?:[^"\\]|\\.)*"$/
const PERCENT = 0x25

/**
 * Decodes a header's value; null where it does not come out as UTF-8. A value in double quotes loses them and its
 * backslashes, then each `%` with two hexadecimal digits becomes a byte, once.
 *
 * The SDKs for Go and Java neither encode nor decode, so that a value which was never encoded is taken too: spaces, a lone
 * `%`, quotes in the middle, and UTF-8 sent as it is, which Node hands over as one character for each byte.
 */
export function decodeHeader(value: string): string | null {
  const bare = quotedString.test(value) ? value.slice(1, -1).replace(/\\(.)/g, "$1") : value
  if (/^[ -$&-~]*$/.test(bare)) return bare
  const bytes = new Uint8Array(bare.length)
  let length = 0
  for (let i = 0; i < bare.length; i++) {
    const code = bare.charCodeAt(i)
    const escaped = code === PERCENT ? hexAt(bare, i + 1) : null
    bytes[length++] = escaped ?? code
    if (escaped !== null) i += 2
  }
  return utf8Text(bytes.subarray(0, length))
}

function hexAt(text: string, at: number): number | null {
  const digits = text.slice(at, at + 2)
  return /^[0-9A-Fa-f]{2}$/.test(digits) ? Number.parseInt(digits, 16) : null
}
