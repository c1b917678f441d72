/**
 * Secrets in the settings of any connector: fields that its schema marks `secret: true`, at any depth, as values of maps
 * and in lists too. They are kept apart from the settings, by JSON pointer, and shown as `{ "set": true }`.
 *
 * An update may send `{ "set": true }` back where it read it: the value that was kept for that place stays.
 */
import { pointerTo } from "../domain/json-pointer.ts"
import type { Settings, SettingsFault } from "./connector.ts"

/** Settings taken apart. */
export interface SplitSettings {
  /** The settings as they are shown: each secret is `{ "set": true }`. */
  readonly shown: Settings
  /** The secrets by JSON pointer into the settings, such as `/production/authorization`. */
  readonly secrets: ReadonlyMap<string, string>
}

/** Takes settings apart to be kept. They have passed the schema, and `joinSecrets` if they came with an update. */
export function splitSecrets(schema: object, settings: Settings): SplitSettings {
  const secrets = new Map<string, string>()
  const shown = mapSecrets(schema, settings, (pointer, secret) => {
    if (typeof secret !== "string") throw new Error(`The secret at ${pointer} is no text.`)
    secrets.set(pointer, secret)
    return { set: true }
  })
  return { shown, secrets }
}

/**
 * Puts secrets back in the places of `{ "set": true }`; a text in such a place is a new value and stays. For settings as
 * they were kept, and for an update (merged into what is shown) before the schema sees it. Each place for which no value
 * is kept is a fault.
 */
export function joinSecrets(
  schema: object,
  shown: Settings,
  secrets: ReadonlyMap<string, string>,
): { readonly settings: Settings; readonly faults: readonly SettingsFault[] } {
  const faults: SettingsFault[] = []
  const settings = mapSecrets(schema, shown, (pointer, value) => {
    if (!isMark(value)) return value
    const secret = secrets.get(pointer)
    if (secret === undefined) faults.push({ pointer, message: "No value is kept here yet; send the value itself." })
    return secret ?? value
  })
  return { settings, faults }
}

/** Pointers of the secrets that a save sets, changes or removes, sorted. */
export function changedSecrets(before: ReadonlyMap<string, string>, after: ReadonlyMap<string, string>): string[] {
  return [...new Set([...before.keys(), ...after.keys()])].filter(p => before.get(p) !== after.get(p)).sort()
}

type Visit = (pointer: string, secret: unknown) => unknown

/** A copy of the settings with each secret replaced by what `visit` gives for it. */
function mapSecrets(schema: object, settings: Settings, visit: Visit): Settings {
  return mapMembers(branchesOf(schema), settings, "", visit)
}

function mapMembers(schemas: readonly Settings[], object: Settings, parent: string, visit: Visit): Settings {
  // From entries, because assigning would take a member called `__proto__` for the object's prototype.
  return Object.fromEntries(
    Object.entries(object).map(([key, value]) => {
      return [key, mapValue(memberSchemas(schemas, key), value, pointerTo(parent, key), visit)]
    }),
  )
}

/** A value is secret if any of the schemas that may apply to it says so: to hide too much is the lesser harm. */
function mapValue(schemas: readonly Settings[], value: unknown, pointer: string, visit: Visit): unknown {
  if (schemas.some(schema => schema["secret"] === true)) return visit(pointer, value)
  if (Array.isArray(value)) {
    const items = schemas.flatMap(schema => branchesOf(schema["items"]))
    return value.map((item, i) => mapValue(items, item, pointerTo(pointer, i), visit))
  }
  return isObject(value) ? mapMembers(schemas, value, pointer, visit) : value
}

/** The schemas that may apply to a member: by its name, by patterns, or as one of the others. */
function memberSchemas(schemas: readonly Settings[], key: string): Settings[] {
  return schemas.flatMap(({ properties, patternProperties, additionalProperties }) => {
    if (isObject(properties) && Object.hasOwn(properties, key)) return branchesOf(properties[key])
    const patterns = isObject(patternProperties) ? Object.entries(patternProperties) : []
    const matching = patterns.filter(([pattern]) => new RegExp(pattern, "u").test(key))
    return matching.length > 0 ? matching.flatMap(([, schema]) => branchesOf(schema)) : branchesOf(additionalProperties)
  })
}

/** A schema and all its alternatives and parts; none for what is no schema object, such as `false`. */
function branchesOf(schema: unknown): Settings[] {
  if (!isObject(schema)) return []
  const parts = [schema["anyOf"], schema["oneOf"], schema["allOf"]].flatMap(list => (Array.isArray(list) ? list : []))
  return [schema, ...parts.flatMap(branchesOf)]
}

function isMark(value: unknown): boolean {
  return isObject(value) && value["set"] === true && Object.keys(value).length === 1
}

function isObject(value: unknown): value is Settings {
  return typeof value === "object" && value !== null && !Array.isArray(value)
}
