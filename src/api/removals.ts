/**
 * Removing a project. It is closed at once: its keys and sessions open nothing any more, nothing is taken in for it and nothing
 * is sent. Then a job takes all of it away, which may last. Since no key of the project's is left to ask with, how far it is
 * can be read by whoever has the token that this call gives: it opens nothing else, and names nothing of what was there.
 */
import type { FastifyInstance } from "fastify"
import { type Static, Type } from "typebox"
import { formatId } from "../domain/id.ts"
import { type ProjectRemoval, removalKey } from "../engine/remover.ts"
import { makerOf } from "../store/key-makers.ts"
import { countOwners, findMember } from "../store/people.ts"
import { findRemovalJob, type RemovalJob } from "../store/removal-jobs.ts"
import { actorOf, type Caller, callerOf } from "./access.ts"
import type { Context } from "./context.ts"
import { Problem } from "./problem.ts"
import { findProject, ProjectPath, viewOf as viewOfProject } from "./projects.ts"
import { KeptText, Nullable, responses, Time, timeText } from "./schemas.ts"

const RemovalView = Type.Object({
  project: Type.String(),
  state: Type.Enum(["removing", "done"]),
  removing: Nullable(Type.String(), "What goes just now, by the name of its table."),
  removed: Type.Record(Type.String(), Type.Integer(), { description: "How many rows have gone, by table." }),
  created_at: Time,
  finished_at: Nullable(Time),
})
const NewRemovalView = Type.Object({
  ...RemovalView.properties,
  token: Type.String({
    description: "How far it is can be read with `GET /v1/removals/<token>`. It is shown this once.",
  }),
})
const Confirmation = Type.Object(
  { name: KeptText({ minLength: 1, maxLength: 200, description: "The project's name, so that it is the right one." }) },
  { additionalProperties: false },
)
type Confirmation = Static<typeof Confirmation>
const RemovalPath = Type.Object({ token: Type.String() })

export function removalRoutes(server: FastifyInstance, context: Context): void {
  const { remover, store } = context
  server.delete<{ Params: ProjectPath; Body: Confirmation }>(
    "/v1/projects/:id",
    {
      config: { scope: "admin" },
      schema: {
        operationId: "removeProject",
        summary: "Removes a project with all that is in it, for good",
        description:
          "Asks for the scope `admin`; of people only an owner may, and of keys those that an owner or the operator has made. The project is closed at once; then all of it is taken away. Nothing brings it back but a backup. The last project cannot be removed.",
        tags: ["projects"],
        params: ProjectPath,
        body: Confirmation,
        response: responses({ 202: NewRemovalView }, 400, 401, 404, 409, 413, 415, 422, 503),
      },
    },
    async (request, reply) => {
      const caller = callerOf(request)
      const project = findProject(context, caller.project, request.params.id)
      if (!(await mayRemove(context, caller)))
        throw new Problem("forbidden", refusals[caller.key === null ? "person" : "key"])
      if (request.body.name !== project.name) {
        const message = `This project is called ${JSON.stringify(project.name)}. Give its name to show that you mean it.`
        throw new Problem("invalid", message, { errors: [{ pointer: "/name", message }] })
      }
      const before = JSON.stringify(viewOfProject(project))
      const begun = await remover.removeProject({ project: project.id, by: actorOf(request), before })
      switch (begun.kind) {
        case "last":
          throw new Problem(
            "conflict",
            "This is the only project. Make another one first (POST /v1/projects): without any, Waybill would begin anew at its next start.",
          )
        case "gone":
          throw new Problem("unauthorized", "The project has been removed, and its keys with it.")
        case "begun":
          return reply.code(202).send({ ...viewOf(begun.job), token: begun.token })
      }
    },
  )

  server.get<{ Params: Static<typeof RemovalPath> }>(
    "/v1/removals/:token",
    {
      config: { public: true },
      schema: {
        operationId: "getRemoval",
        summary: "Shows how far the removal of a project is",
        description: "Asks for no credential but the token that the removal was answered with.",
        tags: ["projects"],
        params: RemovalPath,
        response: responses({ 200: RemovalView }, 404),
      },
    },
    async request => {
      const job = await findRemovalJob(store.db, removalKey(request.params.token))
      if (job === undefined) throw new Problem("not_found", "There is no removal with this token.")
      return viewOf(job)
    },
  )
}

const refusals = {
  person: "Only an owner removes a project.",
  key: "Only an owner removes a project that has one, and whoever made this key is none. Ask one of them.",
} as const

/** Whether a caller may remove its project: an owner, whose keys stand for them; where there is none, any that may do everything. */
async function mayRemove({ store }: Context, { project, person, key }: Caller): Promise<boolean> {
  if (person !== null) return person.role === "owner"
  if (key === null || (await countOwners(store.reads, project)) === 0) return true
  const maker = await makerOf(store.reads, key)
  if (maker.kind !== "person") return maker.kind === "operator"
  return (await findMember(store.reads, project, maker.person))?.role === "owner"
}

function viewOf({ cursor, state, removed, createdAt, updatedAt }: RemovalJob): Static<typeof RemovalView> {
  const { project, table } = JSON.parse(cursor) as ProjectRemoval
  return {
    project: formatId("prj", project),
    state: state === "done" ? "done" : "removing",
    removing: table,
    removed: { ...removed },
    created_at: timeText(createdAt),
    finished_at: timeText(state === "done" ? updatedAt : null),
  }
}
