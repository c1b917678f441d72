/** JSON Schemas as tables of fields: each field once, by its path, with its kind, its bounds and what it says of itself. */
import type { TSchema } from "typebox"
import { code, table, text } from "./markdown.ts"

/** A JSON Schema as far as it is read here. */
export interface Schema {
  readonly type?: string | readonly string[]
  readonly properties?: Readonly<Record<string, Schema>>
  readonly required?: readonly string[]
  readonly additionalProperties?: boolean | Schema
  readonly items?: Schema
  readonly anyOf?: readonly Schema[]
  readonly oneOf?: readonly Schema[]
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

/** A schema of the sources as the JSON that it stands for. */
export function plainSchema(schema: TSchema): Schema {
  return JSON.parse(JSON.stringify(schema)) as Schema
}

/** Whether the fields are sent, so that it matters which are required, or read. */
export type Direction = "input" | "output"

/** A document with all that it points to written out in place; throws where it points to nothing. Objects are shared, not copied. */
export function writtenOut<T>(document: T): T {
  const known = new Map<string, unknown>()
  const at = (pointer: string): unknown => {
    const steps = pointer.replace("#/", "").split("/")
    const found = steps.reduce((part: unknown, step) => (part as Record<string, unknown> | undefined)?.[step], document)
    if (found === undefined) throw new Error(`The document points to ${pointer}, which is not there.`)
    if (!known.has(pointer)) known.set(pointer, out(found))
    return known.get(pointer)
  }
  const out = (part: unknown): unknown => {
    if (typeof part !== "object" || part === null) return part
    if (Array.isArray(part)) return part.map(out)
    if ("$ref" in part && typeof part.$ref === "string") return at(part.$ref)
    return Object.fromEntries(Object.entries(part).map(([key, value]) => [key, out(value)]))
  }
  return out(document) as T
}

/** A shape that is described in a place of its own: a link to it, and the names of its fields. */
export interface Shape {
  readonly link: string
  readonly fields: readonly string[]
}

/** The shape that an object has, with or without further fields; undefined where it has none. */
export type ShapeOf = (schema: Schema) => Shape | undefined

interface Row {
  readonly path: string
  readonly kind: string
  readonly says: string
}

/** The fields of an object, those of the objects in it too. `shapeOf`: what is laid out elsewhere. */
export function fieldTable(schema: Schema, direction: Direction, shapeOf: ShapeOf = () => undefined): string {
  const rows = fieldsOf(schema, "", direction, shapeOf)
  const seen = new Set<string>()
  // Branches of a union have fields in common.
  const distinct = rows.filter(row => !seen.has(row.path) && seen.add(row.path))
  return table(
    ["field", "kind", "what it is"],
    distinct.map(({ path, kind, says }) => [code(path), kind, says]),
  )
}

function fieldsOf(schema: Schema, parent: string, direction: Direction, shapeOf: ShapeOf): Row[] {
  const { properties = {}, required = [], additionalProperties, items, anyOf } = schema
  if (anyOf !== undefined) return anyOf.flatMap(branch => below(branch, parent, direction, shapeOf))
  if (items !== undefined) return below(items, `${parent}[]`, direction, shapeOf)
  const elsewhere = shapeOf(schema)?.fields ?? []
  const here = Object.entries(properties).filter(([name]) => !elsewhere.includes(name))
  const own = here.flatMap(([name, field]) => {
    const path = parent === "" ? name : `${parent}.${name}`
    const isRequired = direction === "input" && required.includes(name) && field.default === undefined
    return [rowOf(path, field, isRequired, shapeOf), ...below(field, path, direction, shapeOf)]
  })
  const rest =
    typeof additionalProperties === "object" ? fieldsOfRest(additionalProperties, parent, direction, shapeOf) : []
  const later = Object.entries(schema["x-not-yet"] ?? {}).map(([name, sentence]) => ({
    path: parent === "" ? name : `${parent}.${name}`,
    kind: "refused",
    says: text(sentence),
  }))
  const alternatives = (schema.oneOf ?? []).flatMap(branch => fieldsOf(branch, parent, direction, shapeOf))
  return [...own, ...rest, ...later, ...alternatives]
}

/** Members whose names are the sender's. */
function fieldsOfRest(schema: Schema, parent: string, direction: Direction, shapeOf: ShapeOf): Row[] {
  const path = `${parent}.<name>`
  return [rowOf(path, schema, false, shapeOf), ...below(schema, path, direction, shapeOf)]
}

/** What lies within a value. */
function below(schema: Schema, path: string, direction: Direction, shapeOf: ShapeOf): Row[] {
  const isDeep = schema.properties ?? schema.items ?? schema.anyOf ?? schema.additionalProperties
  return typeof isDeep === "object" ? fieldsOf(schema, path, direction, shapeOf) : []
}

function rowOf(path: string, schema: Schema, isRequired: boolean, shapeOf: ShapeOf): Row {
  const kind = kindOf(schema, shapeOf)
  return { path, kind: isRequired ? `${kind}, required` : kind, says: sentencesOf(schema).join(" ") }
}

/** What a value is, in a few words of Markdown. */
export function kindOf(schema: Schema, shapeOf: ShapeOf = () => undefined): string {
  const shape = shapeOf(schema)
  if (shape !== undefined) return isWhole(schema, shape) ? shape.link : `${shape.link} and more`
  if (schema.anyOf !== undefined) {
    const kinds = schema.anyOf.map(branch => kindOf(branch, shapeOf))
    return [...new Set(kinds)].join(" or ")
  }
  if (schema.const !== undefined) return code(String(schema.const))
  if (schema.enum !== undefined) return schema.enum.map(value => code(String(value))).join(", ")
  if (isTime(schema)) return "time"
  const types = typeof schema.type === "string" ? [schema.type] : (schema.type ?? [])
  const kinds = types.map(type => (type === "array" ? `list of ${kindOf(schema.items ?? {}, shapeOf)}` : type))
  const kind = kinds.length === 0 ? "any JSON" : kinds.join(" or ")
  return schema.secret === true ? `${kind}, *secret*` : kind
}

/** Whether a shape is all that an object has. */
export function isWhole({ properties = {} }: Schema, { fields }: Shape): boolean {
  return Object.keys(properties).length === fields.length
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
    // All times look alike.
    ...(example === undefined || isTime(whole) ? [] : [`Example: ${code(plain(example))}.`]),
  ]
}

function isTime({ format }: Schema): boolean {
  return format === "date-time"
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
  if (hint !== undefined) return [`${hint.replace(/^must be /, "")}.`]
  if (minimum !== undefined && maximum !== undefined) return [`From ${many(minimum)} to ${many(maximum)}.`]
  if (exclusiveMinimum !== undefined && maximum !== undefined)
    return [`Above ${many(exclusiveMinimum)}, up to ${many(maximum)}.`]
  if (minimum !== undefined) return [`At least ${many(minimum)}.`]
  if (maxLength !== undefined) {
    return [
      minLength === undefined
        ? `At most ${many(maxLength)} characters.`
        : `${many(minLength)} to ${many(maxLength)} characters.`,
    ]
  }
  if (maxItems !== undefined) return [atMost(maxItems, "entry", "entries")]
  return maxProperties === undefined ? [] : [atMost(maxProperties, "field", "fields")]
}

function atMost(count: number, one: string, more: string): string {
  return `At most ${count.toLocaleString("en-US")} ${count === 1 ? one : more}.`
}

/** Values that are understood but refused. Fields of an object that are have rows of their own. */
function notYet({ "x-not-yet": sentences, properties, type }: Schema): string[] {
  if (sentences === undefined || properties !== undefined || type === "object") return []
  return [`Refused, as not built yet: ${Object.keys(sentences).map(code).join(", ")}.`]
}

function plain(value: unknown): string {
  return typeof value === "string" ? value : JSON.stringify(value)
}
