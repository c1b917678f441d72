/** Filters that are no more than conditions which all have to hold: as rows of a form, and as the JSON that they stand for. */
import { elementsOf, membersOf } from "../parts/json-parts.ts"

export const operators = {
  eq: "is",
  ne: "is not",
  gt: "is more than",
  gte: "is at least",
  lt: "is less than",
  lte: "is at most",
  prefix: "begins with",
  contains: "contains",
  exists: "is there",
} as const

export type Operator = keyof typeof operators

export interface Condition {
  readonly field: string
  readonly operator: Operator
  /** As it was typed: a number, true, false, null, or else a text; in quotes it is a text in any case. */
  readonly value: string
}

/** The text of a filter; "" for none. */
export function textOfConditions(conditions: readonly Condition[]): string {
  const parts = conditions.map(({ field, operator, value }) => {
    const operand = operator === "exists" ? "" : `, ${literalOf(value)}`
    return `{ "${operator}": [${JSON.stringify(field)}${operand}] }`
  })
  const [first] = parts
  if (first === undefined) return ""
  return parts.length === 1 ? first : `{\n  "and": [\n    ${parts.join(",\n    ")}\n  ]\n}`
}

/** The rows that a filter comes to; null where it is more than that, or no filter yet, as while somebody types. */
export function conditionsOf(text: string): Condition[] | null {
  if (text.trim() === "") return []
  if (!isJson(text)) return null
  const [only, ...more] = membersOf(text) ?? []
  const list = only?.key === "and" && more.length === 0 ? elementsOf(only.text) : [text]
  const conditions = list?.map(conditionOf) ?? []
  const found = conditions.filter(each => each !== null)
  // What the form would write otherwise than it stands there is left to who reads JSON.
  const isSame = found.length === conditions.length && isSameFilter(textOfConditions(found), text)
  return isSame ? found : null
}

/** Read from the text, because a number that was parsed has lost what it has more than 15 digits of. */
function conditionOf(text: string): Condition | null {
  const [only, ...more] = membersOf(text) ?? []
  if (only === undefined || more.length > 0 || !isOperator(only.key)) return null
  const [name, operand, ...rest] = elementsOf(only.text) ?? []
  const field: unknown = name === undefined ? null : JSON.parse(name)
  if (typeof field !== "string" || rest.length > 0) return null
  if (only.key === "exists") return operand === undefined ? { field, operator: only.key, value: "" } : null
  if (operand === undefined || /^[{[]/.test(operand)) return null
  const value = operand.startsWith('"') ? (JSON.parse(operand) as string) : operand
  return { field, operator: only.key, value: literalOf(value) === operand ? value : operand }
}

function isOperator(name: string): name is Operator {
  return Object.hasOwn(operators, name)
}

function literalOf(value: string): string {
  const isLiteral =
    /^(true|false|null|-?(0|[1-9]\d*)(\.\d+)?([eE][+-]?\d+)?)$/.test(value) || (/^".*"$/.test(value) && isJson(value))
  return isLiteral ? value : JSON.stringify(value)
}

/** Whether two filters differ by no more than the space between their parts. */
export function isSameFilter(text: string, other: string): boolean {
  return compact(text) === compact(other)
}

/** A JSON text without the space between its parts. */
function compact(text: string): string {
  return text.replaceAll(/("[^"\\]*(?:\\.[^"\\]*)*")|\s+/g, "$1")
}

function isJson(text: string): boolean {
  try {
    JSON.parse(text)
    return true
  } catch {
    return false
  }
}
