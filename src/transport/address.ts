/**
 * Which IP addresses are public. A numeric classifier of our own: the libraries of this kind read addresses as text or
 * miss ranges (`::7f00:1`, `4000::1`, `168.63.129.16`), and each miss is a way into somebody's network.
 */
import { isIP } from "node:net"

/** An address as 16-bit words: two for IPv4, eight for IPv6. A mapped `::ffff:a.b.c.d` is the IPv4 address in it. */
export interface Address {
  readonly family: 4 | 6
  readonly words: readonly number[]
}

/** All addresses whose first `bits` bits are those of `words`. */
export interface AddressRange extends Address {
  readonly bits: number
}

interface SpecialRange extends AddressRange {
  readonly use: string
}

/**
 * What is never public, and what it is for. From the IANA special-purpose registries (RFC 6890 and its successors) and
 * the addresses at which clouds answer their own machines. Metadata addresses that a range covers already are not
 * repeated here; the tests name them.
 */
const special: readonly SpecialRange[] = [
  reserve("0.0.0.0/8", "this-network"),
  reserve("10.0.0.0/8", "private network"),
  reserve("100.64.0.0/10", "carrier-grade NAT"),
  reserve("127.0.0.0/8", "loopback"),
  reserve("169.254.0.0/16", "link-local"),
  reserve("172.16.0.0/12", "private network"),
  reserve("192.0.0.0/24", "protocol assignment"),
  reserve("192.0.2.0/24", "documentation"),
  reserve("192.31.196.0/24", "AS112 service"),
  reserve("192.52.193.0/24", "multicast tunnelling"),
  reserve("192.88.99.0/24", "6to4 relay"),
  reserve("192.168.0.0/16", "private network"),
  reserve("192.175.48.0/24", "AS112 service"),
  reserve("198.18.0.0/15", "benchmark"),
  reserve("198.51.100.0/24", "documentation"),
  reserve("203.0.113.0/24", "documentation"),
  reserve("224.0.0.0/4", "multicast"),
  reserve("240.0.0.0/4", "reserved"),
  reserve("168.63.129.16/32", "cloud host"),
  reserve("2001::/23", "protocol assignment"),
  reserve("2001:db8::/32", "documentation"),
  reserve("2002::/16", "6to4"),
  reserve("2620:4f:8000::/48", "AS112 service"),
  reserve("3fff::/20", "documentation"),
]

/** The only IPv6 addresses that are public at all; what lies outside is refused without asking what it is. */
const globalUnicast = rangeOf("2000::/3")
const loopback = [rangeOf("127.0.0.0/8"), rangeOf("::1/128")]

/** What an address is reserved for, in words that complete "is a … address"; null for a public one. */
export function specialUse(address: Address): string | null {
  if (isLoopback(address)) return "loopback"
  if (address.family === 6 && !covers(globalUnicast, address)) return "non-global"
  return special.find(range => covers(range, address))?.use ?? null
}

/** Whether packets to this address never leave the machine: 127.0.0.0/8 and ::1. */
export function isLoopback(address: Address): boolean {
  return loopback.some(range => covers(range, address))
}

/** Whether a range holds an address. */
export function covers(range: AddressRange, address: Address): boolean {
  if (range.family !== address.family) return false
  for (let i = 0, left = range.bits; left > 0; i++, left -= 16) {
    const mask = left >= 16 ? 0xffff : (0xffff << (16 - left)) & 0xffff
    if ((((range.words[i] ?? 0) ^ (address.words[i] ?? 0)) & mask) !== 0) return false
  }
  return true
}

/** Whether two texts are the same address, whatever their spelling. */
export function isSameAddress(one: string, other: string): boolean {
  const [a, b] = [parseAddress(one), parseAddress(other)]
  return a !== null && b !== null && covers({ ...a, bits: a.family === 4 ? 32 : 128 }, b)
}

/** The address in a text without brackets, or null: zones (`fe80::1%eth0`) and numbers with leading zeros are none. */
export function parseAddress(text: string): Address | null {
  const family = isIP(text)
  if (family === 4) return { family, words: wordsOfV4(text) }
  if (family !== 6 || text.includes("%")) return null
  const [head = "", tail] = text.split("::")
  const front = wordsOfV6(head)
  const back = tail === undefined ? [] : wordsOfV6(tail)
  const gap = Array.from({ length: 8 - front.length - back.length }, () => 0)
  return unwrapped([...front, ...gap, ...back])
}

/** The range in a text such as `10.0.0.0/8`, or of a single address; null where it is none or has bits beyond its mask. */
export function parseRange(text: string): AddressRange | null {
  const slash = text.indexOf("/")
  const address = parseAddress(slash < 0 ? text : text.slice(0, slash))
  if (address === null) return null
  const width = address.family === 4 ? 32 : 128
  if (slash < 0) return { ...address, bits: width }
  const digits = text.slice(slash + 1)
  const bits = /^\d{1,3}$/.test(digits) ? Number(digits) : Number.NaN
  if (!(bits <= width)) return null
  const beyond = address.words.some((word, i) => (word & (0xffff >> Math.min(16, Math.max(0, bits - 16 * i)))) !== 0)
  return beyond ? null : { ...address, bits }
}

/** The mapped prefix is dropped, or `::ffff:127.0.0.1` would be judged by rules that know no IPv4. */
function unwrapped(words: readonly number[]): Address {
  const mapped = words[5] === 0xffff && words.slice(0, 5).every(word => word === 0)
  return mapped ? { family: 4, words: words.slice(6) } : { family: 6, words }
}

function wordsOfV4(text: string): number[] {
  const [a = 0, b = 0, c = 0, d = 0] = text.split(".").map(Number)
  return [(a << 8) | b, (c << 8) | d]
}

function wordsOfV6(text: string): number[] {
  if (text === "") return []
  return text.split(":").flatMap(group => (group.includes(".") ? wordsOfV4(group) : [Number.parseInt(group, 16)]))
}

function rangeOf(text: string): AddressRange {
  const range = parseRange(text)
  if (range === null) throw new Error(`${text} is no range of addresses`)
  return range
}

function reserve(text: string, use: string): SpecialRange {
  return { ...rangeOf(text), use }
}
