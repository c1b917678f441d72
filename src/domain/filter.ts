/**
 * The filter of an integration: a JSON document that says of an event whether it goes out.
 *
 *     { "and": [ { "eq": ["data.plan", "pro"] }, { "gte": ["data.amount", 10] } ] }
 *
 *     eq ne            [field, value]         a text, a number, true, false or null
 *     in               [field, [value, …]]    up to 1,000 values
 *     gt gte lt lte    [field, value]         numbers by their exact decimal value, texts by code point
 *     prefix           [field, text]
 *     contains         [field, value]         a text contains this text; a list has this value as an element
 *     exists           [field]                there, even if it is null
 *     and or           [filter, …]
 *     not              filter
 *
 * Fields are those of `event-field.ts`; `occurred_at` and `received_at` are compared with RFC 3339 times. A field that is
 * not there, or holds another kind of value, is equal to nothing, neither less nor greater, and contains nothing: every
 * operator says no of it, and only `ne` and `not` turn that into yes. There are no regular expressions (API-23): the time
 * that a filter takes is bounded by its own size and that of the event.
 */
import { type EventView, type Field, findField } from "./event-field.ts"
import { type ExactJson, isExactList, isExactNumber, isExactObject } from "./exact-json.ts"
import { compareDecimals, decimalOf } from "./exact-number.ts"
import { nearest } from "./nearest.ts"
import { parseTime } from "./rfc3339.ts"

/** What a filter says of an event: whether it goes out. */
export type FilterTest = (event: EventView) => boolean

/** A mistake in a filter: where (JSON pointer into it) and a sentence. */
export interface FilterFault {
  readonly pointer: string
  readonly message: string
}

/**
 * How large a filter may be: levels, operators, values of one `in`, characters of one text. Looking for a text of 256
 * characters in 256 KiB took 3 ms at worst, for one of 512 it took 50 (V8 searches well by 250 characters at most).
 */
export const filterBounds = { depth: 16, nodes: 200, list: 1_000, characters: 256 } as const

/** All that is wrong with a filter, the first twenty mistakes at most; empty when nothing is. */
export function checkFilter(filter: ExactJson): FilterFault[] {
  return read(filter).faults
}

/** The test that a filter stands for; it never throws, whatever the event holds. Throws for a filter with faults. */
export function compileFilter(filter: ExactJson): FilterTest {
  const { test, faults } = read(filter)
  const [fault] = faults
  if (fault !== undefined) throw new Error(`a filter reached routing unchecked: ${fault.pointer} ${fault.message}`)
  return test
}

const comparisons = ["eq", "ne", "in", "exists", "gt", "gte", "lt", "lte", "prefix", "contains"] as const
const operators = [...comparisons, "and", "or", "not"] as const
type Comparison = (typeof comparisons)[number]
type Operator = (typeof operators)[number]

const operands: Readonly<Record<Comparison, string>> = {
  eq: 'a field and a value, such as ["data.plan", "pro"]',
  ne: 'a field and a value, such as ["data.plan", "pro"]',
  in: 'a field and a list of values, such as ["data.plan", ["pro", "max"]]',
  exists: 'one field, such as ["data.plan"]',
  gt: 'a field and a value, such as ["data.amount", 10]',
  gte: 'a field and a value, such as ["data.amount", 10]',
  lt: 'a field and a value, such as ["data.amount", 10]',
  lte: 'a field and a value, such as ["data.amount", 10]',
  prefix: 'a field and a text, such as ["type", "trial_"]',
  contains: 'a field and a value, such as ["data.tags", "vip"]',
}

const MAX_FAULTS = 20

interface Reading {
  readonly faults: FilterFault[]
  nodes: number
}

/** Where in the filter we are. */
interface Place {
  readonly pointer: string
  readonly depth: number
  readonly reading: Reading
}

/** What an operator says of a field's value; undefined where the event has none. */
type Match = (value: ExactJson | undefined) => boolean

/** One pass checks and compiles, so that what is accepted and what is run cannot differ. */
function read(filter: ExactJson): Reading & { test: FilterTest } {
  const reading: Reading = { faults: [], nodes: 0 }
  const test = readNode(filter, { pointer: "", depth: 1, reading })
  return { ...reading, test }
}

/** Writes a mistake down, and stands in for what could not be read. */
function wrong(place: Place, message: string): () => false {
  const { faults } = place.reading
  if (faults.length < MAX_FAULTS) faults.push({ pointer: place.pointer, message })
  return () => false
}

function below(place: Place, step: string | number): Place {
  return { ...place, pointer: `${place.pointer}/${step}` }
}

function readNode(node: ExactJson, place: Place): FilterTest {
  const { depth, nodes } = filterBounds
  place.reading.nodes++
  // Said once; the others that are too many are not looked at.
  if (place.reading.nodes > nodes + 1) return () => false
  if (place.reading.nodes > nodes) return wrong(place, `a filter has at most ${nodes} operators`)
  if (place.depth > depth) return wrong(place, `a filter is nested at most ${depth} levels deep`)
  if (!isExactObject(node)) {
    const example = '{ "eq": ["data.plan", "pro"] }'
    return wrong(place, `a filter is an object with one operator, such as ${example}; here stands ${nameOf(node)}`)
  }
  const [entry] = node
  if (entry === undefined) return wrong(place, `an operator is missing: one of ${operators.join(", ")}`)
  if (node.size > 1) {
    return wrong(
      place,
      `${node.size} operators stand in one object: give each an object of its own, in a list under "and"`,
    )
  }
  const [name, operand] = entry
  const operator = operators.find(one => one === name)
  return operator === undefined
    ? wrong(place, unknownOperator(name))
    : readOperator(operator, operand, below(place, operator))
}

function readOperator(operator: Operator, operand: ExactJson, place: Place): FilterTest {
  switch (operator) {
    case "and": {
      const tests = readNodes(operand, place)
      return event => tests.every(test => test(event))
    }
    case "or": {
      const tests = readNodes(operand, place)
      return event => tests.some(test => test(event))
    }
    case "not": {
      const test = readNode(operand, { ...place, depth: place.depth + 1 })
      return event => !test(event)
    }
    default:
      return readComparison(operator, operand, place)
  }
}

function readNodes(operand: ExactJson, place: Place): FilterTest[] {
  if (isExactList(operand) && operand.length > 0) {
    return operand.map((node, i) => readNode(node, { ...below(place, i), depth: place.depth + 1 }))
  }
  wrong(place, `takes a list of filters, at least one; here stands ${nameOf(operand)}`)
  return []
}

function readComparison(operator: Comparison, operand: ExactJson, place: Place): FilterTest {
  if (!isExactList(operand) || operand.length !== (operator === "exists" ? 1 : 2)) {
    return wrong(place, `takes a list of ${operands[operator]}`)
  }
  const [name = null, value = null] = operand
  const field =
    typeof name === "string" ? findField(name) : `the name of a field stands first; here stands ${nameOf(name)}`
  if (typeof field === "string") return wrong(below(place, 0), field)
  const match = readMatch(operator, value, field, below(place, 1))
  return event => match(field.look(event))
}

function readMatch(operator: Comparison, value: ExactJson, field: Field, place: Place): Match {
  switch (operator) {
    case "exists":
      return found => found !== undefined
    case "eq":
      return isOneOf([readScalar(value, field, place)])
    case "ne": {
      const match = isOneOf([readScalar(value, field, place)])
      return found => !match(found)
    }
    case "in":
      return isOneOf(readScalars(value, field, place))
    case "gt":
      return readOrder(value, field, place, order => order > 0)
    case "gte":
      return readOrder(value, field, place, order => order >= 0)
    case "lt":
      return readOrder(value, field, place, order => order < 0)
    case "lte":
      return readOrder(value, field, place, order => order <= 0)
    case "prefix":
      return readPrefix(value, field, place)
    case "contains":
      return readContains(value, field, place)
  }
}

function isOneOf(values: readonly ExactJson[]): Match {
  const texts = new Set(values.filter(value => typeof value === "string"))
  const others = new Set(values.map(keyOf))
  return found => {
    if (typeof found === "string") return texts.has(found)
    const key = keyOf(found)
    return key !== null && others.has(key)
  }
}

/** The same text for numbers that are worth the same; `true`, `false`, `null`; null for all that is none of these. */
function keyOf(value: ExactJson | undefined): string | null {
  if (value === null || typeof value === "boolean") return String(value)
  if (!isExactNumber(value)) return null
  const { sign, digits, exponent } = decimalOf(value.number)
  return `${sign} ${digits} ${exponent}`
}

function readScalars(list: ExactJson, field: Field, place: Place): ExactJson[] {
  if (isExactList(list) && list.length > 0 && list.length <= filterBounds.list) {
    return list.map((value, i) => readScalar(value, field, below(place, i)))
  }
  wrong(place, `takes a list of 1 to ${filterBounds.list} values; here stands ${nameOf(list)}`)
  return []
}

function readScalar(value: ExactJson, field: Field, place: Place): ExactJson {
  if (field.kind === "time") return readTime(value, place)
  if (isExactList(value) || isExactObject(value)) {
    wrong(place, `a field is compared with a text, a number, true, false or null, not with ${nameOf(value)}`)
  }
  return typeof value === "string" ? checkLength(value, place) : value
}

function readTime(value: ExactJson, place: Place): ExactJson {
  const at = typeof value === "string" ? parseTime(value) : undefined
  if (at === undefined) wrong(place, 'a time is compared with an RFC 3339 time, such as "2026-11-21T10:00:00Z"')
  return { number: String(at ?? 0) }
}

function readOrder(value: ExactJson, field: Field, place: Place, says: (order: number) => boolean): Match {
  const bound = field.kind === "time" ? readTime(value, place) : value
  if (isExactNumber(bound)) {
    const decimal = decimalOf(bound.number)
    return found => isExactNumber(found) && says(compareDecimals(decimalOf(found.number), decimal))
  }
  if (typeof bound !== "string") return wrong(place, `only numbers and texts have an order, not ${nameOf(bound)}`)
  checkLength(bound, place)
  return found => typeof found === "string" && says(compareCodePoints(found, bound))
}

function readPrefix(value: ExactJson, field: Field, place: Place): Match {
  if (field.kind === "time") return wrong(place, timeHasNoParts)
  if (typeof value !== "string") return wrong(place, `takes a text; here stands ${nameOf(value)}`)
  checkLength(value, place)
  return found => typeof found === "string" && found.startsWith(value)
}

function readContains(value: ExactJson, field: Field, place: Place): Match {
  if (field.kind === "time") return wrong(place, timeHasNoParts)
  const isElement = isOneOf([readScalar(value, field, place)])
  return found => {
    if (isExactList(found)) return found.some(isElement)
    return typeof found === "string" && typeof value === "string" && found.includes(value)
  }
}

const timeHasNoParts = "a time is compared as a whole: use eq, gt, gte, lt or lte"

function checkLength(text: string, place: Place): string {
  const { characters } = filterBounds
  if (text.length > characters) wrong(place, `a text to compare with has at most ${characters} characters`)
  return text
}

/** JavaScript's `<` would put characters beyond U+FFFF before those from U+E000 on. */
function compareCodePoints(a: string, b: string): number {
  const length = Math.min(a.length, b.length)
  for (let i = 0; i < length; i++) {
    const one = a.charCodeAt(i)
    const other = b.charCodeAt(i)
    if (one !== other) return rank(one) - rank(other)
  }
  return a.length - b.length
}

/** A code unit's place in the order of code points: halves of characters beyond U+FFFF come last. */
function rank(code: number): number {
  return code >= 0xd800 && code <= 0xdfff ? code + 0x10000 : code
}

function nameOf(value: ExactJson): string {
  if (value === null || typeof value === "boolean") return String(value)
  if (typeof value === "string") return "a text"
  if (isExactNumber(value)) return "a number"
  if (isExactList(value)) return value.length === 0 ? "an empty list" : `a list of ${value.length}`
  return "an object"
}

function unknownOperator(name: string): string {
  const near = nearest(name, operators)
  const hint = near === null ? `use one of ${operators.join(", ")}` : `did you mean "${near}"?`
  return `${JSON.stringify(name.slice(0, 100))} is no operator; ${hint}`
}
