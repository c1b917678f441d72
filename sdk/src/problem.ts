/** What is thrown where an answer is no success: a problem document (RFC 9457), or what stands in for one. */

/** An answer that is a problem document (RFC 9457), or none at all (status 0). */
export class WaybillProblem extends Error {
  readonly status: number
  /** Stable; made for programs. */
  readonly code: string
  readonly title: string
  readonly errors: readonly { readonly pointer: string; readonly message: string }[]
  /** The request's id, as in the log. */
  readonly request: string | undefined
  /** From `Retry-After`; undefined where there is none. */
  readonly retryAfterSeconds: number | undefined

  constructor(problem: {
    status: number
    code: string
    title: string
    detail: string
    errors?: readonly { pointer: string; message: string }[]
    request?: string | undefined
    retryAfterSeconds?: number | undefined
  }) {
    super(problem.detail)
    this.name = "WaybillProblem"
    this.status = problem.status
    this.code = problem.code
    this.title = problem.title
    this.errors = problem.errors ?? []
    this.request = problem.request
    this.retryAfterSeconds = problem.retryAfterSeconds
  }
}

/** The problem that an answer is; also where something in between answered in a form of its own. */
export async function problemOf(response: Response): Promise<WaybillProblem> {
  const text = await response.text()
  const body = parsed(text)
  const after = Number(response.headers.get("retry-after") ?? Number.NaN)
  const { title = response.statusText, code = `http_${response.status}`, detail = text.slice(0, 300) } = body
  return new WaybillProblem({
    status: response.status,
    code,
    title,
    detail: detail === "" ? `The server answered ${response.status}.` : detail,
    errors: body.errors ?? [],
    request: body.instance ?? response.headers.get("x-request-id") ?? undefined,
    retryAfterSeconds: Number.isFinite(after) ? after : undefined,
  })
}

interface ProblemBody {
  readonly title?: string
  readonly code?: string
  readonly detail?: string
  readonly instance?: string
  readonly errors?: readonly { readonly pointer: string; readonly message: string }[]
}

function parsed(text: string): ProblemBody {
  try {
    const value: unknown = JSON.parse(text)
    return typeof value === "object" && value !== null ? value : {}
  } catch {
    return {}
  }
}
