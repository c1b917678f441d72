/** Writes JSON texts at random: all that the grammar allows, odd white space, escapes, numbers and keys included. */

/** A generator of numbers that gives the same ones for the same seed (mulberry32). */
export function seeded(seed: number): () => number {
  let state = seed
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296
  }
}

const strings = [
  "",
  "a",
  "data",
  "ключ",
  "\u{1f600}",
  "x".repeat(70),
  "a b",
  "__proto__",
  "0",
  "\u2028",
  "[{",
  "}]",
  ",",
]
const escapes = ["\\n", '\\"', "\\\\", "\\/", "\\u0041", "\\ud83d\\ude00", "\\u0000", "\\b"]
const numbers = ["0", "-0", "1", "-12", "1.0", "0.5", "1e2", "1E+2", "12345678901234567890", "-1.5e-10", "1e999"]
const spaces = ["", "", "", "", " ", "\n", "\t ", "\r\n"]
const damage = [
  '"',
  "\\",
  "{",
  "}",
  "[",
  "]",
  ",",
  ":",
  "0",
  "1",
  "-",
  ".",
  "e",
  "t",
  "n",
  " ",
  "\n",
  "\u0000",
  "é",
  "\u00a0",
  "'",
]

export class JsonWriter {
  readonly #random: () => number

  constructor(seed: number) {
    this.#random = seeded(seed)
  }

  value(depth: number): string {
    const kind = this.#below(depth > 0 ? 8 : 4)
    if (kind === 0) return this.#one(["true", "false", "null"])
    if (kind === 1) return this.#one(numbers)
    if (kind <= 3) return this.string()
    return kind <= 5 ? this.list(depth) : this.object(depth)
  }

  object(depth: number): string {
    const member = () => `${this.#spaced(this.#key())}:${this.#spaced(this.value(depth - 1))}`
    return this.#spaced(`{${this.#several(member)}}`)
  }

  /**
   * Never a lone backslash: once JSON.parse of Node 24 to 26 has seen that key, it reads other one-character escapes in
   * the same place as a backslash too (a bug of V8, 63785 in the list of nodejs/node), and is no measure.
   */
  #key(): string {
    const key = this.string()
    return key === '"\\\\"' ? '"b"' : key
  }

  list(depth: number): string {
    return this.#spaced(`[${this.#several(() => this.#spaced(this.value(depth - 1)))}]`)
  }

  string(): string {
    const part = () => (this.#below(3) === 0 ? this.#one(escapes) : JSON.stringify(this.#one(strings)).slice(1, -1))
    return `"${Array.from({ length: this.#below(4) }, part).join("")}"`
  }

  /** The text with one character more, less or changed. */
  damaged(text: string): string {
    const at = this.#below(text.length + 1)
    const kept = this.#below(2)
    const put = this.#below(3) === 0 ? "" : this.#one(damage)
    return text.slice(0, at) + put + text.slice(at + kept)
  }

  #several(write: () => string): string {
    return Array.from({ length: this.#below(5) }, write).join(",") || this.#one(spaces)
  }

  #spaced(text: string): string {
    return this.#one(spaces) + text + this.#one(spaces)
  }

  #one(of: readonly string[]): string {
    return of[this.#below(of.length)] ?? ""
  }

  #below(bound: number): number {
    return Math.floor(this.#random() * bound)
  }
}
