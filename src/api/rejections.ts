/** `GET /v1/rejections`: requests that ingest refused, so that a sender's mistakes can be seen from this side too. */
import type { FastifyInstance } from "fastify"
import { type Static, Type } from "typebox"
import { formatId } from "../domain/id.ts"
import { listRejections, type Rejection } from "../store/rejections.ts"
import { bodyOf } from "./attempt-view.ts"
import { type Context, keyOf } from "./context.ts"
import { Nullable, Page, paging, responses, Time, timeText } from "./schemas.ts"

const RejectionView = Type.Object({
  id: Type.String({ examples: ["rej_01j9zq4kx2m"] }),
  at: Time,
  key: Nullable(Type.String({ description: "The API key that the request came with." })),
  status: Type.Integer(),
  code: Type.String(),
  detail: Type.String(),
  errors: Type.Array(Type.Object({ pointer: Type.String(), message: Type.String() })),
  request: Type.String({ examples: ["POST /v1/events"] }),
  body: Nullable(Type.String({ description: "Its first KiB." })),
  body_encoding: Nullable(Type.Enum(["text", "base64"])),
  body_bytes: Type.Integer({ description: "How long it was in all." }),
})

const RejectionQuery = Type.Object(paging, { additionalProperties: false })

export function rejectionRoutes(server: FastifyInstance, { store, cursors, now }: Context): void {
  server.get<{ Querystring: Static<typeof RejectionQuery> }>(
    "/v1/rejections",
    {
      schema: {
        operationId: "listRejections",
        summary: "Lists requests that ingest refused",
        description: "The last 1,000 of the project, for 7 days.",
        tags: ["events"],
        querystring: RejectionQuery,
        response: responses({ 200: Page(RejectionView) }, 400, 401, 422),
      },
    },
    async request => {
      const { project } = keyOf(request)
      const { limit = 50, cursor } = request.query
      const [before = Number.MAX_SAFE_INTEGER] = cursors.read("rejections", cursor) ?? []
      const older = await listRejections(store.reads, { project, before, limit: limit + 1, now: now() })
      const page = older.slice(0, limit)
      const last = page.at(-1)
      return {
        data: page.map(viewOf),
        next_cursor: older.length > limit && last !== undefined ? cursors.write("rejections", last.id) : null,
      }
    },
  )
}

function viewOf(rejection: Rejection): Static<typeof RejectionView> {
  return {
    id: formatId("rej", rejection.id),
    at: timeText(rejection.at),
    key: rejection.key === null ? null : formatId("key", rejection.key),
    status: rejection.status,
    code: rejection.code,
    detail: rejection.detail,
    errors: rejection.errors.map(error => ({ ...error })),
    request: rejection.request,
    ...bodyOf(rejection.body, rejection.bodyBytes > rejection.body.length),
    body_bytes: rejection.bodyBytes,
  }
}
