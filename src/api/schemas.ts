/** Schemas that many routes share, each written once. */
import { type TSchema, Type } from "typebox"

/** A time as it leaves the API: RFC 3339, UTC, milliseconds (API-60). */
export const Time = Type.String({ format: "date-time", examples: ["2026-11-21T10:00:00.000Z"] })
export const Environment = Type.Union([Type.Literal("production"), Type.Literal("sandbox")])

/** `null` where there is nothing. */
export function Nullable<T extends TSchema>(schema: T, description?: string) {
  return Type.Union([schema, Type.Null()], description === undefined ? {} : { description })
}

/** A page of a list, newest first. */
export function Page<T extends TSchema>(item: T) {
  return Type.Object({ data: Type.Array(item), next_cursor: Nullable(Type.String()) })
}

/** A page of a search that may have stopped before it reached the end of what is kept. */
export function SearchPage<T extends TSchema>(item: T) {
  return Type.Object({
    data: Type.Array(item),
    next_cursor: Nullable(Type.String()),
    searched_back_to: Type.Union([Time, Type.Null()], {
      description:
        "Set where the search stopped for time: everything newer was searched, the cursor goes on from there.",
    }),
  })
}

/**
 * A text that is kept as it is. NUL has no place in PostgreSQL's texts, half a character none in UTF-8: refused here, so that
 * a text is the same on every engine.
 */
export function KeptText(options: {
  readonly minLength?: number
  readonly maxLength: number
  readonly description?: string
}) {
  return Type.String({
    ...options,
    pattern: "^[^\\u0000\\ud800-\\udfff]*$",
    "x-hint": "must hold no NUL (\\u0000) and no half character (a lone surrogate)",
  })
}

/** How every list is paged. */
export const paging = {
  limit: Type.Optional(Type.Integer({ minimum: 1, maximum: 200, default: 50, description: "How many at most." })),
  cursor: Type.Optional(Type.String({ maxLength: 200, description: "`next_cursor` of the page before." })),
}

/** The body of every error (RFC 9457). */
export const ProblemSchema = Type.Object(
  {
    type: Type.String({ format: "uri" }),
    title: Type.String(),
    status: Type.Integer(),
    code: Type.String({ description: "Stable; made for programs." }),
    detail: Type.String({ description: "What happened and how to mend it, in a sentence." }),
    instance: Type.String({ description: "The id of the request, as in the log." }),
    errors: Type.Optional(
      Type.Array(Type.Object({ pointer: Type.String({ description: "JSON pointer." }), message: Type.String() })),
    ),
  },
  { additionalProperties: true },
)

/** A response that is a problem. */
export const problemResponse = {
  description: "A problem document",
  content: { "application/problem+json": { schema: ProblemSchema } },
}

/** The responses of a route: what it gives when all is well, and the problems that it can answer with. */
export function responses(ok: Record<number, TSchema>, ...problemStatuses: readonly number[]): Record<number, unknown> {
  return { ...ok, ...Object.fromEntries(problemStatuses.map(status => [status, problemResponse])) }
}

/** RFC 3339 with milliseconds, of a time in ms; null stays null. */
export function timeText(ms: number): string
export function timeText(ms: number | null): string | null
export function timeText(ms: number | null): string | null {
  return ms === null ? null : new Date(ms).toISOString()
}
