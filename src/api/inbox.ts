/** `/v1/integrations/{id}/inbox`: what an inbox got; and the call that gives an integration a second one beside it. */
import type { FastifyInstance } from "fastify"
import { type Static, Type } from "typebox"
import { inbox, inboxInPlaceOf } from "../connectors/inbox.ts"
import { splitSecrets } from "../connectors/secrets.ts"
import { formatId, type ProjectId, parseId } from "../domain/id.ts"
import { describeVerdict, verdictKinds } from "../domain/signature-verdict.ts"
import type { LiveIntegration } from "../engine/directory.ts"
import { INBOX_BODY_BYTES } from "../engine/inboxes.ts"
import { forgetTurns } from "../store/inbox.ts"
import { type InboxRequest, listInboxRequests } from "../store/inbox-reads.ts"
import { actorOf, callerOf } from "./access.ts"
import { bodyOf, Header } from "./attempt-view.ts"
import type { Context } from "./context.ts"
import type { Configuration } from "./integration-save.ts"
import { IntegrationView } from "./integration-schemas.ts"
import { textOfIntegration } from "./integration-view.ts"
import { findIntegration, IntegrationPath, keepNew, signingKey } from "./integrations.ts"
import { Problem } from "./problem.ts"
import { jsonText, sendJson } from "./raw-json.ts"
import { Nullable, paging, responses, Time, timeText } from "./schemas.ts"

const MAX_NAME_CHARACTERS = 200
const NAME_ENDING = " (inbox)"

const InboxRequestView = Type.Object({
  id: Type.String({ examples: ["req_01j9zq4kx2m"] }),
  at: Time,
  method: Type.String(),
  headers: Type.Array(Header, { description: "As they came; those that are secrets of the integration read null." }),
  body: Nullable(Type.String({ description: "At most its first MiB." })),
  body_encoding: Nullable(Type.Enum(["text", "base64"], { description: "base64 where the bytes are no UTF-8." })),
  body_bytes: Type.Integer({ description: "How long it was in all." }),
  body_truncated: Type.Boolean({ description: "It was longer than what is kept of it." }),
  event: Nullable(Type.String({ description: "The event that `webhook-id` names." })),
  attempt: Nullable(Type.Integer({ description: "The attempt that `webhook-attempt` names." })),
  signature: Type.Object({
    verdict: Type.Enum([...verdictKinds], {
      description: "`valid`, or which rule was missed when it came, by the keys that signed then.",
    }),
    message: Type.String(),
  }),
  answer: Type.Object({
    status: Type.Integer(),
    delay_ms: Type.Integer(),
    state: Type.Enum(["waiting", "sent", "not_sent"], {
      description: "`not_sent`: whoever asked had gone, or Waybill had stopped, before the delay was over.",
    }),
  }),
})
type InboxRequestView = Static<typeof InboxRequestView>

/** A page of what an inbox got. */
export const InboxPage = Type.Object({
  url: Type.String({
    description: "Where others reach the inbox. Whoever knows it may send there: it needs no key.",
    examples: ["https://hub.example/inbox/01j9zq4kx2m…"],
  }),
  data: Type.Array(InboxRequestView),
  next_cursor: Nullable(Type.String()),
})

export type InboxPage = Static<typeof InboxPage>

/** What duplicating an integration gives. */
export const DuplicateView = Type.Object({
  duplicate_of: Type.String({ examples: ["int_01j9zq4kx2m"] }),
  message: Type.String({ description: "What was made and what it gets, in a sentence." }),
  integration: IntegrationView,
})

export type DuplicateView = Static<typeof DuplicateView>

const ListQuery = Type.Object(paging, { additionalProperties: false })

export function inboxRoutes(server: FastifyInstance, context: Context): void {
  const { directory, engine, inboxes, changes, cursors, store, now } = context

  server.get<{ Params: IntegrationPath; Querystring: Static<typeof ListQuery> }>(
    "/v1/integrations/:id/inbox",
    {
      config: { scope: "payloads:read", whole: "an inbox does not tell its requests apart" },
      schema: {
        operationId: "listInboxRequests",
        summary: "Lists the requests that an inbox got",
        description:
          "Newest first: the last 1,000 of the inbox, for 7 days. A page ends early where its bodies come to more than 4 MiB.",
        tags: ["integrations"],
        params: IntegrationPath,
        querystring: ListQuery,
        response: responses({ 200: InboxPage }, 400, 401, 404, 409, 422),
      },
    },
    async request => {
      const { id } = findInbox(callerOf(request).project, request.params.id).record
      const { limit = 50, cursor } = request.query
      const [before = Number.MAX_SAFE_INTEGER] = cursors.read(request, "inbox", cursor) ?? []
      const { requests, more } = await listInboxRequests(store.reads, { integration: id, before, limit, now: now() })
      const last = requests.at(-1)
      return {
        url: context.publicUrl() + inboxes.path(id),
        data: requests.map(viewOf),
        next_cursor: more && last !== undefined ? cursors.write(request, "inbox", last.id) : null,
      }
    },
  )

  server.delete<{ Params: IntegrationPath }>(
    "/v1/integrations/:id/inbox",
    {
      config: { scope: "integrations:write" },
      schema: {
        operationId: "emptyInbox",
        summary: "Empties an inbox",
        description: "What it got is gone, and its script begins anew. Deliveries and their attempts stay.",
        tags: ["integrations"],
        params: IntegrationPath,
        response: responses({ 204: Type.Null() }, 400, 401, 404, 409, 413, 415, 422, 503),
      },
    },
    async (request, reply) => {
      const { project } = callerOf(request)
      const { id } = findInbox(project, request.params.id).record
      const change = { project, kind: "integration.emptied", subject: request.params.id, by: actorOf(request) }
      // In the commit that begins it: the rest goes in short steps.
      await changes.inCommit(function* (_commit, note) {
        yield* forgetTurns(id)
        yield* note(change)
      })
      await inboxes.empty(id)
      return reply.code(204).send()
    },
  )

  server.post<{ Params: IntegrationPath }>(
    "/v1/integrations/:id/duplicate-to-inbox",
    {
      config: { scope: "integrations:write" },
      schema: {
        operationId: "duplicateToInbox",
        summary: "Sends what an integration gets to an inbox as well",
        description:
          "Makes a new integration with the same apps, events, names, filter, options, policy, format and headers, whose requests go to an inbox. The one it is made from stays as it is.",
        tags: ["integrations"],
        params: IntegrationPath,
        response: responses({ 201: DuplicateView }, 400, 401, 404, 409, 413, 415, 422, 503),
      },
    },
    async (request, reply) => {
      const { project } = callerOf(request)
      const { id } = request.params
      const configuration = duplicateOf(findIntegration(context, project, id))
      const key = signingKey(configuration, undefined)
      const made = await keepNew(context, { project, configuration, key, enabled: true, by: actorOf(request) })
      const live = await directory.reload(made)
      engine.refresh(made)
      if (live === undefined) throw new Problem("conflict", "The new inbox was removed while it was being made.")
      const name = configuration.snapshot.name
      const message = `${name} gets from now on what ${id} gets and answers 200 with {}. What it receives: GET /v1/integrations/${formatId("int", made)}/inbox. Tell it other answers with a PATCH of config.answer, and remove it when you have seen enough.`
      const integration = { raw: textOfIntegration(live, directory, { secret: key.secret }) }
      return sendJson(reply, 201, jsonText({ duplicate_of: id, message }, { integration }))
    },
  )

  /** The inbox that a path names; a problem where there is no such integration, or it is no inbox. */
  function findInbox(project: ProjectId, id: string): LiveIntegration {
    const live = findIntegration(context, project, id)
    if (live.connector.name === inbox.name) return live
    const message = `${id} is no inbox but a ${live.connector.name}. POST /v1/integrations/${id}/duplicate-to-inbox makes an inbox beside it.`
    throw new Problem("conflict", message)
  }
}

/** The configuration of an inbox that gets what this integration gets. */
function duplicateOf({ record, connector, settings }: LiveIntegration): Configuration {
  const { snapshot, fault } = record
  if (fault !== null) throw new Problem("conflict", fault)
  const config = inboxInPlaceOf(connector.name, settings)
  if (config === null) {
    throw new Problem(
      "conflict",
      `Only a webhook can be duplicated to an inbox; this is of the kind ${connector.name}.`,
    )
  }
  const { shown, secrets } = splitSecrets(inbox.settings, {
    answer: { status: 200, delay_ms: 0, body: "{}" },
    ...config,
  })
  const name = [...snapshot.name].slice(0, MAX_NAME_CHARACTERS - NAME_ENDING.length).join("") + NAME_ENDING
  return {
    snapshot: { ...snapshot, name, connector: inbox.name, config: shown },
    secrets,
    secretsChanged: [...secrets.keys()].sort(),
    newApps: new Map(),
  }
}

function viewOf(request: InboxRequest): InboxRequestView {
  const { headers, body, bodyBytes, signature, status, delayMs } = request
  const header = (name: string) => headers.find(([found]) => found.toLowerCase() === name)?.[1] ?? ""
  const [messageId, attempt] = [header("webhook-id"), header("webhook-attempt")]
  return {
    id: formatId("req", request.id),
    at: timeText(request.at),
    method: request.method,
    headers: headers.map(([name, value]) => ({ name, value })),
    ...bodyOf(body, bodyBytes > INBOX_BODY_BYTES),
    body_bytes: bodyBytes,
    body_truncated: bodyBytes > body.length,
    event: parseId("evt", messageId) === undefined ? null : messageId,
    attempt: /^[1-9]\d{0,8}$/.test(attempt) ? Number(attempt) : null,
    signature: { verdict: signature.kind, message: describeVerdict(signature) },
    answer: { status, delay_ms: delayMs, state: request.answer },
  }
}
