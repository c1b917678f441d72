/**
 * Event types and the names under which an integration gets them. An exact type beats the longest prefix, a prefix beats
 * `default`; the one rule that is found decides alone.
 */
import type { EventRule, EventRules } from "./integration.ts"

/** Whether an integration gets a type, and under which name. */
export type NameAnswer = { readonly on: true; readonly name: string } | { readonly on: false }

/** A mistake in rules: where (JSON pointer into the rules) and a sentence. */
export interface EventRuleFault {
  readonly pointer: string
  readonly message: string
}

/** What a type looks like, as the end of a sentence. */
export const EVENT_TYPE_RULE = "1 to 128 printable ASCII characters without space"

/** Longer names fit no receiver's field. */
export const MAX_NAME_CHARACTERS = 256

/** Types that begin so are Waybill's own. */
const RESERVED = "waybill."

const off: NameAnswer = { on: false }

/** Whether a text can be an event type, reserved ones included. */
export function isEventType(text: string): boolean {
  return /^[!-~]{1,128}$/.test(text)
}

/** Whether a type is Waybill's own: nobody else may send it, and no general rule matches it. */
export function isReservedType(type: string): boolean {
  return type.startsWith(RESERVED)
}

/**
 * The answer of an integration's rules for one type. A rule that is there switches the type on, unless it says
 * `enabled: false` or gives a blank name (RevenueCat's habit); without a name in its rule a type keeps its own.
 * Waybill's own types go out only by a rule for `waybill.…`, so that nobody gets them who has not asked for them.
 */
export function nameFor(rules: EventRules, type: string): NameAnswer {
  return compileEventRules(rules)(type)
}

/** `nameFor` for many types: sorts the rules once. */
export function compileEventRules(rules: EventRules): (type: string) => NameAnswer {
  const exact = new Map(Object.entries(rules.types))
  const prefixes = Object.entries(rules.types)
    .filter(([key]) => key.endsWith("*"))
    .map(([key, rule]) => ({ prefix: key.slice(0, -1), rule }))
    .sort((a, b) => b.prefix.length - a.prefix.length)
  return type => {
    const rule = exact.get(type) ?? prefixes.find(({ prefix }) => isPrefixOf(prefix, type))?.rule
    return rule === undefined ? unruled(rules, type) : answerOf(rule, type)
  }
}

/** What is wrong with an integration's rules; empty when all is well. */
export function checkEventRules(rules: EventRules): EventRuleFault[] {
  return Object.entries(rules.types).flatMap(([key, rule]) => {
    const message = faultOf(key, rule)
    return message === null ? [] : [{ pointer: `/types/${key.replaceAll("~", "~0").replaceAll("/", "~1")}`, message }]
  })
}

function unruled(rules: EventRules, type: string): NameAnswer {
  return rules.default === "on" && !isReservedType(type) ? { on: true, name: type } : off
}

function answerOf(rule: EventRule, type: string): NameAnswer {
  if (rule.enabled === false || (rule.name !== undefined && isBlank(rule.name))) return off
  return { on: true, name: rule.name ?? type }
}

function isPrefixOf(prefix: string, type: string): boolean {
  return type.startsWith(prefix) && (!isReservedType(type) || isReservedType(prefix))
}

function faultOf(key: string, rule: EventRule): string | null {
  const prefix = key.endsWith("*") ? key.slice(0, -1) : key
  if (prefix.includes("*")) return `"${key}": a star may stand at the end only, as in "trial_*"`
  if (!isEventType(prefix) && key !== "*") {
    return `${JSON.stringify(key.slice(0, 200))} is no event type: a type is ${EVENT_TYPE_RULE}, a prefix ends with a star`
  }
  if (rule.name === undefined) return null
  if (isBlank(rule.name)) {
    return rule.enabled === true
      ? `"${key}" is on but its name is blank: give it a name, leave the name out to send it as it is, or switch it off`
      : null
  }
  if (rule.name.length > MAX_NAME_CHARACTERS)
    return `the name for "${key}" is longer than ${MAX_NAME_CHARACTERS} characters`
  return rule.name.isWellFormed() ? null : `the name for "${key}" holds half a character (a lone surrogate)`
}

function isBlank(name: string): boolean {
  return name.trim() === ""
}
