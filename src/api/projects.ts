/**
 * `/v1/projects`: the project of the key, its settings, and how a further project is made.
 *
 * A key sees and changes its own project only: which one that is comes from the key, never from the request, and every
 * other reads as one that does not exist (API-10). The list is a list for that reason of form only: it holds that one.
 *
 * Making a project is the one call that reaches beyond the key's own, and it reaches nothing that is there: what it makes
 * is empty, and comes with a key of its own, shown once, since no other key will ever open it. The maker has no part in it
 * afterwards. So it asks for a key with the scope `admin`, and stands in the history of the maker's project, where who
 * made it means something.
 */
import type { FastifyInstance } from "fastify"
import { type Static, Type } from "typebox"
import { formatId, parseId } from "../domain/id.ts"
import { ADDRESS_PATTERN, MAX_ADDRESS_CHARACTERS } from "../domain/mail-address.ts"
import { generateKey } from "../store/keys.ts"
import { freshProject, listProjects, makeProject, type Project, saveProject } from "../store/projects.ts"
import { actorOf, type Context, keyOf } from "./context.ts"
import { notFound, Problem } from "./problem.ts"
import { KeptText, Page, responses, Time, timeText } from "./schemas.ts"

const payloadClasses = [1, 3, 7, 14, 30] as const

const ProjectView = Type.Object({
  id: Type.String(),
  name: Type.String(),
  strict_types: Type.Boolean({ description: "Unknown event types, and data that breaks its schema, are refused." }),
  strict_apps: Type.Boolean({ description: "Apps are made by hand only." }),
  payload_days: Type.Integer({ description: "How long payloads of new events and exchanges are kept." }),
  alert_emails: Type.Array(Type.String(), {
    description: "Who is told by mail when an integration fails for long or is switched off, where mail is set up.",
  }),
  created_at: Time,
})
const Name = KeptText({ minLength: 1, maxLength: 200 })
const settings = {
  strict_types: Type.Optional(Type.Boolean()),
  strict_apps: Type.Optional(Type.Boolean()),
  payload_days: Type.Optional(Type.Enum([...payloadClasses])),
  alert_emails: Type.Optional(
    Type.Array(
      Type.String({
        maxLength: MAX_ADDRESS_CHARACTERS,
        pattern: ADDRESS_PATTERN,
        "x-hint": "must be a mail address, such as ops@shop.example, without a name",
      }),
      { maxItems: 20, uniqueItems: true, description: "At most 20 addresses. An empty list tells nobody." },
    ),
  ),
}
const bodyOptions = { additionalProperties: false }
const NewProject = Type.Object({ name: Name, ...settings }, bodyOptions)
type NewProject = Static<typeof NewProject>
const ProjectPatch = Type.Object({ name: Type.Optional(Name), ...settings }, bodyOptions)
type ProjectPatch = Static<typeof ProjectPatch>
const NewProjectView = Type.Object({
  ...ProjectView.properties,
  key: Type.String({ description: "The project's first API key. It is shown this once." }),
})
const ProjectPath = Type.Object({ id: Type.String({ maxLength: 64 }) })
type ProjectPath = Static<typeof ProjectPath>

export function projectRoutes(server: FastifyInstance, context: Context): void {
  const { store, directory, changes, now } = context
  server.get(
    "/v1/projects",
    {
      schema: {
        operationId: "listProjects",
        summary: "Lists the project that the key belongs to",
        tags: ["projects"],
        response: responses({ 200: Page(ProjectView) }, 401),
      },
    },
    async request => {
      const project = directory.project(keyOf(request).project)
      return { data: project === undefined ? [] : [viewOf(project)], next_cursor: null }
    },
  )

  server.post<{ Body: NewProject }>(
    "/v1/projects",
    {
      schema: {
        operationId: "createProject",
        summary: "Makes a further project with its first API key, which is shown this once",
        description:
          "Asks for a key with the scope `admin`, which every key has so far. The project that it makes is reached with its own keys only, not with the one that made it.",
        tags: ["projects"],
        body: NewProject,
        response: responses({ 201: NewProjectView }, 400, 401, 403, 413, 415, 422, 503),
      },
    },
    async (request, reply) => {
      const own = keyOf(request)
      if (!own.scopes.includes("admin")) {
        throw new Problem("forbidden", "This API key lacks the scope admin, which making a project needs.")
      }
      const { body } = request
      const project = patched({ ...freshProject, id: store.ids.next(), name: body.name, createdAt: now() }, body)
      const view = viewOf(project)
      const secret = generateKey()
      const by = actorOf(request)
      const key = { id: store.ids.next(), secret, createdBy: by.id }
      const change = { project: own.project, kind: "project.created", subject: view.id, by, facts: { ...body } }
      await changes.together(change, tx => makeProject(tx, project, key))
      await directory.reloadProject(project.id)
      return reply.code(201).send({ ...view, key: secret })
    },
  )

  const find = (own: number, id: string): Project => {
    const parsed = parseId("prj", id)
    const project = parsed === own ? directory.project(own) : undefined
    if (project === undefined) throw notFound("project", id)
    return project
  }

  server.get<{ Params: ProjectPath }>(
    "/v1/projects/:id",
    {
      schema: {
        operationId: "getProject",
        summary: "Shows a project",
        tags: ["projects"],
        params: ProjectPath,
        response: responses({ 200: ProjectView }, 401, 404, 422),
      },
    },
    async request => viewOf(find(keyOf(request).project, request.params.id)),
  )

  server.patch<{ Params: ProjectPath; Body: ProjectPatch }>(
    "/v1/projects/:id",
    {
      schema: {
        operationId: "changeProject",
        summary: "Changes a project's settings",
        tags: ["projects"],
        consumes: ["application/merge-patch+json", "application/json"],
        params: ProjectPath,
        body: ProjectPatch,
        response: responses({ 200: ProjectView }, 400, 401, 404, 413, 415, 422, 503),
      },
    },
    async request => {
      const { id } = find(keyOf(request).project, request.params.id)
      const facts = { ...request.body }
      const change = { project: id, kind: "project.updated", subject: request.params.id, by: actorOf(request), facts }
      await changes.together(change, async tx => {
        // Read in the transaction that saves: of two changes at a time none is lost.
        for (const before of await listProjects(tx)) {
          if (before.id === id) await saveProject(tx, patched(before, request.body))
        }
      })
      await directory.reloadProject(id)
      return viewOf(find(id, request.params.id))
    },
  )
}

function patched(
  before: Project,
  { name, strict_types, strict_apps, payload_days, alert_emails }: ProjectPatch,
): Project {
  return {
    ...before,
    name: name ?? before.name,
    strictTypes: strict_types ?? before.strictTypes,
    strictApps: strict_apps ?? before.strictApps,
    payloadDays: payload_days ?? before.payloadDays,
    alertEmails: alert_emails ?? before.alertEmails,
  }
}

function viewOf(project: Project): Static<typeof ProjectView> {
  return {
    id: formatId("prj", project.id),
    name: project.name,
    strict_types: project.strictTypes,
    strict_apps: project.strictApps,
    payload_days: project.payloadDays,
    alert_emails: [...project.alertEmails],
    created_at: timeText(project.createdAt),
  }
}
