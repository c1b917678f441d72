/**
 * Which JSON Schemas (2020-12) are taken for the data of events: those of which it can be told beforehand how long a check
 * takes at most, whatever the data. It is made for every event, on the thread that all projects share.
 */
import { pointerTo } from "./json-pointer.ts"

/** What is wrong with a schema, and where: `pointer` leads from the schema itself. */
export interface SchemaFault {
  readonly pointer: string
  readonly message: string
}

/** Schemas within a schema, each counted as often as it is referred to: compiling a thousand takes about half a second. */
const MOST_PARTS = 1_000
/** Entries that are held against each other, each against each. */
const MOST_UNIQUE = 1_000
/** Values of an `enum` that cost about as much as a schema. */
const VALUES_PER_PART = 16

/** Keywords that hold one schema. */
const single = [
  ...["items", "contains", "additionalItems", "unevaluatedItems", "contentSchema"],
  ...["additionalProperties", "unevaluatedProperties", "propertyNames", "not", "if", "then", "else"],
]
/** Keywords that hold a list of schemas. */
const listed = ["allOf", "anyOf", "oneOf", "prefixItems", "items"]
/** Keywords that hold schemas by a name that is the user's own. */
const named = ["properties", "$defs", "definitions", "dependentSchemas", "dependencies"]
/** Of these nothing is checked unless something refers to it. */
const definitions = ["$defs", "definitions"]

/** Keywords that are not taken, and why. */
const refused: Readonly<Record<string, string>> = {
  ...Object.fromEntries(
    ["pattern", "patternProperties"].map(name => [
      name,
      "holds a regular expression: one can be written that takes hours over a short text, so none are taken (API-23). Use enum, minLength, maxLength or format.",
    ]),
  ),
  ...Object.fromEntries(
    ["$dynamicRef", "$dynamicAnchor", "$recursiveRef", "$recursiveAnchor", "$anchor"].map(name => [
      name,
      "is not taken: name the schema under $defs, and refer to it with $ref.",
    ]),
  ),
  $async: "is no keyword of JSON Schema: leave it out.",
}

/** A schema within the one that is looked at. */
interface Part {
  /** Those that are checked with it: its own, by their pointers, and the one that it refers to. */
  readonly within: readonly string[]
  readonly ref: string | undefined
  /** Itself, and what its values cost. */
  readonly cost: number
}

/** What keeps a schema from being taken; null where nothing does. Whether it is a schema at all is for its compiler to say. */
export function faultOfSchema(schema: unknown): SchemaFault | null {
  const parts = new Map<string, Part>()
  const fault = gather(schema, "", parts)
  if (fault !== null) return fault
  if (parts.size > MOST_PARTS) return tooMany
  for (const [pointer, { ref }] of parts) {
    if (ref !== undefined && !parts.has(ref)) return { pointer: `${pointer}/$ref`, message: leadsNowhere }
  }
  return weigh("", parts, new Map(), new Set()).fault
}

const tooMany: SchemaFault = {
  pointer: "",
  message: `has more than ${MOST_PARTS} schemas in it, each counted as often as it is referred to. Check less, or make several types.`,
}
const leadsNowhere =
  'leads to no schema within this one. Refer to one under $defs, such as "#/$defs/address"; nothing is fetched.'

/** Notes every schema within a schema by its pointer; gives the first fault that shows by itself. */
function gather(schema: unknown, pointer: string, parts: Map<string, Part>): SchemaFault | null {
  if (parts.size > MOST_PARTS) return tooMany
  if (typeof schema !== "object" || schema === null || Array.isArray(schema)) {
    parts.set(pointer, { within: [], ref: undefined, cost: 1 })
    return null
  }
  const within: string[] = []
  const inner: (readonly [pointer: string, schema: unknown])[] = []
  const keywords = schema as Readonly<Record<string, unknown>>
  for (const [keyword, value] of Object.entries(keywords)) {
    const here = pointerTo(pointer, keyword)
    const why = Object.hasOwn(refused, keyword) ? refused[keyword] : undefined
    if (why !== undefined) return { pointer: here, message: why }
    if (keyword === "$id" && pointer !== "")
      return { pointer: here, message: "may stand at the top of the schema only." }
    const found = schemasOf(keyword, value, here)
    inner.push(...found)
    if (!definitions.includes(keyword)) within.push(...found.map(([at]) => at))
  }
  const { $ref: ref, uniqueItems, maxItems, enum: values } = keywords
  if (uniqueItems === true && !(typeof maxItems === "number" && maxItems <= MOST_UNIQUE)) {
    const message = `needs a maxItems of at most ${MOST_UNIQUE} beside it: every entry is held against every other.`
    return { pointer: pointerTo(pointer, "uniqueItems"), message }
  }
  if (ref !== undefined && typeof ref !== "string") return { pointer: `${pointer}/$ref`, message: leadsNowhere }
  const cost = 1 + (Array.isArray(values) ? Math.floor(values.length / VALUES_PER_PART) : 0)
  parts.set(pointer, { within, ref: ref === undefined ? undefined : targetOf(ref), cost })
  for (const [at, one] of inner) {
    const fault = gather(one, at, parts)
    if (fault !== null) return fault
  }
  return null
}

/** The schemas that a keyword holds, by their pointers. */
function schemasOf(keyword: string, value: unknown, here: string): (readonly [string, unknown])[] {
  if (Array.isArray(value)) return listed.includes(keyword) ? value.map((one, i) => [`${here}/${i}`, one]) : []
  if (single.includes(keyword)) return [[here, value]]
  if (!named.includes(keyword) || typeof value !== "object" || value === null) return []
  // Under `dependencies` names of fields may stand in place of a schema.
  return Object.entries(value).flatMap(([name, one]) => (Array.isArray(one) ? [] : [[pointerTo(here, name), one]]))
}

/** The pointer that a `$ref` leads to; one that no schema has where it leads elsewhere. */
function targetOf(ref: string): string {
  if (ref === "#") return ""
  try {
    return ref.startsWith("#/") ? decodeURIComponent(ref.slice(1)) : ref
  } catch {
    return ref
  }
}

/** How many schemas are checked where one is: those within it, and those that it refers to. */
function weigh(
  pointer: string,
  parts: ReadonlyMap<string, Part>,
  known: Map<string, number>,
  above: Set<string>,
): { readonly cost: number; readonly fault: SchemaFault | null } {
  const part = parts.get(pointer)
  const weight = known.get(pointer)
  if (part === undefined || weight !== undefined) return { cost: weight ?? 1, fault: null }
  above.add(pointer)
  let cost = part.cost
  for (const next of [...part.within, ...(part.ref === undefined ? [] : [part.ref])]) {
    if (above.has(next)) {
      const message =
        "leads back to itself: how long that takes depends on the data. Write out as many levels as the data has."
      return { cost, fault: { pointer: `${pointer}/$ref`, message } }
    }
    const inner = weigh(next, parts, known, above)
    if (inner.fault !== null) return inner
    cost += inner.cost
    // Before the next one: each may be as large as this one has become.
    if (cost > MOST_PARTS) break
  }
  if (cost > MOST_PARTS) return { cost, fault: tooMany }
  above.delete(pointer)
  known.set(pointer, cost)
  return { cost, fault: null }
}
