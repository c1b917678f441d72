/** The catalogue of event types: what a strict project has against an event whose type or data it does not know. */
import { Ajv2020, type ValidateFunction } from "ajv/dist/2020.js"
import formats from "ajv-formats"
import type { EventDraft } from "../domain/event.ts"
import { nearest } from "../domain/nearest.ts"
import { type PrivateFields, privateFieldsOf } from "../domain/private-fields.ts"
import type { EventType, Project } from "../store/projects.ts"
import type { Refusal } from "./intake.ts"

/** A type with its schema ready to be held against data; null accepts anything. */
export interface CataloguedType {
  readonly type: EventType
  readonly validate: ValidateFunction | null
}

/** Makes of a type what checking needs. */
export function catalogued(type: EventType): CataloguedType {
  return { type, validate: type.schema === null ? null : compileSchema(type.schema) }
}

/** What the catalogue has against an event; undefined where it may come in. */
export function refusesType(types: ReadonlyMap<string, CataloguedType>, draft: EventDraft): Refusal | undefined {
  const known = types.get(draft.type)
  if (known === undefined) {
    const close = nearest(draft.type, [...types.keys()])
    const hint = close === null ? "" : ` Did you mean ${close}?`
    const message = `The event type ${draft.type} is not in this project's catalogue.${hint} Add it with PUT /v1/event-types/${draft.type}.`
    return { kind: "refused", code: "unknown_type", errors: [{ pointer: "/type", message }] }
  }
  const { validate } = known
  if (validate === null) return undefined
  const data: unknown = draft.payload.kind === "json" ? JSON.parse(draft.payload.text) : undefined
  if (validate(data)) return undefined
  const [error] = validate.errors ?? []
  const missing: unknown = error?.params?.["missingProperty"] ?? error?.params?.["additionalProperty"]
  const pointer = `/data${error?.instancePath ?? ""}${typeof missing === "string" ? `/${missing}` : ""}`
  const message = `\`${pointer.slice(1).replaceAll("/", ".")}\` breaks the schema of ${draft.type}: ${error?.message ?? "invalid"}.`
  return { kind: "refused", code: "schema_mismatch", errors: [{ pointer, message }] }
}

/** What is private in events of a type: what its project and the type itself name. `type`: null for all types together. */
export function privateFieldsIn(
  { privateFields }: Project,
  types: ReadonlyMap<string, CataloguedType>,
  type: string | null,
): PrivateFields | null {
  const own =
    type === null
      ? [...types.values()].flatMap(known => known.type.privateFields)
      : (types.get(type)?.type.privateFields ?? [])
  return privateFields.length + own.length === 0 ? null : privateFieldsOf([...privateFields, ...own])
}

function compileSchema(schema: string): ValidateFunction {
  const ajv = new Ajv2020({ strict: false, allErrors: false })
  formats.default(ajv)
  return ajv.compile(JSON.parse(schema) as object)
}
