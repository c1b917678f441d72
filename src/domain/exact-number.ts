/**
 * The numbers of JSON, compared as the decimals that they are: 0.1 + 0.2 is not written in binary here, 20-digit ids stay
 * apart, and `1e999999999` costs no more than its eleven characters. Work grows with the length of the texts only.
 */

/**
 * A number in its one shortest form: `sign` × 0.`digits` × 10^`exponent`, with no zeros at either end of the digits.
 * Zero has sign 0 and no digits. An exponent beyond 15 digits is kept as text, because a JavaScript number would round it.
 */
export interface Decimal {
  readonly sign: -1 | 0 | 1
  readonly digits: string
  readonly exponent: number | string
}

const zero: Decimal = { sign: 0, digits: "", exponent: 0 }

/** Less than 0 where `a` is less than `b`, 0 where they are worth the same, more than 0 otherwise. */
export function compareDecimals(a: Decimal, b: Decimal): number {
  if (a.sign !== b.sign) return a.sign - b.sign
  return a.sign < 0 ? compareSizes(b, a) : compareSizes(a, b)
}

/** The value of a JSON number, which the caller has checked to be one. */
export function decimalOf(number: string): Decimal {
  const sign = number.startsWith("-") ? -1 : 1
  const mark = number.search(/e/i)
  const mantissa = number.slice(sign < 0 ? 1 : 0, mark < 0 ? undefined : mark)
  const point = mantissa.indexOf(".")
  const all = point < 0 ? mantissa : mantissa.slice(0, point) + mantissa.slice(point + 1)
  const first = zerosBefore(all)
  if (first === all.length) return zero
  const digits = all.slice(first, all.length - zerosAfter(all))
  const shift = (point < 0 ? mantissa.length : point) - first
  return { sign, digits, exponent: plus(mark < 0 ? "0" : number.slice(mark + 1), shift) }
}

/** The most digits of an integer that a JavaScript number holds together with any shift. */
const SAFE_DIGITS = 15
const SAFE_BOUND = 10 ** SAFE_DIGITS

/**
 * An integer as it stands after the `e`, plus a number of places. A number where the sum has 15 digits at most, else
 * its text, so that each integer has one form and equal ones are identical.
 */
function plus(integer: string, shift: number): number | string {
  const negative = integer.startsWith("-")
  const unsigned = negative || integer.startsWith("+") ? integer.slice(1) : integer
  const digits = unsigned.slice(zerosBefore(unsigned))
  if (digits.length <= SAFE_DIGITS) return oneForm((negative ? -1 : 1) * Number(digits) + shift)
  const size = plusPositive(digits, negative ? -shift : shift)
  return size.length <= SAFE_DIGITS ? (negative ? -1 : 1) * Number(size) : `${negative ? "-" : ""}${size}`
}

function oneForm(sum: number): number | string {
  return Math.abs(sum) < SAFE_BOUND ? sum : String(sum)
}

/** Adds to the digits of a number of at least 16 digits; the shift, a length of text, can never make it negative. */
function plusPositive(digits: string, shift: number): string {
  const head = digits.slice(0, -SAFE_DIGITS)
  const tail = Number(digits.slice(-SAFE_DIGITS)) + shift
  if (tail >= SAFE_BOUND) return step(head, "9", 1) + padded(tail - SAFE_BOUND)
  if (tail < 0) return trimmed(step(head, "0", -1) + padded(tail + SAFE_BOUND))
  return head + padded(tail)
}

/** The next or the previous integer: digits at the end that overflow turn round, the one before them takes the step. */
function step(digits: string, overflowing: "9" | "0", by: 1 | -1): string {
  let last = digits.length - 1
  while (last >= 0 && digits.charAt(last) === overflowing) last--
  const turned = (overflowing === "9" ? "0" : "9").repeat(digits.length - 1 - last)
  return last < 0 ? `1${turned}` : digits.slice(0, last) + String(Number(digits.charAt(last)) + by) + turned
}

function padded(tail: number): string {
  return String(tail).padStart(SAFE_DIGITS, "0")
}

function trimmed(digits: string): string {
  return digits.slice(zerosBefore(digits))
}

function zerosBefore(digits: string): number {
  let count = 0
  while (count < digits.length && digits.charAt(count) === "0") count++
  return count
}

function zerosAfter(digits: string): number {
  let count = 0
  while (count < digits.length && digits.charAt(digits.length - 1 - count) === "0") count++
  return count
}

function compareSizes(a: Decimal, b: Decimal): number {
  return compareIntegers(a.exponent, b.exponent) || compareText(a.digits, b.digits)
}

function compareIntegers(a: number | string, b: number | string): number {
  if (typeof a === "number" && typeof b === "number") return a - b
  const one = String(a)
  const other = String(b)
  const negative = one.startsWith("-")
  if (negative !== other.startsWith("-")) return negative ? -1 : 1
  const size = one.length - other.length || compareText(one, other)
  return negative ? -size : size
}

function compareText(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0
}
