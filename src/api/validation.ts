/** Holds requests against their schemas and says in sentences what is wrong: which field, how, and how to mend it. */
import { Ajv2020, type ErrorObject, type ValidateFunction } from "ajv/dist/2020.js"
import formats from "ajv-formats"
import { parsePointer, pointerTo } from "../domain/json-pointer.ts"
import type { ProblemError } from "./problem.ts"

/** Verbose, because sentences say what stands in the schema beside the rule that was broken. */
const common = {
  useDefaults: true,
  removeAdditional: false,
  allErrors: false,
  strict: false,
  verbose: true,
  // Of alternatives that a field tells apart, only the one that it names complains.
  discriminator: true,
} as const

/** For bodies: values are taken as they are. */
export const bodyAjv = prepare(new Ajv2020({ ...common, coerceTypes: false }))
/** For bodies that have failed, so that whoever fills in a form learns of all that is wrong at once. */
const thoroughAjv = prepare(new Ajv2020({ ...common, coerceTypes: false, allErrors: true }))
/** For query strings and paths, where everything arrives as text. */
const textAjv = prepare(new Ajv2020({ ...common, coerceTypes: true }))

/**
 * What Fastify asks for each part of a route's schema. It is compiled when the first request comes for it: a process meets
 * few of the routes, and compiling all of them was a third of what a start computes.
 */
export function compileForRoute({ schema, httpPart }: { schema: unknown; httpPart?: string }): RouteValidator {
  let compiled: ValidateFunction | undefined
  const validate: RouteValidator = data => {
    compiled ??= (httpPart === "body" ? bodyAjv : textAjv).compile(schema as object)
    const isSound = compiled(data)
    validate.errors = isSound
      ? null
      : httpPart === "body"
        ? allFaults(schema as object, data)
        : (compiled.errors ?? null)
    return isSound
  }
  return validate
}

/** What is wrong with a part of a body; none where it is as its schema has it. `parent` is where it stands in the body. */
export function faultsOfBody(schema: object, value: unknown, parent = ""): ProblemError[] {
  return bodyAjv.compile(schema)(value) ? [] : describeFaults(allFaults(schema, value), "body", parent)
}

/** All faults of a value that has some; of one with very many parts, whose faults might be as many, the first. */
function allFaults(schema: object, value: unknown): ErrorObject[] {
  const validate = (hasAtMost(value, MOST_PARTS) ? thoroughAjv : bodyAjv).compile(schema)
  validate(value)
  return validate.errors ?? []
}

/** Whether a value holds no more than so many values, itself among them. */
function hasAtMost(value: unknown, most: number): boolean {
  const waiting = [value]
  for (let count = 0; waiting.length > 0; count++) {
    if (count >= most || waiting.length > most) return false
    const next = waiting.pop()
    if (typeof next === "object" && next !== null) for (const part of Object.values(next)) waiting.push(part)
  }
  return true
}

/** Says whether a part of a request is as its schema has it; `errors` are those of the last one. */
interface RouteValidator {
  (data: unknown): boolean
  errors?: ErrorObject[] | null
}

/**
 * The faults of a failed validation as sentences, one for each place. `parent` is where the value stands in the body, for
 * the sentences; the pointers begin at the value itself.
 */
export function describeFaults(errors: readonly ErrorObject[], part: string, parent = ""): ProblemError[] {
  // What is not built yet says so itself; the general complaint of the same place would only hide it.
  const notYet = errors.filter(error => error.keyword === "x-not-yet")
  const chosen = notYet.length > 0 ? notYet : errors.filter(error => !isWrapper(error))
  // Alternatives complain one by one about the same place.
  const byPlace = Map.groupBy(chosen.length > 0 ? chosen : errors, placeOf)
  return [...byPlace].slice(0, MOST_FAULTS).map(([pointer, alternatives]) => ({
    pointer: `${places[part] ?? part}${pointer}`,
    message: sentenceOf(alternatives, parent + pointer),
  }))
}

/** How pointers name the parts of a request that Fastify has other names for. */
const places: Readonly<Record<string, string>> = { body: "", querystring: "query" }

/** Values of a body in which all faults are looked for, and faults that are told at once. */
const MOST_PARTS = 2_000
const MOST_FAULTS = 50

/** Longer names are nobody's slip of the pen, and are not repeated in an answer. */
const MAX_NAME_CHARACTERS = 256

function placeOf(error: ErrorObject): string {
  const { keyword, instancePath, params } = error
  if (keyword === "required") return pointerTo(instancePath, String(params["missingProperty"]))
  if (keyword === "x-not-yet") return `${instancePath}${params["field"]}`
  const unknown = unknownField(error)
  return unknown === null ? instancePath : pointerTo(instancePath, unknown)
}

/** The name of a field that is not known; null for other faults, and where the name is too long to be shown. */
function unknownField({ params }: ErrorObject): string | null {
  const name: unknown = params["additionalProperty"] ?? params["unevaluatedProperty"]
  return typeof name === "string" && name.length <= MAX_NAME_CHARACTERS ? name : null
}

/** Branches of `anyOf` and the like complain beside the fault that matters. */
function isWrapper(error: ErrorObject): boolean {
  return ["anyOf", "oneOf", "if", "discriminator"].includes(error.keyword)
}

/** What is wrong at one place: of alternatives, what each of them asks for. */
function sentenceOf(alternatives: readonly ErrorObject[], pointer: string): string {
  const [first] = alternatives
  if (first?.keyword === "x-not-yet") return String(first.params["sentence"])
  const name = pointer === "" ? "The body" : `\`${(parsePointer(pointer) ?? [pointer]).join(".")}\``
  // Of what one schema asks for the first is enough: the rest of it is no alternative.
  const firsts = alternatives.filter((one, i) => alternatives.findIndex(isOfSchema(one)) === i)
  const asked = [...new Set(firsts.map(predicateOf))]
  const common = "must be "
  if (asked.length === 1 || !asked.every(text => text.startsWith(common))) return `${name} ${asked.join(", or ")}.`
  return `${name} ${common}${either(asked.map(text => text.slice(common.length)))}.`
}

const isOfSchema = (one: ErrorObject) => (other: ErrorObject) => other.parentSchema === one.parentSchema

function predicateOf(error: ErrorObject): string {
  const { params } = error
  const limit = Number(params["limit"])
  switch (error.keyword) {
    case "required":
      return "is missing"
    case "additionalProperties":
    case "unevaluatedProperties": {
      const known = Object.keys((error.parentSchema?.["properties"] as object | undefined) ?? {})
      const what = unknownField(error) === null ? "holds a field that is not known here" : "is not a field here"
      return `${what}${known.length > 0 ? `: known are ${known.join(", ")}` : ""}`
    }
    case "type":
      return `must be ${article(params["type"])}`
    case "enum":
      return `must be ${either((params["allowedValues"] as unknown[]).map(value => JSON.stringify(value)))}`
    case "const":
      return `must be ${JSON.stringify(params["allowedValue"])}`
    case "minimum":
      return `must be at least ${limit}`
    case "maximum":
      return `must be at most ${limit}`
    case "exclusiveMinimum":
      return `must be above ${limit}`
    case "exclusiveMaximum":
      return `must be below ${limit}`
    case "minLength":
      return `must have at least ${counted(limit, "character")}`
    case "maxLength":
      return `must have at most ${counted(limit, "character")}`
    case "minItems":
      return `must have at least ${counted(limit, "entry", "entries")}`
    case "maxItems":
      return `must have at most ${counted(limit, "entry", "entries")}`
    case "minProperties":
      return `must have at least ${counted(limit, "field")}`
    case "maxProperties":
      return `must have at most ${counted(limit, "field")}`
    case "pattern":
      return patternHint(error) ?? `must match ${params["pattern"]}`
    case "format":
      return `must be a ${params["format"]}`
    default:
      return error.message ?? "is wrong"
  }
}

function either(texts: readonly string[]): string {
  const rest = texts.slice(0, -1)
  return rest.length === 0 ? (texts[0] ?? "") : `${rest.join(", ")} or ${texts.at(-1)}`
}

function counted(count: number, one: string, many = `${one}s`): string {
  return `${count.toLocaleString("en")} ${count === 1 ? one : many}`
}

/** Schemas with a pattern say in words what it asks for, under `x-hint`. */
function patternHint(error: ErrorObject): string | undefined {
  const hint = error.parentSchema?.["x-hint"]
  return typeof hint === "string" ? hint : undefined
}

function article(type: unknown): string {
  const types = Array.isArray(type) ? type.map(String) : [String(type)]
  return types.map(name => (name === "null" ? "null" : /^[aeio]/.test(name) ? `an ${name}` : `a ${name}`)).join(" or ")
}

/**
 * `x-not-yet` names values (or, for an object, fields) that are understood but not built, each with the sentence that
 * says so: they are refused, never accepted and ignored. `"*"` refuses whatever is there.
 */
function prepare(ajv: Ajv2020): Ajv2020 {
  formats.default(ajv)
  ajv.addKeyword({
    keyword: "x-not-yet",
    schemaType: "object",
    errors: true,
    // Before the other keywords, so that its sentence is the first fault.
    before: "enum",
    validate: function check(sentences: Record<string, string>, data: unknown): boolean {
      const found = findSentence(sentences, data)
      if (found === undefined) return true
      Object.assign(check, { errors: [{ keyword: "x-not-yet", message: found.sentence, params: found }] })
      return false
    },
  })
  for (const keyword of ["secret", "x-hint"]) ajv.addKeyword(keyword)
  return ajv
}

/** The sentence for a value, and the field that it is about where the value is an object. */
function findSentence(
  sentences: Record<string, string>,
  data: unknown,
): { readonly sentence: string; readonly field: string } | undefined {
  const names = typeof data === "object" && data !== null ? Object.keys(data) : ["*", String(data)]
  const name = names.find(candidate => Object.hasOwn(sentences, candidate))
  const sentence = name === undefined ? undefined : sentences[name]
  if (name === undefined || sentence === undefined) return undefined
  return { sentence, field: typeof data === "object" && data !== null ? `/${name}` : "" }
}
