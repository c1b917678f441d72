/**
 * `/v1/api-keys`: keys of a project, what each may do, and to what it is limited. A key is shown once, when it is made, and
 * gives no more than its maker has. Its rights stay what they are: for others there is another key.
 */
import type { FastifyInstance, FastifyReply, FastifyRequest } from "fastify"
import { type Static, Type } from "typebox"
import { formatId, type ProjectId, parseId } from "../domain/id.ts"
import { nearest } from "../domain/nearest.ts"
import { parseTime } from "../domain/rfc3339.ts"
import type { Directory } from "../engine/directory.ts"
import type { Database } from "../store/database.ts"
import { type ApiKey, changeKey, generateKey, insertKey, listKeys, readKey, revokeKey } from "../store/keys.ts"
import { actorOf, callerOf } from "./access.ts"
import { earlierEnd, expiryWithin, limitsWithin, scopesWithin } from "./api-key-rights.ts"
import { ChangedKey, KeyView, NewKey, NewKeyView, RotatedKeyView, RotateKey } from "./api-key-schemas.ts"
import type { Context } from "./context.ts"
import { assertMatch, IfMatchHeaders, IfNoneMatchHeaders, NotModified, sendTagged, tagOf } from "./etag.ts"
import { notFound, Problem } from "./problem.ts"
import { sendJson } from "./raw-json.ts"
import { RepeatableHeaders } from "./repeats.ts"
import { Page, paging, responses, timeText } from "./schemas.ts"

const KeyPath = Type.Object({ id: Type.String({ maxLength: 64, examples: ["key_01j9zq4kx2m"] }) })
type KeyPath = Static<typeof KeyPath>
const ListQuery = Type.Object(
  {
    ...paging,
    kind: Type.Optional(
      Type.Enum(["secret", "portal"], {
        default: "secret",
        description: "portal: tokens of the portal, up to a day after their end.",
      }),
    ),
  },
  { additionalProperties: false },
)

export function apiKeyRoutes(server: FastifyInstance, context: Context): void {
  listRoute(server, context)
  createRoute(server, context)
  readRoute(server, context)
  changeRoute(server, context)
  rotateRoute(server, context)
  revokeRoute(server, context)
}

function listRoute(server: FastifyInstance, { store, directory, keyring, cursors }: Context): void {
  server.get<{ Querystring: Static<typeof ListQuery> }>(
    "/v1/api-keys",
    {
      config: { scope: "admin" },
      schema: {
        operationId: "listApiKeys",
        summary: "Lists the project's API keys",
        tags: ["API keys"],
        querystring: ListQuery,
        response: responses({ 200: Page(KeyView) }, 400, 401, 422),
      },
    },
    async request => {
      const { limit = 50, cursor, kind = "secret" } = request.query
      const [before = Number.MAX_SAFE_INTEGER] = cursors.read(request, "api-keys", cursor) ?? []
      await keyring.flush()
      const keys = await listKeys(store.reads, callerOf(request).project, kind, { before, limit: limit + 1 })
      const page = keys.slice(0, limit)
      const last = page.at(-1)
      return {
        data: page.map(key => viewOf(key, directory)),
        next_cursor: keys.length > limit && last !== undefined ? cursors.write(request, "api-keys", last.id) : null,
      }
    },
  )
}

function createRoute(server: FastifyInstance, { store, directory, keyring, changes, repeats, now }: Context): void {
  server.post<{ Body: NewKey }>(
    "/v1/api-keys",
    {
      config: { scope: "admin" },
      schema: {
        operationId: "createApiKey",
        summary: "Makes an API key; it is shown this once",
        description:
          "With the scopes that it is given, `ingest` where none are named, and no more than its maker has: nor may it outlive a key that made it.",
        tags: ["API keys"],
        headers: RepeatableHeaders,
        body: NewKey,
        response: responses({ 201: NewKeyView }, 400, 401, 409, 413, 415, 422, 503),
      },
    },
    async (request, reply) =>
      repeats.carryOut(request, reply, async keep => {
        const caller = callerOf(request)
        const { project } = caller
        const { name, app, environment = null, source = null, expires_at, max_requests_per_minute } = request.body
        const limits = limitsWithin(caller, { app: appOf(directory, project, app ?? null), environment, source })
        const scopes = scopesWithin(caller, request.body.scopes ?? ["ingest"], limits)
        const expiresAt = expiryWithin(caller, readEnd(expires_at ?? null, now()), "/expires_at")
        const [id, secret, by] = [store.ids.next(), generateKey(limits.environment), actorOf(request)]
        const change = { project, kind: "api_key.created", subject: formatId("key", id), by }
        const told = await changes.together(change, async (tx, say) => {
          const made = await insertKey(tx, {
            ...{ id, project, name, secret, scopes, limits, expiresAt },
            maxRequestsPerMinute: max_requests_per_minute ?? null,
            at: now(),
            createdBy: by.id,
          })
          const view = viewOf(made, directory)
          say({ after: JSON.stringify(view) })
          const answer = { status: 201, text: JSON.stringify({ ...view, key: secret }) }
          await keep(tx, answer)
          return answer
        })
        keyring.forget()
        return told
      }),
  )
}

function readRoute(server: FastifyInstance, { store, directory, keyring }: Context): void {
  server.get<{ Params: KeyPath }>(
    "/v1/api-keys/:id",
    {
      config: { scope: "admin" },
      schema: {
        operationId: "getApiKey",
        summary: "Shows an API key, but for the key itself",
        tags: ["API keys"],
        params: KeyPath,
        headers: IfNoneMatchHeaders,
        response: responses({ 200: KeyView, 304: NotModified }, 400, 401, 404, 422),
      },
    },
    async (request, reply) => {
      await keyring.flush()
      const key = await find(store.reads, request)
      const text = JSON.stringify(viewOf(key, directory))
      return sendTagged(request, reply, tagOf(configurationOf(key, directory), text), text)
    },
  )
}

function changeRoute(server: FastifyInstance, { directory, keyring, changes, now }: Context): void {
  server.patch<{ Params: KeyPath; Body: ChangedKey }>(
    "/v1/api-keys/:id",
    {
      config: { scope: "admin" },
      schema: {
        operationId: "changeApiKey",
        summary: "Changes the name of an API key, its end, or how many requests it may make",
        description: "Its rights stay what they are: for others make another key. One that has ended stays ended.",
        tags: ["API keys"],
        consumes: ["application/merge-patch+json", "application/json"],
        params: KeyPath,
        headers: IfMatchHeaders,
        body: ChangedKey,
        response: responses({ 200: KeyView }, 400, 401, 404, 409, 412, 413, 415, 422, 503),
      },
    },
    async (request, reply) => {
      const { name, expires_at, max_requests_per_minute } = request.body
      const caller = callerOf(request)
      const change = {
        project: caller.project,
        kind: "api_key.updated",
        subject: request.params.id,
        by: actorOf(request),
      }
      const changed = await changes.together(change, async (tx, say) => {
        const key = await find(tx, request)
        assertMatch(request, tagOf(configurationOf(key, directory)))
        assertGood(key, now())
        const expiresAt =
          expires_at === undefined
            ? key.expiresAt
            : expiryWithin(caller, readEnd(expires_at, now()), "/expires_at", key.expiresAt)
        const maxRequestsPerMinute =
          max_requests_per_minute === undefined ? key.maxRequestsPerMinute : max_requests_per_minute
        const saved = await changeKey(tx, key, { name: name ?? key.name, expiresAt, maxRequestsPerMinute })
        if (saved === undefined) throw notFound("API key", request.params.id)
        say({ before: configurationOf(key, directory), after: configurationOf(saved, directory) })
        return saved
      })
      keyring.forget()
      const text = JSON.stringify(viewOf(changed, directory))
      return sendJson(reply.header("etag", tagOf(configurationOf(changed, directory), text)), 200, text)
    },
  )
}

function rotateRoute(server: FastifyInstance, { store, directory, keyring, changes, repeats, now }: Context): void {
  server.post<{ Params: KeyPath; Body: RotateKey }>(
    "/v1/api-keys/:id/rotate",
    {
      preValidation: async request => {
        if (request.body === undefined) request.body = {}
      },
      config: { scope: "admin" },
      schema: {
        operationId: "rotateApiKey",
        summary: "Makes a key with the same rights in place of another, which goes on for a while",
        description:
          "The new one is good at once and is shown this once. The old one ends by itself when its grace is over.",
        tags: ["API keys"],
        params: KeyPath,
        headers: RepeatableHeaders,
        body: Type.Optional(RotateKey),
        response: responses({ 201: RotatedKeyView }, 400, 401, 404, 409, 413, 415, 422, 503),
      },
    },
    async (request, reply) =>
      repeats.carryOut(request, reply, async keep => {
        const caller = callerOf(request)
        const { grace_seconds = 86_400, expires_at } = request.body
        const by = actorOf(request)
        const [id, at] = [store.ids.next(), now()]
        const change = { project: caller.project, kind: "api_key.rotated", subject: request.params.id, by }
        const told = await changes.together(change, async (tx, say) => {
          const old = await find(tx, request)
          assertGood(old, at)
          const limits = limitsWithin(caller, old)
          const scopes = scopesWithin(caller, old.scopes, limits)
          const expiresAt =
            expires_at === undefined
              ? earlierEnd(old.expiresAt, caller)
              : expiryWithin(caller, readEnd(expires_at, at), "/expires_at")
          const secret = generateKey(limits.environment)
          const { project, name, maxRequestsPerMinute } = old
          const made = await insertKey(tx, {
            ...{ id, project, name, secret, scopes, limits, maxRequestsPerMinute, expiresAt, at },
            createdBy: by.id,
          })
          const endsAt = Math.min(old.expiresAt ?? Number.MAX_SAFE_INTEGER, at + grace_seconds * 1_000)
          const ending = await changeKey(tx, old, { ...old, expiresAt: endsAt })
          if (ending === undefined) throw notFound("API key", request.params.id)
          const view = viewOf(made, directory)
          say({
            facts: { new: view.id, grace_seconds },
            before: configurationOf(old, directory),
            after: configurationOf(ending, directory),
          })
          const replaced = { id: request.params.id, expires_at: timeText(endsAt) }
          const answer = { status: 201, text: JSON.stringify({ ...view, key: secret, replaces: replaced }) }
          await keep(tx, answer)
          return answer
        })
        keyring.forget()
        return told
      }),
  )
}

function revokeRoute(server: FastifyInstance, { directory, keyring, changes, now }: Context): void {
  server.delete<{ Params: KeyPath }>(
    "/v1/api-keys/:id",
    {
      config: { scope: "admin" },
      schema: {
        operationId: "revokeApiKey",
        summary: "Revokes an API key, at once, and the tokens of the portal that it gave",
        tags: ["API keys"],
        params: KeyPath,
        headers: IfMatchHeaders,
        response: responses({ 200: KeyView }, 400, 401, 404, 409, 412, 413, 415, 422, 503),
      },
    },
    async (request, reply: FastifyReply) => {
      const own = callerOf(request)
      const { id: text } = request.params
      if (parseId("key", text) === own.key?.id && own.key !== null) {
        throw new Problem(
          "conflict",
          "This request came with the very key that it would revoke. Use another key for it.",
        )
      }
      const change = { project: own.project, kind: "api_key.revoked", subject: text, by: actorOf(request) }
      const revoked = await changes.inTransaction(async (tx, note) => {
        const stood = await find(tx, request)
        const before = configurationOf(stood, directory)
        assertMatch(request, tagOf(before))
        const key = await revokeKey(tx, own.project, stood.id, now())
        if (key === undefined) throw notFound("API key", text)
        // Once more changes nothing.
        if (stood.revokedAt === null) await note({ ...change, before, after: configurationOf(key, directory) })
        return key
      })
      keyring.forget()
      return reply.send(viewOf(revoked, directory))
    },
  )
}

/** The key that a path names; a 404 problem where the project has none of that id. */
async function find(db: Pick<Database, "query">, request: FastifyRequest<{ Params: KeyPath }>): Promise<ApiKey> {
  const id = parseId("key", request.params.id)
  const key = id === undefined ? undefined : await readKey(db, callerOf(request).project, id)
  if (key === undefined) throw notFound("API key", request.params.id)
  return key
}

/** One that was revoked or has expired is over: nothing brings it back. A token of the portal stays what it is. */
function assertGood(key: ApiKey, now: number): void {
  const { revokedAt, expiresAt } = key
  if (key.kind === "portal") {
    const detail = `${formatId("key", key.id)} is a token of the portal, and ends when it ends. Ask for another with POST /v1/portal-tokens.`
    throw new Problem("conflict", detail)
  }
  const ended = revokedAt !== null ? `was revoked at ${timeText(revokedAt)}` : `expired at ${timeText(expiresAt)}`
  if (revokedAt === null && (expiresAt === null || expiresAt > now)) return
  throw new Problem("conflict", `${formatId("key", key.id)} ${ended}, and stays so. Make a new key.`)
}

/** The app of a project that has a name; null where none is named. Throws a problem where there is none of it. */
export function appOf(directory: Directory, project: ProjectId, name: string | null): number | null {
  if (name === null) return null
  const id = directory.appId(project, name)
  if (id !== undefined) return id
  const known = directory.apps(project).map(app => app.name)
  const meant = nearest(name, known)
  const how = meant === null ? "Make it with POST /v1/apps first." : `Did you mean ${meant}?`
  const message = `\`app\` names no app of this project. ${how}`
  throw new Problem("invalid", message, { errors: [{ pointer: "/app", message }] })
}

/** When a key is to end, in ms; throws a problem where that is no time to come. */
function readEnd(text: string | null, now: number): number | null {
  if (text === null) return null
  // A leap second passes the schema and is a time; Date.parse knows none.
  const at = parseTime(text) ?? Number.NaN
  if (at > now) return at
  const message = "`expires_at` must be a time in the future, such as 2027-01-31T00:00:00Z."
  throw new Problem("invalid", message, { errors: [{ pointer: "/expires_at", message }] })
}

function viewOf(key: ApiKey, directory: Directory): Static<typeof KeyView> {
  return {
    id: formatId("key", key.id),
    kind: key.kind,
    name: key.name,
    prefix: key.prefix,
    last4: key.last4,
    scopes: [...key.scopes],
    app: key.app === null ? null : (directory.appName(key.app) ?? formatId("app", key.app)),
    environment: key.environment,
    source: key.source,
    max_requests_per_minute: key.maxRequestsPerMinute,
    created_by: key.createdBy,
    created_at: timeText(key.createdAt),
    expires_at: timeText(key.expiresAt),
    revoked_at: timeText(key.revokedAt),
    last_used_at: timeText(key.lastUsedAt),
    last_event_at: timeText(key.lastEventAt),
  }
}

/** The key without when it was used, as JSON text: what its tag and the audit log are made of. */
function configurationOf(key: ApiKey, directory: Directory): string {
  const { last_used_at: _used, last_event_at: _sent, ...configuration } = viewOf(key, directory)
  return JSON.stringify(configuration)
}
