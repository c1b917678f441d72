/** `/v1/apps`: the applications and device products of a project. */
import type { FastifyInstance } from "fastify"
import { type Static, Type } from "typebox"
import { formatId } from "../domain/id.ts"
import type { App } from "../store/projects.ts"
import { type Context, keyOf } from "./context.ts"
import { KeptText, Nullable, Page, paging, responses, Time, timeText } from "./schemas.ts"

/** Names are limited so that they can stand in URLs, headers and metrics as they are. */
export const AppName = Type.String({
  pattern: "^[A-Za-z0-9._-]{1,64}$",
  "x-hint": "must be 1 to 64 letters, digits, dots, underscores or dashes",
})

const AppView = Type.Object({
  id: Type.String(),
  name: Type.String(),
  title: Nullable(Type.String()),
  created_at: Time,
})

const NewApp = Type.Object(
  { name: AppName, title: Type.Optional(KeptText({ minLength: 1, maxLength: 200 })) },
  { additionalProperties: false },
)
const AppQuery = Type.Object(paging, { additionalProperties: false })

export function appRoutes(server: FastifyInstance, { directory, cursors, store, now }: Context): void {
  server.get<{ Querystring: Static<typeof AppQuery> }>(
    "/v1/apps",
    {
      schema: {
        operationId: "listApps",
        summary: "Lists the project's apps",
        tags: ["apps"],
        querystring: AppQuery,
        response: responses({ 200: Page(AppView) }, 400, 401, 422),
      },
    },
    async request => {
      const { project } = keyOf(request)
      const { limit = 50, cursor } = request.query
      const [before = Number.MAX_SAFE_INTEGER] = cursors.read("apps", cursor) ?? []
      const older = directory
        .apps(project)
        .filter(app => app.id < before)
        .sort((a, b) => b.id - a.id)
      const page = older.slice(0, limit)
      const last = page.at(-1)
      return {
        data: page.map(viewOf),
        next_cursor: older.length > limit && last !== undefined ? cursors.write("apps", last.id) : null,
      }
    },
  )

  server.post<{ Body: Static<typeof NewApp> }>(
    "/v1/apps",
    {
      schema: {
        operationId: "createApp",
        summary: "Makes an app, or gives the one with that name",
        tags: ["apps"],
        body: NewApp,
        response: responses({ 201: AppView }, 400, 401, 413, 415, 422, 503),
      },
    },
    async (request, reply) => {
      const { project } = keyOf(request)
      const { name, title } = request.body
      const app = await directory.saveApp({
        id: store.ids.next(),
        project,
        name,
        title: title ?? null,
        createdAt: now(),
      })
      return reply.code(201).send(viewOf(app))
    },
  )
}

function viewOf(app: App): Static<typeof AppView> {
  return { id: formatId("app", app.id), name: app.name, title: app.title, created_at: timeText(app.createdAt) }
}
