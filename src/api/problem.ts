/** Problem documents (RFC 9457): every error says what is wrong, where, and how to mend it (API-50). */

/** One fault: where it lies (JSON pointer into the body, or `header`/`query` name) and a sentence. */
export interface ProblemError {
  readonly pointer: string
  readonly message: string
}

/** The codes of problems with their status and title, once. The code is stable; it is also the problem type's last part. */
export const problems = {
  malformed: { status: 400, title: "The request cannot be read" },
  unauthorized: { status: 401, title: "An API key is needed" },
  forbidden: { status: 403, title: "The API key may not do this" },
  not_found: { status: 404, title: "There is no such thing" },
  method_not_allowed: { status: 405, title: "This address does not take that method" },
  conflict: { status: 409, title: "This contradicts what is there already" },
  gone: { status: 410, title: "It is no longer kept" },
  too_large: { status: 413, title: "The body is too large" },
  uri_too_long: { status: 414, title: "The address is too long" },
  unsupported_media_type: { status: 415, title: "This kind of body is not taken here" },
  invalid: { status: 422, title: "The request is well-formed but wrong" },
  idempotency_mismatch: { status: 422, title: "The Idempotency-Key was used for another request" },
  unknown_type: { status: 422, title: "The event type is not in the catalogue" },
  unknown_app: { status: 422, title: "The app is not known" },
  schema_mismatch: { status: 422, title: "The data breaks the schema of its event type" },
  payload_expired: { status: 409, title: "The payload is no longer kept" },
  headers_too_large: { status: 431, title: "The headers are too large" },
  too_many_requests: { status: 429, title: "Too many requests" },
  internal: { status: 500, title: "Something went wrong inside Waybill" },
  overloaded: { status: 503, title: "Waybill cannot take more just now" },
  unavailable: { status: 503, title: "The database cannot be written just now" },
} as const satisfies Record<string, { status: number; title: string }>

export type ProblemCode = keyof typeof problems

/** Thrown by handlers, caught once: becomes the answer. */
export class Problem extends Error {
  readonly code: ProblemCode
  readonly errors: readonly ProblemError[]
  readonly extra: Readonly<Record<string, unknown>>
  readonly retryAfterSeconds: number | undefined

  constructor(
    code: ProblemCode,
    detail: string,
    more: {
      errors?: readonly ProblemError[]
      /** Further members, such as `event` naming the earlier one. */
      extra?: Readonly<Record<string, unknown>>
      retryAfterSeconds?: number
    } = {},
  ) {
    super(detail)
    this.code = code
    this.errors = more.errors ?? []
    this.extra = more.extra ?? {}
    this.retryAfterSeconds = more.retryAfterSeconds
  }

  get status(): number {
    return problems[this.code].status
  }

  /** The document; `instance` is the request's id. */
  document(instance: string): ProblemDocument {
    return {
      type: `https://waybill.example/problems/${this.code}`,
      title: problems[this.code].title,
      status: this.status,
      code: this.code,
      detail: this.message,
      instance,
      ...(this.errors.length > 0 ? { errors: this.errors } : {}),
      ...this.extra,
    }
  }
}

export interface ProblemDocument {
  readonly type: string
  readonly title: string
  readonly status: number
  readonly code: string
  readonly detail: string
  readonly instance: string
  readonly errors?: readonly ProblemError[]
  readonly [extra: string]: unknown
}

/** There is nothing with this id for this key: the same answer whether it is another project's or nobody's (API-10). */
export function notFound(what: string, id: string): Problem {
  return new Problem("not_found", `There is no ${what} ${id} in this project.`)
}
