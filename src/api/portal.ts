/**
 * The portal: tokens with which a customer's own users see one app, and what its page asks for first. A token is an API key
 * of a kind of its own, so that it is found, limited and revoked as one; it gives no more than its maker has.
 */
import type { FastifyInstance } from "fastify"
import { type Static, Type } from "typebox"
import { formatId, parseId } from "../domain/id.ts"
import { holdsLimits } from "../domain/limits.ts"
import {
  portalRightNames,
  portalRights,
  rightsOf,
  TOKEN_REQUESTS_PER_MINUTE,
  tokenSeconds,
  usualRights,
} from "../domain/portal.ts"
import { generatePortalToken, insertKey, readKey, revokeKey } from "../store/keys.ts"
import { actorOf, callerOf } from "./access.ts"
import { earlierEnd, limitsWithin, scopesWithin } from "./api-key-rights.ts"
import { appOf } from "./api-keys.ts"
import { AppName } from "./apps.ts"
import type { Context } from "./context.ts"
import { notFound, Problem } from "./problem.ts"
import { Environment, Nullable, responses, Time, timeText } from "./schemas.ts"

const Right = Type.Enum([...portalRightNames])

const NewToken = Type.Object(
  {
    app: AppName,
    environment: Type.Optional(Environment),
    expires_in: Type.Optional(
      Type.Integer({
        minimum: tokenSeconds.least,
        maximum: tokenSeconds.most,
        default: tokenSeconds.usual,
        description: "How many seconds it is good; never longer than the key that asks for it.",
      }),
    ),
    may: Type.Optional(
      Type.Array(Right, {
        minItems: 1,
        maxItems: portalRightNames.length,
        uniqueItems: true,
        default: [...usualRights],
        description:
          "`events`: sees events and deliveries; `payloads`: with what they hold, requests and answers; `integrations`: sees the app's own integrations; `replay`: tries a delivery again.",
      }),
    ),
  },
  { additionalProperties: false },
)
type NewToken = Static<typeof NewToken>

const token = {
  id: Type.String({ examples: ["key_01j9zq4kx2m"] }),
  app: Type.String(),
  environment: Nullable(Environment, "null: both."),
  may: Type.Array(Right),
  expires_at: Time,
}
const NewTokenView = Type.Object({
  ...token,
  token: Type.String({ description: "The token itself. It is shown this once." }),
  url: Type.String({
    description: "The page to put into a frame; the token stands behind its `#`, which no server sees.",
  }),
})
const PortalView = Type.Object({
  project: Type.Object({ id: Type.String() }),
  name: Type.String({ description: "The owner's name: that of the portal, or else of the project." }),
  color: Nullable(Type.String({ examples: ["#0b5fff"] })),
  app: Type.Object({ name: Type.String(), title: Nullable(Type.String()) }),
  environment: token.environment,
  may: token.may,
  expires_at: Time,
})
const TokenPath = Type.Object({ id: Type.String({ maxLength: 64, examples: ["key_01j9zq4kx2m"] }) })

export function portalRoutes(server: FastifyInstance, context: Context): void {
  const { store, directory, keyring, changes, now } = context

  server.post<{ Body: NewToken }>(
    "/v1/portal-tokens",
    {
      config: { scope: "portal" },
      schema: {
        operationId: "createPortalToken",
        summary: "Gives a token for the portal of an app; it is shown this once",
        description:
          "For your server, which asks for one for each of your users whom it shows the portal to. It gives no more than the credential has that asks for it. `DELETE /v1/portal-tokens/{id}` ends it early.",
        tags: ["portal"],
        body: NewToken,
        response: responses({ 201: NewTokenView }, 400, 401, 413, 415, 422, 503),
      },
    },
    async (request, reply) => {
      const caller = callerOf(request)
      const { project } = caller
      const { app, environment = null, expires_in = tokenSeconds.usual, may = usualRights } = request.body
      // Of other apps who is limited to one learns nothing, not even whether they are there.
      const asked = caller.limits.app === null ? appOf(directory, project, app) : (directory.appId(project, app) ?? 0)
      const limits = limitsWithin(caller, { app: asked, environment, source: null })
      const scopes = scopesWithin(
        caller,
        portalRightNames.filter(right => may.includes(right)).map(right => portalRights[right]),
        limits,
      )
      const at = now()
      const [id, secret, by] = [store.ids.next(), generatePortalToken(), actorOf(request)]
      const expiresAt = earlierEnd(at + expires_in * 1_000, caller) ?? at
      const view = {
        id: formatId("key", id),
        app,
        environment: limits.environment,
        may: [...rightsOf(scopes)],
        expires_at: timeText(expiresAt),
      }
      const change = { project, kind: "portal_token.created", subject: view.id, by, after: JSON.stringify(view) }
      await changes.together(change, async tx => {
        await insertKey(tx, {
          ...{ id, project, kind: "portal", name: `portal of ${app}`, secret, scopes, limits, at, expiresAt },
          maxRequestsPerMinute: TOKEN_REQUESTS_PER_MINUTE,
          createdBy: by.id,
        })
      })
      const url = `${context.publicUrl()}/portal/${formatId("prj", project)}#token=${secret}`
      return reply.code(201).send({ ...view, token: secret, url })
    },
  )

  server.delete<{ Params: Static<typeof TokenPath> }>(
    "/v1/portal-tokens/:id",
    {
      config: { scope: "portal" },
      schema: {
        operationId: "revokePortalToken",
        summary: "Ends a token of the portal, at once",
        description: "Pages that are open with it say so within 5 s.",
        tags: ["portal"],
        params: TokenPath,
        response: responses({ 204: Type.Null() }, 400, 401, 404, 413, 415, 422, 503),
      },
    },
    async (request, reply) => {
      const { project, limits } = callerOf(request)
      const { id: text } = request.params
      const change = { project, kind: "portal_token.revoked", subject: text, by: actorOf(request) }
      await changes.together(change, async tx => {
        const id = parseId("key", text)
        const found = id === undefined ? undefined : await readKey(tx, project, id)
        const isOwn = found?.kind === "portal" && holdsLimits(limits, found)
        if (found === undefined || !isOwn) throw notFound("token of the portal", text)
        await revokeKey(tx, project, found.id, now())
      })
      keyring.forget()
      return reply.code(204).send()
    },
  )

  server.get(
    "/v1/portal",
    {
      config: { scope: "any", portal: true },
      schema: {
        operationId: "getPortal",
        summary: "Says whose portal a token opens, for which app, what it may and until when",
        description: "For the token itself. Any other credential is none of a portal, and gets 404.",
        tags: ["portal"],
        response: responses({ 200: PortalView }, 401, 404),
      },
    },
    async request => {
      const { project: id, key, limits } = callerOf(request)
      const project = directory.project(id)
      const app = directory.apps(id).find(each => each.id === limits.app)
      if (key?.kind !== "portal" || project === undefined || app === undefined) {
        throw new Problem("not_found", "This credential is no token of a portal. POST /v1/portal-tokens gives one.")
      }
      const { name, color } = project.portal
      return {
        project: { id: formatId("prj", id) },
        name: name ?? project.name,
        color,
        app: { name: app.name, title: app.title },
        environment: limits.environment,
        may: [...rightsOf(key.scopes)],
        expires_at: timeText(key.expiresAt ?? now()),
      }
    },
  )
}
