/** Problem documents (RFC 9457): every error says what is wrong, where, and how to mend it (API-50). */

/** One fault: where it lies (JSON pointer into the body, or `header`/`query` name) and a sentence. */
export interface ProblemError {
  readonly pointer: string
  readonly message: string
}

/**
 * The codes of problems, once: status, title, and what to do about it in a sentence, for the docs page. The code is
 * stable; it is also the last part of the problem's type, an address at which `/problems/<code>` explains it.
 */
export const problems = {
  malformed: {
    status: 400,
    title: "The request cannot be read",
    advice: "`detail` says where reading stopped: mostly JSON with a comma or a quote too many, or a value cut short.",
  },
  unauthorized: {
    status: 401,
    title: "An API key or a session is needed",
    advice:
      "Send `Authorization: Bearer wb_…` with a key that has neither expired nor been revoked. People sign in with `POST /v1/session`.",
  },
  sign_in_refused: {
    status: 401,
    title: "Signing in was refused",
    advice: "`detail` says what to do. Whether an address is known here is not told.",
  },
  forbidden: {
    status: 403,
    title: "The credential may not do this",
    advice: "`detail` names the scope that is needed, or the limit that stands against it. Use a key that may.",
  },
  cross_site: {
    status: 403,
    title: "The request may come from another site's page",
    advice:
      "With a session's cookie, send changes from this Waybill's own pages, with `x-csrf-token` from `GET /v1/session`. Programs send an API key instead, which asks for neither.",
  },
  not_found: {
    status: 404,
    title: "There is no such thing",
    advice:
      "Compare the method, the address and the id in it with `/openapi.json`. What belongs to another project reads the same.",
  },
  conflict: {
    status: 409,
    title: "This contradicts what is there already",
    advice: "`detail` names what it contradicts. For an event: its `id` was used before with other content.",
  },
  payload_expired: {
    status: 409,
    title: "The payload is no longer kept",
    advice: "Nothing is left to send. Have the source send the event again.",
  },
  still_running: {
    status: 409,
    title: "The first request with this Idempotency-Key is still running",
    advice: "Send the same request again after `Retry-After`: it is then answered as the first one was.",
  },
  stale: {
    status: 412,
    title: "It has changed since you read it",
    advice: "Read it again, look at what has changed, and send your change with the new `ETag` in `If-Match`.",
  },
  too_large: {
    status: 413,
    title: "The body is too large",
    advice: "An event may have 256 KiB, a batch 5 MiB, everything else 1 MiB, unpacked. Send less at a time.",
  },
  too_slow: {
    status: 408,
    title: "The request did not arrive in time",
    advice: "Send it again over a new connection. Large bodies arrive sooner compressed with gzip.",
  },
  uri_too_long: { status: 414, title: "The address is too long", advice: "Compare the id in the address." },
  unsupported_media_type: {
    status: 415,
    title: "This kind of body is not taken here",
    advice: "Send `Content-Type: application/json` in UTF-8, packed with gzip or not at all.",
  },
  invalid: {
    status: 422,
    title: "The request is well-formed but wrong",
    advice: "`errors` names each field and says how to mend it. Fields that are not known are refused, not ignored.",
  },
  idempotency_mismatch: {
    status: 422,
    title: "The Idempotency-Key was used for another request",
    advice: "Use a new key for a new request. For an event, `event` names the earlier one.",
  },
  unknown_type: {
    status: 422,
    title: "The event type is not in the catalogue",
    advice: "Add the type with `PUT /v1/event-types/<name>`, or switch `strict_types` off in the project.",
  },
  unknown_app: {
    status: 422,
    title: "The app is not known",
    advice: "Make the app with `POST /v1/apps`, or switch `strict_apps` off in the project.",
  },
  schema_mismatch: {
    status: 422,
    title: "The data breaks the schema of its event type",
    advice: "`errors` names the fields. Mend the event, or the schema in the catalogue.",
  },
  headers_too_large: { status: 431, title: "The headers are too large", advice: "Keep them below 16 KiB together." },
  quota_exceeded: {
    status: 429,
    title: "The quota of requests is used up",
    advice:
      "`violated-policies` says whose: the key's or the project's. Wait for as many seconds as `Retry-After` says; the fields `RateLimit-Policy` and `RateLimit` of every answer say what is left.",
    // Registered by draft-ietf-httpapi-ratelimit-headers.
    type: "https://iana.org/assignments/http-problem-types#quota-exceeded",
  },
  too_many_requests: {
    status: 429,
    title: "Too many requests",
    advice: "Wait for as many seconds as `Retry-After` says, then send it again.",
  },
  internal: {
    status: 500,
    title: "Something went wrong inside Waybill",
    advice: "Look for the id in `instance` in Waybill's log, and report what you find.",
  },
  overloaded: {
    status: 503,
    title: "Waybill cannot take more just now",
    advice: "Nothing of the request was stored. Send it again after `Retry-After`.",
  },
  unavailable: {
    status: 503,
    title: "The database cannot be written just now",
    advice:
      "Send it again after `Retry-After`. `detail` says whether something of it may be stored; with the same id or `Idempotency-Key` nothing is stored twice. The operator sees why in the log and at `/readyz`.",
  },
} as const satisfies Record<string, { status: number; title: string; advice: string; type?: string }>

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

  /** The document. `instance` is the request's id, `publicUrl` where this Waybill is reached. */
  document({ instance, publicUrl }: { readonly instance: string; readonly publicUrl: string }): ProblemDocument {
    return {
      type: problemType(this.code, publicUrl),
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

/**
 * The URI that names a kind of problem: it leads to its explanation (RFC 9457, 3.1.1). It begins as this Waybill is
 * reached, so programs that talk to several compare the code. A type that is registered for all is that.
 */
export function problemType(code: ProblemCode, publicUrl: string): string {
  const { type }: { readonly title: string; readonly type?: string } = problems[code]
  return type ?? `${publicUrl}/problems/${code}`
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
