/** `/v1/api-keys`: keys of a project. A key is shown once, when it is made. */
import type { FastifyInstance } from "fastify"
import { type Static, Type } from "typebox"
import { formatId, parseId } from "../domain/id.ts"
import { parseTime } from "../domain/rfc3339.ts"
import { type ApiKey, generateKey, insertKey, listKeys, revokeKey } from "../store/keys.ts"
import { actorOf, type Context, keyOf } from "./context.ts"
import { notFound, Problem } from "./problem.ts"
import { KeptText, Nullable, Page, paging, responses, Time, timeText } from "./schemas.ts"

const KeyView = Type.Object({
  id: Type.String(),
  name: Type.String(),
  prefix: Type.String(),
  last4: Type.String(),
  created_at: Time,
  expires_at: Nullable(Time),
  revoked_at: Nullable(Time),
  last_used_at: Nullable(Time),
  last_event_at: Nullable(Type.String({ description: "When it last sent an event, to a few seconds." })),
})
const NewKey = Type.Object(
  {
    name: KeptText({ minLength: 1, maxLength: 200 }),
    expires_at: Type.Optional(Nullable(Type.String({ format: "date-time" }))),
  },
  {
    additionalProperties: false,
    "x-not-yet": { scopes: "Scopes are not built yet: every key may do everything in its project." },
  },
)
const KeyPath = Type.Object({ id: Type.String({ maxLength: 64 }) })
const ListQuery = Type.Object(paging, { additionalProperties: false })

export function apiKeyRoutes(server: FastifyInstance, { store, keyring, changes, cursors, now }: Context): void {
  server.get<{ Querystring: Static<typeof ListQuery> }>(
    "/v1/api-keys",
    {
      schema: {
        operationId: "listApiKeys",
        summary: "Lists the project's API keys",
        tags: ["API keys"],
        querystring: ListQuery,
        response: responses({ 200: Page(KeyView) }, 400, 401, 422),
      },
    },
    async request => {
      const { limit = 50, cursor } = request.query
      const [before = Number.MAX_SAFE_INTEGER] = cursors.read("api-keys", cursor) ?? []
      await keyring.flush()
      const keys = await listKeys(store.reads, keyOf(request).project, before, limit + 1)
      const page = keys.slice(0, limit)
      const last = page.at(-1)
      return {
        data: page.map(viewOf),
        next_cursor: keys.length > limit && last !== undefined ? cursors.write("api-keys", last.id) : null,
      }
    },
  )

  server.post<{ Body: Static<typeof NewKey> }>(
    "/v1/api-keys",
    {
      schema: {
        operationId: "createApiKey",
        summary: "Makes an API key; it is shown this once",
        tags: ["API keys"],
        body: NewKey,
        response: responses(
          { 201: Type.Object({ ...KeyView.properties, key: Type.String() }) },
          400,
          401,
          413,
          415,
          422,
          503,
        ),
      },
    },
    async (request, reply) => {
      const { project } = keyOf(request)
      const { name, expires_at = null } = request.body
      // A leap second passes the schema and is a time; Date.parse knows none.
      const expiresAt = expires_at === null ? null : (parseTime(expires_at) ?? Number.NaN)
      const at = now()
      if (expiresAt !== null && !(expiresAt > at)) {
        const message = "`expires_at` must be a time in the future, such as 2027-01-31T00:00:00Z."
        throw new Problem("invalid", message, { errors: [{ pointer: "/expires_at", message }] })
      }
      const secret = generateKey()
      const id = store.ids.next()
      const by = actorOf(request)
      const change = { project, kind: "api_key.created", subject: formatId("key", id), by }
      await changes.together(change, tx =>
        insertKey(tx, { id, project, name, secret, scopes: ["admin"], at, expiresAt, createdBy: by.id }),
      )
      keyring.forget()
      const key: ApiKey = {
        id,
        project,
        name,
        prefix: secret.slice(0, 8),
        last4: secret.slice(-4),
        scopes: ["admin"],
        createdAt: at,
        expiresAt,
        revokedAt: null,
        lastUsedAt: null,
        lastEventAt: null,
      }
      return reply.code(201).send({ ...viewOf(key), key: secret })
    },
  )

  server.delete<{ Params: Static<typeof KeyPath> }>(
    "/v1/api-keys/:id",
    {
      schema: {
        operationId: "revokeApiKey",
        summary: "Revokes an API key, at once",
        tags: ["API keys"],
        params: KeyPath,
        response: responses({ 200: KeyView }, 400, 401, 404, 409, 413, 415, 422, 503),
      },
    },
    async request => {
      const own = keyOf(request)
      const id = parseId("key", request.params.id)
      if (id === undefined) throw notFound("API key", request.params.id)
      if (id === own.id) {
        throw new Problem(
          "conflict",
          "This request came with the very key that it would revoke. Use another key for it.",
        )
      }
      const change = { project: own.project, kind: "api_key.revoked", subject: request.params.id, by: actorOf(request) }
      const revoked = await changes.together(change, async tx => {
        const key = await revokeKey(tx, own.project, id, now())
        if (key === undefined) throw notFound("API key", request.params.id)
        return key
      })
      keyring.forget()
      return viewOf(revoked)
    },
  )
}

function viewOf(key: ApiKey): Static<typeof KeyView> {
  return {
    id: formatId("key", key.id),
    name: key.name,
    prefix: key.prefix,
    last4: key.last4,
    created_at: timeText(key.createdAt),
    expires_at: timeText(key.expiresAt),
    revoked_at: timeText(key.revokedAt),
    last_used_at: timeText(key.lastUsedAt),
    last_event_at: timeText(key.lastEventAt),
  }
}
