/** Holds requests against their schemas and says in sentences what is wrong: which field, how, and how to mend it. */
import { Ajv2020, type ErrorObject, type ValidateFunction } from "ajv/dist/2020.js"
import formats from "ajv-formats"
import type { ProblemError } from "./problem.ts"

const common = { useDefaults: true, removeAdditional: false, allErrors: false, strict: false } as const

/** For bodies: values are taken as they are. */
export const bodyAjv = prepare(new Ajv2020({ ...common, coerceTypes: false }))
/** For query strings and paths, where everything arrives as text. */
const textAjv = prepare(new Ajv2020({ ...common, coerceTypes: true }))

/** What Fastify asks for each part of a route's schema. */
export function compileForRoute({ schema, httpPart }: { schema: unknown; httpPart?: string }): ValidateFunction {
  return (httpPart === "body" ? bodyAjv : textAjv).compile(schema as object)
}

/** The faults of a failed validation as sentences. Shape faults (`malformed`) are told from wrong values by the caller. */
export function describeFaults(errors: readonly ErrorObject[], part: string): ProblemError[] {
  // What is not built yet says so itself; the general complaint of the same place would only hide it.
  const notYet = errors.filter(error => error.keyword === "x-not-yet")
  const chosen = notYet.length > 0 ? notYet : errors.filter(error => !isWrapper(error))
  return (chosen.length > 0 ? chosen : errors).map(error => {
    const extra = error.keyword === "required" ? `/${error.params["missingProperty"]}` : ""
    const unknown = error.keyword === "additionalProperties" ? `/${error.params["additionalProperty"]}` : ""
    const later = error.keyword === "x-not-yet" ? String(error.params["field"]) : ""
    const pointer = `${error.instancePath}${extra}${unknown}${later}`
    return { pointer: `${places[part] ?? part}${pointer}`, message: sentenceOf(error, pointer) }
  })
}

/** How pointers name the parts of a request that Fastify has other names for. */
const places: Readonly<Record<string, string>> = { body: "", querystring: "query" }

/** Branches of `anyOf` and the like complain beside the fault that matters. */
function isWrapper(error: ErrorObject): boolean {
  return error.keyword === "anyOf" || error.keyword === "oneOf" || error.keyword === "if"
}

function sentenceOf(error: ErrorObject, pointer: string): string {
  const name = pointer === "" ? "The body" : `\`${pointer.slice(1).replaceAll("/", ".")}\``
  const { params } = error
  switch (error.keyword) {
    case "x-not-yet":
      return String(params["sentence"])
    case "required":
      return `${name} is missing.`
    case "additionalProperties":
    case "unevaluatedProperties": {
      const known = Object.keys((error.parentSchema?.["properties"] as object | undefined) ?? {})
      return `${name} is not a field here.${known.length > 0 ? ` Known are ${known.join(", ")}.` : ""}`
    }
    case "type":
      return `${name} must be ${article(params["type"])}.`
    case "enum":
      return `${name} must be one of ${(params["allowedValues"] as unknown[]).join(", ")}.`
    case "const":
      return `${name} must be ${JSON.stringify(params["allowedValue"])}.`
    case "minimum":
    case "maximum":
    case "exclusiveMinimum":
    case "exclusiveMaximum":
      return `${name} must be ${params["comparison"]} ${params["limit"]}.`
    case "minLength":
      return `${name} must have at least ${params["limit"]} character${params["limit"] === 1 ? "" : "s"}.`
    case "maxLength":
      return `${name} must have at most ${params["limit"]} characters.`
    case "minItems":
      return `${name} must have at least ${params["limit"]} entries.`
    case "maxItems":
      return `${name} must have at most ${params["limit"]} entries.`
    case "minProperties":
      return `${name} must have at least ${params["limit"]} fields.`
    case "maxProperties":
      return `${name} must have at most ${params["limit"]} fields.`
    case "pattern":
      return `${name} ${patternHint(error) ?? `must match ${params["pattern"]}`}.`
    case "format":
      return `${name} must be a ${params["format"]}.`
    default:
      return `${name} ${error.message ?? "is wrong"}.`
  }
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
