/** `/v1/apps`: the applications and device products of a project. */
import type { FastifyInstance } from "fastify"
import { type Static, Type } from "typebox"
import { formatId } from "../domain/id.ts"
import type { Note } from "../engine/changes.ts"
import type { Actor } from "../store/changes.ts"
import type { Database } from "../store/database.ts"
import { type App, findApp, saveApp } from "../store/projects.ts"
import { actorOf, callerOf } from "./access.ts"
import type { Context } from "./context.ts"
import { RepeatableHeaders } from "./repeats.ts"
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

export function appRoutes(server: FastifyInstance, context: Context): void {
  const { directory, changes, repeats, cursors, store, now } = context
  server.get<{ Querystring: Static<typeof AppQuery> }>(
    "/v1/apps",
    {
      config: { scope: "events:read" },
      schema: {
        operationId: "listApps",
        summary: "Lists the project's apps",
        tags: ["apps"],
        querystring: AppQuery,
        response: responses({ 200: Page(AppView) }, 400, 401, 422),
      },
    },
    async request => {
      const { project, limits } = callerOf(request)
      const { limit = 50, cursor } = request.query
      const [before = Number.MAX_SAFE_INTEGER] = cursors.read(request, "apps", cursor) ?? []
      const older = directory
        .apps(project)
        .filter(app => app.id < before && (limits.app === null || app.id === limits.app))
        .sort((a, b) => b.id - a.id)
      const page = older.slice(0, limit)
      const last = page.at(-1)
      return {
        data: page.map(viewOf),
        next_cursor: older.length > limit && last !== undefined ? cursors.write(request, "apps", last.id) : null,
      }
    },
  )

  server.post<{ Body: Static<typeof NewApp> }>(
    "/v1/apps",
    {
      config: { scope: "integrations:write" },
      schema: {
        operationId: "createApp",
        summary: "Makes an app, or gives the one with that name",
        tags: ["apps"],
        headers: RepeatableHeaders,
        body: NewApp,
        response: responses({ 201: AppView }, 400, 401, 409, 413, 415, 422, 503),
      },
    },
    async (request, reply) => {
      const { project } = callerOf(request)
      const { name, title = null } = request.body
      return repeats.carryOut(request, reply, async keep => {
        const made: App = { id: store.ids.next(), project, name, title, createdAt: now() }
        const { app, told } = await changes.inTransaction(async (tx, note) => {
          const stood = await findApp(tx, project, name)
          const saved = await saveApp(tx, made)
          const answer = { status: 201, text: JSON.stringify(viewOf(saved)) }
          const change = { project, subject: formatId("app", saved.id), by: actorOf(request), after: answer.text }
          if (stood === undefined) await note({ ...change, kind: "app.created" })
          else if (stood.title !== saved.title) {
            await note({ ...change, kind: "app.updated", before: JSON.stringify(viewOf(stood)) })
          }
          await keep(tx, answer)
          return { app: saved, told: answer }
        })
        directory.rememberApp(app)
        return told
      })
    },
  )
}

/**
 * The app with this name, in the transaction of what names it: it is made and noted where there is none. Say `rememberApp`
 * to the directory when the transaction stands.
 */
export async function appNamed(tx: Database, note: Note, app: Omit<App, "title">, by: Actor): Promise<App> {
  const { project, name } = app
  const stood = await findApp(tx, project, name)
  if (stood !== undefined) return stood
  const made = await saveApp(tx, { ...app, title: null })
  await note({
    project,
    kind: "app.created",
    subject: formatId("app", made.id),
    by,
    after: JSON.stringify(viewOf(made)),
  })
  return made
}

function viewOf(app: App): Static<typeof AppView> {
  return { id: formatId("app", app.id), name: app.name, title: app.title, created_at: timeText(app.createdAt) }
}
