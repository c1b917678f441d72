/**
 * JSON with numbers kept as they were written: what filters and mappings see of an event's data. `JSON.parse` would
 * turn 12345678901234567890 into 12345678901234567000 and let `__proto__` into an object (API-14, API-15).
 */
import { jsonFault, MAX_DEPTH, numberEnd, readString, spaceEnd, stringEnd } from "./json-spans.ts"

/** A JSON value. Objects are maps in the order of the text; of a key that stands there twice, the last value counts. */
export type ExactJson = null | boolean | string | ExactNumber | readonly ExactJson[] | ReadonlyMap<string, ExactJson>

/** A number as it was written, such as `1.0` or `1e2`. */
export interface ExactNumber {
  readonly number: string
}

/** The value of a JSON text, or undefined where the text is no JSON or nested more than 64 levels deep. */
export function parseExact(text: string): ExactJson | undefined {
  return jsonFault(text, MAX_DEPTH) === null ? new Reader(text).value() : undefined
}

/** Whether a value is a list. */
export function isExactList(value: ExactJson | undefined): value is readonly ExactJson[] {
  return Array.isArray(value)
}

/** Whether a value is an object. */
export function isExactObject(value: ExactJson | undefined): value is ReadonlyMap<string, ExactJson> {
  return value instanceof Map
}

/** Whether a value is a number. */
export function isExactNumber(value: ExactJson | undefined): value is ExactNumber {
  return typeof value === "object" && value !== null && "number" in value
}

/** Reads a text that has been checked. It calls itself, which the check has bounded. */
class Reader {
  readonly #text: string
  #at = 0

  constructor(text: string) {
    this.#text = text
  }

  value(): ExactJson {
    this.#at = spaceEnd(this.#text, this.#at)
    switch (this.#text.charAt(this.#at)) {
      case "{":
        return this.#object()
      case "[":
        return this.#list()
      case '"':
        return this.#string()
      case "t":
        return this.#word(4, true)
      case "f":
        return this.#word(5, false)
      case "n":
        return this.#word(4, null)
      default:
        return this.#number()
    }
  }

  #object(): ReadonlyMap<string, ExactJson> {
    const members = new Map<string, ExactJson>()
    this.#at++
    while (!this.#skips("}")) {
      const key = this.#string()
      this.#skips(":")
      members.set(key, this.value())
      this.#skips(",")
    }
    return members
  }

  #list(): readonly ExactJson[] {
    const elements: ExactJson[] = []
    this.#at++
    while (!this.#skips("]")) {
      elements.push(this.value())
      this.#skips(",")
    }
    return elements
  }

  #string(): string {
    const start = spaceEnd(this.#text, this.#at)
    this.#at = stringEnd(this.#text, start)
    return readString(this.#text, start, this.#at)
  }

  #number(): ExactNumber {
    const start = this.#at
    this.#at = numberEnd(this.#text, start)
    return { number: this.#text.slice(start, this.#at) }
  }

  #word<Value>(length: number, value: Value): Value {
    this.#at += length
    return value
  }

  /** Passes over one character, if it comes next. */
  #skips(character: string): boolean {
    const at = spaceEnd(this.#text, this.#at)
    const isNext = this.#text.charAt(at) === character
    this.#at = isNext ? at + 1 : at
    return isNext
  }
}
