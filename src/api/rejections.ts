/** `GET /v1/rejections`: requests that ingest refused, so that a sender's mistakes can be seen from this side too. */
import type { FastifyInstance } from "fastify"
import { type Static, Type } from "typebox"
import { formatId } from "../domain/id.ts"
import { isLimited } from "../domain/limits.ts"
import { listRejections, type Rejection } from "../store/rejections.ts"
import { callerOf } from "./access.ts"
import { bodyOf } from "./attempt-view.ts"
import type { Context } from "./context.ts"
import { hidesPayloads } from "./limits.ts"
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
  body: Nullable(Type.String({ description: "Its first KiB; of a batch that of the first event that was refused." })),
  body_hidden: Type.Boolean({ description: "Left out: it is read with the scope `payloads:read`." }),
  body_encoding: Nullable(Type.Enum(["text", "base64"])),
  body_bytes: Type.Integer({ description: "How long that was in all." }),
})

const RejectionQuery = Type.Object(paging, { additionalProperties: false })

export function rejectionRoutes(server: FastifyInstance, { store, cursors, now }: Context): void {
  server.get<{ Querystring: Static<typeof RejectionQuery> }>(
    "/v1/rejections",
    {
      config: { scope: "events:read" },
      schema: {
        operationId: "listRejections",
        summary: "Lists requests that ingest refused",
        description:
          "The last 1,000 of the project, for 7 days. A batch of which events were refused is one of them: it says how many, and shows the first of them. A key that is limited to some events sees its own.",
        tags: ["events"],
        querystring: RejectionQuery,
        response: responses({ 200: Page(RejectionView) }, 400, 401, 422),
      },
    },
    async request => {
      const { project, limits, key } = callerOf(request)
      const own = isLimited(limits) ? (key?.id ?? 0) : null
      const { limit = 50, cursor } = request.query
      const [before = Number.MAX_SAFE_INTEGER] = cursors.read(request, "rejections", cursor) ?? []
      const older = await listRejections(store.reads, { project, key: own, before, limit: limit + 1, now: now() })
      const page = older.slice(0, limit)
      const last = page.at(-1)
      return {
        data: page.map(rejection => viewOf(rejection, hidesPayloads(request))),
        next_cursor: older.length > limit && last !== undefined ? cursors.write(request, "rejections", last.id) : null,
      }
    },
  )
}

function viewOf(rejection: Rejection, hidden: boolean): Static<typeof RejectionView> {
  return {
    id: formatId("rej", rejection.id),
    at: timeText(rejection.at),
    key: rejection.key === null ? null : formatId("key", rejection.key),
    status: rejection.status,
    code: rejection.code,
    detail: rejection.detail,
    errors: rejection.errors.map(error => ({ ...error })),
    request: rejection.request,
    ...bodyOf(hidden ? null : rejection.body, rejection.bodyBytes > rejection.body.length),
    body_hidden: hidden,
    body_bytes: rejection.bodyBytes,
  }
}
