/** JSON Schemas as tables of fields: each field once, by its path, with its kind, its bounds and what it says of itself. */
import { code, table, text } from "./markdown.ts"

/** A JSON Schema as far as it is read here. */
export interface Schema {
  readonly type?: string | readonly string[]
  readonly properties?: Readonly<Record<string, Schema>>
  readonly required?: readonly string[]
  readonly additionalProperties?: boolean | Schema
  readonly items?: Schema
  readonly anyOf?: readonly Schema[]
  readonly enum?: readonly unknown[]
  readonly const?: unknown
  readonly description?: string
  readonly default?: unknown
  readonly examples?: readonly unknown[]
  readonly format?: string
  readonly minimum?: number
  readonly exclusiveMinimum?: number
  readonly maximum?: number
  readonly minLength?: number
  readonly maxLength?: number
  readonly maxItems?: number
  readonly maxProperties?: number
  readonly secret?: boolean
  readonly "x-hint"?: string
  readonly "x-not-yet"?: Readonly<Record<string, string>>
}

/** Whether the fields are sent, so that it matters which are required, or read. */
export type Direction = "input" | "output"

/** The name of a schema that is described in a place of its own, as a link to it; undefined for all others. */
export type LinkTo = (schema: Schema) => string | undefined

interface Row {
  readonly path: string
  readonly kind: string
  readonly says: string
}

/** The fields of an object, those of the objects in it too. `linkTo`: what is not laid out here but elsewhere. */
export function fieldTable(schema: Schema, direction: Direction, linkTo: LinkTo = () => undefined): string {
  const rows = fieldsOf(schema, "", direction, linkTo)
  const seen = new Set<string>()
  // Branches of a union have fields in common.
  const distinct = rows.filter(row => !seen.has(row.path) && seen.add(row.path))
  return table(
    ["field", "kind", "what it is"],
    distinct.map(({ path, kind, says }) => [code(path), kind, says]),
  )
}

function fieldsOf(schema: Schema, parent: string, direction: Direction, linkTo: LinkTo): Row[] {
  const { properties = {}, required = [], additionalProperties, items, anyOf } = schema
  if (anyOf !== undefined) return anyOf.flatMap(branch => below(branch, parent, direction, linkTo))
  if (items !== undefined) return below(items, `${parent}[]`, direction, linkTo)
  const own = Object.entries(properties).flatMap(([name, field]) => {
    const path = parent === "" ? name : `${parent}.${name}`
    const isRequired = direction === "input" && required.includes(name) && field.default === undefined
    return [rowOf(path, field, isRequired, linkTo), ...below(field, path, direction, linkTo)]
  })
  const rest = typeof additionalProperties === "object" ? fieldsOfRest(additionalProperties, parent, direction, linkTo) : []
  const later = Object.entries(schema["x-not-yet"] ?? {}).map(([name, sentence]) => ({
    path: parent === "" ? name : `${parent}.${name}`,
    kind: "refused",
    says: text(sentence),
  }))
  return [...own, ...rest, ...later]
}

/** Members whose names are the sender's. */
function fieldsOfRest(schema: Schema, parent: string, direction: Direction, linkTo: LinkTo): Row[] {
  const path = `${parent}.<name>`
  return [rowOf(path, schema, false, linkTo), ...below(schema, path, direction, linkTo)]
}

/** What lies within a value, unless it is described elsewhere. */
function below(schema: Schema, path: string, direction: Direction, linkTo: LinkTo): Row[] {
  if (path !== "" && linkTo(schema) !== undefined) return []
  const isDeep = schema.properties ?? schema.items ?? schema.anyOf ?? schema.additionalProperties
  return typeof isDeep === "object" ? fieldsOf(schema, path, direction, linkTo) : []
}

function rowOf(path: string, schema: Schema, isRequired: boolean, linkTo: LinkTo): Row {
  const kind = kindOf(schema, linkTo)
  return { path, kind: isRequired ? `${kind}, required` : kind, says: sentencesOf(schema).join(" ") }
}

/** What a value is, in a few words of Markdown. */
export function kindOf(schema: Schema, linkTo: LinkTo = () => undefined): string {
  const link = linkTo(schema)
  if (link !== undefined) return link
  if (schema.anyOf !== undefined) {
    const kinds = schema.anyOf.map(branch => kindOf(branch, linkTo))
    return [...new Set(kinds)].join(" or ")
  }
  if (schema.const !== undefined) return code(JSON.stringify(schema.const))
  if (schema.enum !== undefined) return schema.enum.map(value => code(String(value))).join(", ")
  if (schema.format === "date-time") return "time"
  const types = typeof schema.type === "string" ? [schema.type] : (schema.type ?? [])
  const kinds = types.map(type => (type === "array" ? `list of ${kindOf(schema.items ?? {}, linkTo)}` : type))
  const kind = kinds.length === 0 ? "any JSON" : kinds.join(" or ")
  return schema.secret === true ? `${kind}, *secret*` : kind
}

/** What a schema says of a value: its description, its bounds, its default, an example. */
export function sentencesOf(schema: Schema): string[] {
  const whole = unwrapped(schema)
  const example = whole.examples?.[0]
  return [
    ...(whole.description === undefined ? [] : [text(whole.description)]),
    ...boundsOf(whole),
    ...notYet(whole),
    ...(whole.default === undefined ? [] : [`Default: ${code(plain(whole.default))}.`]),
    ...(example === undefined ? [] : [`Example: ${code(plain(example))}.`]),
  ]
}

/** A value that may also be null has its bounds in the branch that is not. */
function unwrapped(schema: Schema): Schema {
  const branches = schema.anyOf?.filter(branch => branch.type !== "null") ?? []
  const [only] = branches
  return only !== undefined && branches.length === 1 ? { ...only, ...schema } : schema
}

function boundsOf(schema: Schema): string[] {
  const { minimum, exclusiveMinimum, maximum, minLength, maxLength, maxItems, maxProperties } = schema
  const hint = schema["x-hint"]
  const many = (count: number) => count.toLocaleString("en-US")
  if (hint !== undefined) return [`${hint.charAt(0).toUpperCase()}${hint.slice(1)}.`]
  if (minimum !== undefined && maximum !== undefined) return [`From ${many(minimum)} to ${many(maximum)}.`]
  if (exclusiveMinimum !== undefined && maximum !== undefined) return [`Above ${many(exclusiveMinimum)}, up to ${many(maximum)}.`]
  if (minimum !== undefined) return [`At least ${many(minimum)}.`]
  if (maxLength !== undefined) {
    return [minLength === undefined ? `At most ${many(maxLength)} characters.` : `${many(minLength)} to ${many(maxLength)} characters.`]
  }
  if (maxItems !== undefined) return [`At most ${many(maxItems)} entries.`]
  return maxProperties === undefined ? [] : [`At most ${many(maxProperties)} fields.`]
}

/** Values that are understood but refused. Fields of an object that are have rows of their own. */
function notYet({ "x-not-yet": sentences, properties, type }: Schema): string[] {
  if (sentences === undefined || properties !== undefined || type === "object") return []
  return [`Refused, as not built yet: ${Object.keys(sentences).map(code).join(", ")}.`]
}

function plain(value: unknown): string {
  return typeof value === "string" ? value : JSON.stringify(value)
}
