/** Filters that are no more than conditions which all have to hold: as rows of a form, and as the JSON that they stand for. */
import { isObject } from "./data.ts"

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

/** The rows that a filter comes to; null where it is more than that. */
export function conditionsOf(text: string): Condition[] | null {
  if (text.trim() === "") return []
  let filter: unknown
  try {
    filter = JSON.parse(text)
  } catch {
    return null
  }
  const list = isObject(filter) && Array.isArray(filter["and"]) ? filter["and"] : [filter]
  const conditions = list.map(conditionOf)
  const found = conditions.filter(each => each !== null)
  if (found.length < conditions.length) return null
  // Numbers of many digits would be rounded on their way through the form.
  const isExact = JSON.stringify(JSON.parse(textOfConditions(found))) === JSON.stringify(filter)
  return isExact && !/\d{16}/.test(text) ? found : null
}

function conditionOf(node: unknown): Condition | null {
  if (!isObject(node)) return null
  const [[name, operand] = ["", null], ...more] = Object.entries(node)
  if (more.length > 0 || !(name in operators) || !Array.isArray(operand) || typeof operand[0] !== "string") return null
  const operator = name as Operator
  if (operator === "exists") return { field: operand[0], operator, value: "" }
  const value: unknown = operand[1]
  if (typeof value === "object" && value !== null) return null
  const isPlain = typeof value === "string" && literalOf(value) === JSON.stringify(value)
  return { field: operand[0], operator, value: isPlain ? value : JSON.stringify(value) }
}

function literalOf(value: string): string {
  const isLiteral = /^(true|false|null|-?(0|[1-9]\d*)(\.\d+)?([eE][+-]?\d+)?|"(?:[^"\\]|\\.)*")$/.test(value)
  return isLiteral ? value : JSON.stringify(value)
}
