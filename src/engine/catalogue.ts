/** The catalogue of event types: what a strict project has against an event whose type or data it does not know. */
import { Ajv2020, type ValidateFunction } from "ajv/dist/2020.js"
import formats from "ajv-formats"
import type { EventDraft } from "../domain/event.ts"
import { nearest } from "../domain/nearest.ts"
import { type PrivateFields, privateFieldsOf } from "../domain/private-fields.ts"
import type { EventType, Project } from "../store/projects.ts"
import type { Refusal } from "./intake.ts"

/** A type, and what holds data against its schema. */
export interface CataloguedType {
  readonly type: EventType
  /** What the schema has against data; null where it has nothing, or there is none. */
  readonly faultOf: (data: unknown) => DataFault | null
}

/** What data breaks a schema by. */
interface DataFault {
  /** From the data itself. */
  readonly pointer: string
  readonly message: string
}

/** Makes of a type what checking needs. A schema is compiled when the first event comes for it. */
export function catalogued(type: EventType): CataloguedType {
  const { schema } = type
  if (schema === null) return { type, faultOf: () => null }
  let validate: ValidateFunction | undefined
  return {
    type,
    faultOf: data => {
      try {
        validate ??= compileSchema(JSON.parse(schema) as object)
        return faultOf(validate, data)
      } catch (error) {
        // One that an earlier version took.
        const why = error instanceof Error ? error.message : String(error)
        return { pointer: "", message: `cannot be held against its schema, which has to be mended (${why})` }
      }
    },
  }
}

function faultOf(validate: ValidateFunction, data: unknown): DataFault | null {
  const answer: unknown = validate(data)
  if (answer === true) return null
  // Only a schema with `$async`, which an earlier version took, answers so.
  if (answer instanceof Promise) {
    answer.catch(() => undefined)
    return { pointer: "", message: "cannot be held against its schema: take $async out of it" }
  }
  const [error] = validate.errors ?? []
  const missing: unknown = error?.params?.["missingProperty"] ?? error?.params?.["additionalProperty"]
  const pointer = `${error?.instancePath ?? ""}${typeof missing === "string" ? `/${missing}` : ""}`
  return { pointer, message: `breaks the schema: ${error?.message ?? "invalid"}` }
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
  if (known.type.schema === null) return undefined
  const data: unknown = draft.payload.kind === "json" ? JSON.parse(draft.payload.text) : undefined
  const fault = known.faultOf(data)
  if (fault === null) return undefined
  const pointer = `/data${fault.pointer}`
  const message = `\`${pointer.slice(1).replaceAll("/", ".")}\` of ${draft.type} ${fault.message}.`
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

/** Throws where it is none. */
export function compileSchema(schema: object | boolean): ValidateFunction {
  const ajv = new Ajv2020({ strict: false, allErrors: false })
  formats.default(ajv)
  return ajv.compile(schema)
}
