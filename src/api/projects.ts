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
import type { FastifyInstance, FastifyRequest } from "fastify"
import { type Static, Type } from "typebox"
import { formatId, type ProjectId, parseId } from "../domain/id.ts"
import { ADDRESS_PATTERN, MAX_ADDRESS_CHARACTERS } from "../domain/mail-address.ts"
import { COLOR_PATTERN, FRAME_ORIGIN_PATTERN, noPortal, type Portal } from "../domain/portal.ts"
import { generateKey } from "../store/keys.ts"
import { saveMembership } from "../store/people.ts"
import { freshProject, listProjects, makeProject, type Project, saveProject } from "../store/projects.ts"
import { actorOf, callerOf, may } from "./access.ts"
import type { Context } from "./context.ts"
import { assertMatch, IfMatchHeaders, IfNoneMatchHeaders, NotModified, sendTagged, tagOf } from "./etag.ts"
import { PrivateFieldList } from "./private-fields.ts"
import { notFound } from "./problem.ts"
import { MaxRequests } from "./rate-limit.ts"
import { sendJson } from "./raw-json.ts"
import { RepeatableHeaders } from "./repeats.ts"
import { KeptText, Nullable, Page, responses, Time, timeText } from "./schemas.ts"

const payloadClasses = [1, 3, 7, 14, 30] as const

const PortalSettings = Type.Object(
  {
    name: Type.Optional(
      Nullable(KeptText({ minLength: 1, maxLength: 60 }), "The owner's name at its top; null: that of the project."),
    ),
    color: Type.Optional(
      Nullable(
        Type.String({
          pattern: COLOR_PATTERN,
          "x-hint": "must be a colour as #rrggbb, such as #0b5fff",
          examples: ["#0b5fff"],
        }),
        "The owner's colour; null: Waybill's.",
      ),
    ),
    frame_origins: Type.Optional(
      Type.Array(
        Type.String({
          maxLength: 300,
          pattern: FRAME_ORIGIN_PATTERN,
          "x-hint":
            "must be an origin such as https://app.shop.example: https, in small letters, without a path or a `*` (http for localhost and 127.0.0.1 alone)",
        }),
        {
          maxItems: 20,
          uniqueItems: true,
          description: "Pages of these origins may hold the portal in a frame; an empty list: none may.",
        },
      ),
    ),
  },
  {
    additionalProperties: false,
    description: "What its portal looks like, and who may frame it. What is left out stays as it is.",
  },
)

const ProjectView = Type.Object({
  id: Type.String(),
  name: Type.String(),
  strict_types: Type.Boolean({ description: "Unknown event types, and data that breaks its schema, are refused." }),
  strict_apps: Type.Boolean({ description: "Apps are made by hand only." }),
  payload_days: Type.Integer({ description: "How long payloads of new events and exchanges are kept." }),
  alert_emails: Nullable(
    Type.Array(Type.String()),
    "Who is told by mail when an integration fails for long or is switched off, where mail is set up. null without the scope `integrations:read`.",
  ),
  private_fields: Type.Array(Type.String(), {
    description: "JSON pointers into `data` of its events, whose values receivers get and readers never see.",
  }),
  max_requests_per_minute: Nullable(Type.Integer(), "Of all its keys together; null: any number."),
  portal: Type.Object(
    {
      name: Nullable(Type.String()),
      color: Nullable(Type.String({ examples: ["#0b5fff"] })),
      frame_origins: Type.Array(Type.String()),
    },
    { description: "What its portal looks like, and who may frame it." },
  ),
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
  private_fields: PrivateFieldList,
  max_requests_per_minute: MaxRequests(
    "Of all its keys together; null: any number. People who are signed in are not counted.",
  ),
  portal: Type.Optional(Nullable(PortalSettings, "null: as in a new project.")),
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
export const ProjectPath = Type.Object({ id: Type.String({ maxLength: 64 }) })
export type ProjectPath = Static<typeof ProjectPath>

/** The caller's own project, if the id is its; every other reads as one that does not exist. */
export function findProject({ directory }: Pick<Context, "directory">, own: ProjectId, id: string): Project {
  const project = parseId("prj", id) === own ? directory.project(own) : undefined
  if (project === undefined) throw notFound("project", id)
  return project
}

export function projectRoutes(server: FastifyInstance, context: Context): void {
  const { store, directory, changes, repeats, now } = context
  server.get(
    "/v1/projects",
    {
      config: { scope: "any" },
      schema: {
        operationId: "listProjects",
        summary: "Lists the project that the key belongs to",
        tags: ["projects"],
        response: responses({ 200: Page(ProjectView) }, 401),
      },
    },
    async request => {
      const project = directory.project(callerOf(request).project)
      return { data: project === undefined ? [] : [viewFor(request, project)], next_cursor: null }
    },
  )

  server.post<{ Body: NewProject }>(
    "/v1/projects",
    {
      config: { scope: "admin" },
      schema: {
        operationId: "createProject",
        summary: "Makes a further project with its first API key, which is shown this once",
        description:
          "Asks for the scope `admin`. The project that it makes is reached with its own keys only, not with the one that made it.",
        tags: ["projects"],
        headers: RepeatableHeaders,
        body: NewProject,
        response: responses({ 201: NewProjectView }, 400, 401, 403, 409, 413, 415, 422, 503),
      },
    },
    async (request, reply) => {
      const own = callerOf(request)
      const { body } = request
      return repeats.carryOut(request, reply, async keep => {
        const project = patched({ ...freshProject, id: store.ids.next(), name: body.name, createdAt: now() }, body)
        const view = viewOf(project)
        const secret = generateKey()
        const by = actorOf(request)
        const key = { id: store.ids.next(), secret, createdBy: by.id }
        const told = { status: 201, text: JSON.stringify({ ...view, key: secret }) }
        const after = JSON.stringify(view)
        const change = {
          project: own.project,
          kind: "project.created",
          subject: view.id,
          by,
          facts: { ...body },
          after,
        }
        await changes.together(change, async tx => {
          await makeProject(tx, project, key)
          // A person who makes one is its owner; a key has no part in it afterwards.
          const person = own.person?.id
          if (person !== undefined) {
            await saveMembership(tx, { project: project.id, person, role: "owner", createdAt: project.createdAt })
          }
          await keep(tx, told)
        })
        await directory.reloadProject(project.id)
        return told
      })
    },
  )

  const find = (own: ProjectId, id: string): Project => findProject(context, own, id)

  server.get<{ Params: ProjectPath }>(
    "/v1/projects/:id",
    {
      config: { scope: "any" },
      schema: {
        operationId: "getProject",
        summary: "Shows a project",
        tags: ["projects"],
        params: ProjectPath,
        headers: IfNoneMatchHeaders,
        response: responses({ 200: ProjectView, 304: NotModified }, 400, 401, 404, 422),
      },
    },
    async (request, reply) => {
      const text = JSON.stringify(viewFor(request, find(callerOf(request).project, request.params.id)))
      return sendTagged(request, reply, tagOf(text), text)
    },
  )

  server.patch<{ Params: ProjectPath; Body: ProjectPatch }>(
    "/v1/projects/:id",
    {
      config: { scope: "admin" },
      schema: {
        operationId: "changeProject",
        summary: "Changes a project's settings",
        tags: ["projects"],
        consumes: ["application/merge-patch+json", "application/json"],
        params: ProjectPath,
        headers: IfMatchHeaders,
        body: ProjectPatch,
        response: responses({ 200: ProjectView }, 400, 401, 404, 412, 413, 415, 422, 503),
      },
    },
    async (request, reply) => {
      const { id } = find(callerOf(request).project, request.params.id)
      const facts = { ...request.body }
      const change = { project: id, kind: "project.updated", subject: request.params.id, by: actorOf(request), facts }
      await changes.together(change, async (tx, say) => {
        // Read in the transaction that saves: of two changes at a time none is lost.
        for (const stood of await listProjects(tx)) {
          if (stood.id !== id) continue
          const before = JSON.stringify(viewOf(stood))
          assertMatch(request, tagOf(before))
          const project = patched(stood, request.body)
          await saveProject(tx, project)
          say({ before, after: JSON.stringify(viewOf(project)) })
        }
      })
      await directory.reloadProject(id)
      const text = JSON.stringify(viewOf(find(id, request.params.id)))
      return sendJson(reply.header("etag", tagOf(text)), 200, text)
    },
  )
}

function patched(
  before: Project,
  {
    name,
    strict_types,
    strict_apps,
    payload_days,
    alert_emails,
    private_fields,
    max_requests_per_minute,
    portal,
  }: ProjectPatch,
): Project {
  return {
    ...before,
    name: name ?? before.name,
    strictTypes: strict_types ?? before.strictTypes,
    strictApps: strict_apps ?? before.strictApps,
    payloadDays: payload_days ?? before.payloadDays,
    alertEmails: alert_emails ?? before.alertEmails,
    privateFields: private_fields ?? before.privateFields,
    maxRequestsPerMinute: max_requests_per_minute === undefined ? before.maxRequestsPerMinute : max_requests_per_minute,
    portal: portal === undefined ? before.portal : portal === null ? noPortal : portalWith(before.portal, portal),
  }
}

function portalWith(before: Portal, { name, color, frame_origins }: Static<typeof PortalSettings>): Portal {
  return {
    name: name === undefined ? before.name : name,
    color: color === undefined ? before.color : (color?.toLowerCase() ?? null),
    frameOrigins: frame_origins ?? before.frameOrigins,
  }
}

/** The same for a caller: whose addresses are told is for those who read the configuration. */
function viewFor(request: FastifyRequest, project: Project): Static<typeof ProjectView> {
  const view = viewOf(project)
  return may(request, "integrations:read") ? view : { ...view, alert_emails: null }
}

/** A project as it is shown. */
export function viewOf(project: Project): Static<typeof ProjectView> {
  return {
    id: formatId("prj", project.id),
    name: project.name,
    strict_types: project.strictTypes,
    strict_apps: project.strictApps,
    payload_days: project.payloadDays,
    alert_emails: [...project.alertEmails],
    private_fields: [...project.privateFields],
    max_requests_per_minute: project.maxRequestsPerMinute,
    portal: {
      name: project.portal.name,
      color: project.portal.color,
      frame_origins: [...project.portal.frameOrigins],
    },
    created_at: timeText(project.createdAt),
  }
}
