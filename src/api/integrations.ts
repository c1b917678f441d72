/** `/v1/integrations`: create, read, change and remove; what people do with one stands in integration-actions.ts. */
import type { FastifyInstance } from "fastify"
import { type Static, Type } from "typebox"
import { inbox } from "../connectors/inbox.ts"
import { connectors, findConnector } from "../connectors/index.ts"
import { keySchemeOf } from "../connectors/webhook-settings.ts"
import { DAY_MS } from "../domain/duration.ts"
import type { SigningKey } from "../domain/exchange.ts"
import { type AppId, formatId, type IntegrationId, type ProjectId, parseId } from "../domain/id.ts"
import { nearest } from "../domain/nearest.ts"
import type { Note } from "../engine/changes.ts"
import { goLive, type LiveIntegration } from "../engine/directory.ts"
import type { Actor } from "../store/changes.ts"
import type { Database } from "../store/database.ts"
import {
  addSigningKey,
  type IntegrationRecord,
  type KeptSigningKey,
  loadIntegrations,
  type Revision,
  removeIntegration,
  revisionsBack,
  type Snapshot,
  saveIntegration,
} from "../store/integrations.ts"
import type { App } from "../store/projects.ts"
import { generateSecret, parseSecret } from "../transport/sign.ts"
import { actorOf, callerOf, may } from "./access.ts"
import { appNamed } from "./apps.ts"
import type { Context } from "./context.ts"
import { assertMatch, IfMatchHeaders, IfNoneMatchHeaders, NotModified, sendTagged, tagOf } from "./etag.ts"
import { type Configuration, readNew, readPatch, type Surroundings } from "./integration-save.ts"
import { IntegrationPatch, IntegrationView, NewIntegration, RevisionView } from "./integration-schemas.ts"
import { auditTextOfIntegration, textOfIntegration, viewOfRevision } from "./integration-view.ts"
import { refuseSecretsElsewhere } from "./kept-secrets.ts"
import { isSeen } from "./portal-sight.ts"
import { notFound, Problem } from "./problem.ts"
import { viewOfProtection } from "./protection-view.ts"
import { jsonList, jsonText, sendJson } from "./raw-json.ts"
import { RepeatableHeaders, type Told } from "./repeats.ts"
import { Page, paging, responses } from "./schemas.ts"

/** A page of revisions ends past so many bytes of configuration: thousands of names, each time. */
const MAX_PAGE_BYTES = 8_388_608

/** The path of one integration. */
export const IntegrationPath = Type.Object({ id: Type.String({ maxLength: 64, examples: ["int_01j9zq4kx2m"] }) })
export type IntegrationPath = Static<typeof IntegrationPath>

/** The integration that a path names, if the project has it; a 404 problem else. */
export function findIntegration({ directory }: Context, project: ProjectId, id: string): LiveIntegration {
  const parsed = parseId("int", id)
  const live = parsed === undefined ? undefined : directory.integrationOf(project, parsed)
  if (live === undefined) throw notFound("integration", id)
  return live
}

/** An integration as it stands in an open transaction; a 404 problem where it has been removed. */
export async function latestRecord({ store }: Context, tx: Database, id: IntegrationId): Promise<IntegrationRecord> {
  const [record] = await loadIntegrations(tx, store.seal, id)
  if (record === undefined) throw notFound("integration", formatId("int", id))
  return record
}

const ListQuery = Type.Object(paging, { additionalProperties: false })

export function integrationRoutes(server: FastifyInstance, context: Context): void {
  const { directory, cursors, store, engine, changes, repeats, verifier, inboxes, now } = context

  server.get<{ Querystring: Static<typeof ListQuery> }>(
    "/v1/integrations",
    {
      config: { scope: "integrations:read", portal: true },
      schema: {
        operationId: "listIntegrations",
        summary: "Lists the project's integrations",
        tags: ["integrations"],
        querystring: ListQuery,
        response: responses({ 200: Page(IntegrationView) }, 400, 401, 422),
      },
    },
    async (request, reply) => {
      const { limit = 50, cursor } = request.query
      const [before = Number.MAX_SAFE_INTEGER] = cursors.read(request, "integrations", cursor) ?? []
      const { project, sight } = callerOf(request)
      const all = directory.integrationsOf(project).filter(live => isSeen(sight, live.record.id))
      const older = all.filter(live => live.record.id < before).sort((a, b) => b.record.id - a.record.id)
      const page = older.slice(0, limit)
      const last = page.at(-1)
      const next =
        older.length > limit && last !== undefined ? cursors.write(request, "integrations", last.record.id) : null
      const data = jsonList(page.map(live => textOfIntegration(live, directory)))
      return sendJson(reply, 200, jsonText({ next_cursor: next }, { data }))
    },
  )

  server.post<{ Body: NewIntegration }>(
    "/v1/integrations",
    {
      config: { scope: "integrations:write" },
      schema: {
        operationId: "createIntegration",
        summary: "Makes an integration and verifies its endpoints",
        description: "Answers when the endpoints have answered their verification; `secret` is shown this once.",
        tags: ["integrations"],
        headers: RepeatableHeaders,
        body: NewIntegration,
        response: responses({ 201: IntegrationView }, 400, 401, 409, 413, 415, 422, 503),
      },
    },
    async (request, reply) => {
      const { project } = callerOf(request)
      const { body } = request
      return repeats.carryOut(request, reply, async keep => {
        const connector = findConnector(body.connector)
        if (connector === undefined) throw unknownConnector(body.connector)
        const configuration = readNew(connector, body, request.bodyText ?? "", surroundings(project))
        const key = signingKey(configuration, body.secret)
        const { secret } = key
        const tell = (live: LiveIntegration): Told => ({
          status: 201,
          text: textOfIntegration(live, directory, { secret }),
        })
        const made = { project, configuration, key, enabled: body.enabled ?? true, by: actorOf(request) }
        // It has still to be verified: whoever asks again after a crash learns what was made.
        const id = await keepNew(context, made, (tx, record) => keep(tx, tell(goLive(record)), false))
        return tell(await takeOver(id))
      })
    },
  )

  server.get<{ Params: IntegrationPath }>(
    "/v1/integrations/:id",
    {
      config: { scope: "integrations:read", portal: true },
      schema: {
        operationId: "getIntegration",
        summary: "Shows an integration",
        description: "With `protection`: how its endpoints stand just now, and how much waits for them.",
        tags: ["integrations"],
        params: IntegrationPath,
        headers: IfNoneMatchHeaders,
        response: responses({ 200: IntegrationView, 304: NotModified }, 400, 401, 404, 422),
      },
    },
    async (request, reply) => {
      const live = findIntegration(context, callerOf(request).project, request.params.id)
      const protection = await viewOfProtection(context, live.record.id)
      const tag = tagOf(textOfIntegration(live, directory), JSON.stringify(protection))
      return sendTagged(request, reply, tag, textOfIntegration(live, directory, { protection }))
    },
  )

  server.patch<{ Params: IntegrationPath; Body: IntegrationPatch }>(
    "/v1/integrations/:id",
    {
      config: { scope: "integrations:write" },
      schema: {
        operationId: "changeIntegration",
        summary: "Changes an integration",
        description:
          "A JSON merge patch. Endpoints whose URL, headers or credentials changed are verified again. Without the scope `secrets:read`, an address on another host asks for the endpoint's secrets again.",
        tags: ["integrations"],
        consumes: ["application/merge-patch+json", "application/json"],
        params: IntegrationPath,
        headers: IfMatchHeaders,
        body: IntegrationPatch,
        response: responses({ 200: IntegrationView }, 400, 401, 404, 412, 413, 415, 422, 503),
      },
    },
    async (request, reply) => {
      const { project } = callerOf(request)
      const by = actorOf(request)
      const { connector, record: found } = findIntegration(context, project, request.params.id)
      const { id } = found
      const apps = await changes.inTransaction(async (tx, note) => {
        // Read in the transaction that saves: of two at a time the second builds on the first, and no change is lost.
        const record = await latestRecord(context, tx, id)
        assertMatch(request, tagOf(textOfIntegration(goLive(record), directory)))
        const text = request.bodyText ?? ""
        const read = readPatch(connector, record, request.body, text, surroundings(project))
        const { secrets, secretsChanged } = read
        if (!may(request, "secrets:read")) {
          const stood = { config: record.snapshot.config, secrets: record.secrets }
          refuseSecretsElsewhere(stood, { config: read.snapshot.config, secrets }, request.body.config)
        }
        // When nothing can refuse it any more.
        const { snapshot, made } = await withApps(context, tx, note, { project, configuration: read, by })
        const next = { ...record, snapshot, secrets, revision: record.revision + 1, updatedAt: now() }
        await saveIntegration(tx, store.seal, next, { by, secretsChanged })
        await verifier.stand(tx, next)
        await note({
          project,
          kind: "integration.updated",
          subject: request.params.id,
          by,
          facts: { revision: next.revision, secrets_changed: secretsChanged.map(pointer => `/config${pointer}`) },
          before: auditTextOfIntegration(record, directory),
          after: auditTextOfIntegration(next, directory),
        })
        return made
      })
      for (const app of apps) directory.rememberApp(app)
      const text = textOfIntegration(await takeOver(id), directory)
      return sendJson(reply.header("etag", tagOf(text)), 200, text)
    },
  )

  server.delete<{ Params: IntegrationPath }>(
    "/v1/integrations/:id",
    {
      config: { scope: "integrations:write" },
      schema: {
        operationId: "removeIntegration",
        summary: "Removes an integration",
        description: "Deliveries that wait end with `integration_removed`; its history stays.",
        tags: ["integrations"],
        params: IntegrationPath,
        headers: IfMatchHeaders,
        response: responses({ 204: Type.Null() }, 400, 401, 404, 412, 413, 415, 422, 503),
      },
    },
    async (request, reply) => {
      const { project } = callerOf(request)
      const { record, connector } = findIntegration(context, project, request.params.id)
      const change = { project, kind: "integration.removed", subject: request.params.id, by: actorOf(request) }
      await changes.together(change, async (tx, say) => {
        const before = await latestRecord(context, tx, record.id)
        assertMatch(request, tagOf(textOfIntegration(goLive(before), directory)))
        if (!(await removeIntegration(tx, record.id, now()))) throw notFound("integration", request.params.id)
        say({ before: auditTextOfIntegration(before, directory) })
      })
      await directory.reload(record.id)
      engine.refresh(record.id)
      if (connector.name === inbox.name) await inboxes.remove(record.id)
      return reply.code(204).send()
    },
  )

  server.get<{ Params: IntegrationPath; Querystring: Static<typeof ListQuery> }>(
    "/v1/integrations/:id/revisions",
    {
      config: { scope: "integrations:read" },
      schema: {
        operationId: "listRevisions",
        summary: "Shows who changed what, and when",
        tags: ["integrations"],
        params: IntegrationPath,
        querystring: ListQuery,
        response: responses({ 200: Page(RevisionView) }, 400, 401, 404, 422),
      },
    },
    async request => {
      const { record } = findIntegration(context, callerOf(request).project, request.params.id)
      const { limit = 50, cursor } = request.query
      const [before = Number.MAX_SAFE_INTEGER] = cursors.read(request, "revisions", cursor) ?? []
      const page: ReturnType<typeof viewOfRevision>[] = []
      let [shown, bytes]: [Revision | undefined, number] = [undefined, 0]
      for await (const revision of revisionsBack(store.reads, record.id, before)) {
        // Each is shown beside the one before it.
        if (shown !== undefined) page.push(viewOfRevision(shown, revision))
        if (shown !== undefined && (page.length === limit || bytes > MAX_PAGE_BYTES))
          return { data: page, next_cursor: cursors.write(request, "revisions", shown.revision) }
        shown = revision
        bytes += revision.bytes
      }
      if (shown !== undefined) page.push(viewOfRevision(shown, undefined))
      return { data: page, next_cursor: null }
    },
  )

  /** Everything that has to follow a save: verification where it is due, routing, the lane's limits. */
  async function takeOver(id: IntegrationId): Promise<LiveIntegration> {
    const live = await directory.reload(id)
    if (live === undefined) throw notFound("integration", formatId("int", id))
    if (live.record.enabled) await verifier.verify(id, verifier.outstanding(live.record))
    engine.refresh(id)
    return directory.integration(id) ?? live
  }

  function surroundings(project: ProjectId): Surroundings {
    return {
      egress: context.egress,
      payloadMs: directory.payloadDays(project) * DAY_MS,
      now: now(),
      appId: name => directory.appId(project, name),
      newAppId: directory.project(project)?.strictApps === true ? null : () => store.ids.next(),
    }
  }
}

/** Keeps a new integration with its first key, in one commit with what goes `along` with it; gives its id. */
export async function keepNew(
  context: Context,
  given: {
    readonly project: ProjectId
    readonly configuration: Configuration
    readonly key: SigningKey
    readonly enabled: boolean
    readonly by: Actor
  },
  along: (tx: Database, record: IntegrationRecord) => Promise<void> = async () => undefined,
): Promise<IntegrationId> {
  const { store, changes, verifier, directory, now } = context
  const { project, configuration, key, enabled, by } = given
  const id = store.ids.next()
  const apps = await changes.inTransaction(async (tx, note) => {
    const at = now()
    const { snapshot, made } = await withApps(context, tx, note, { project, configuration, by })
    const record: IntegrationRecord = {
      id,
      project,
      revision: 1,
      enabled,
      disabledBy: enabled ? null : "person",
      disabledReason: null,
      disabledAt: enabled ? null : at,
      paused: false,
      snapshot,
      secrets: configuration.secrets,
      signingKeys: [],
      verification: {},
      fault: null,
      createdAt: at,
      updatedAt: at,
    }
    await saveIntegration(tx, store.seal, record, { by, secretsChanged: configuration.secretsChanged })
    await verifier.stand(tx, record)
    const kept: KeptSigningKey = { ...key, number: 1, createdAt: at, expiresAt: null }
    await addSigningKey(tx, store.seal, record, kept, at)
    await along(tx, await latestRecord(context, tx, id))
    const after = auditTextOfIntegration(record, directory)
    await note({ project, kind: "integration.created", subject: formatId("int", id), by, after })
    return made
  })
  for (const app of apps) directory.rememberApp(app)
  return id
}

/** Makes the apps that a configuration names for the first time, in the transaction that saves it; gives them and its snapshot with them. */
async function withApps(
  { directory, now }: Context,
  tx: Database,
  note: Note,
  saving: { readonly project: ProjectId; readonly configuration: Configuration; readonly by: Actor },
): Promise<{ readonly snapshot: Snapshot; readonly made: readonly App[] }> {
  const { project, configuration, by } = saving
  const { snapshot, newApps } = configuration
  const made = new Map<AppId, App>()
  for (const [name, id] of newApps) {
    // Somebody may have made it meanwhile: then it has another id than the one that was meant for it.
    const app = await appNamed(tx, note, { id, project, name, createdAt: now() }, by)
    directory.nameApp(app)
    made.set(id, app)
  }
  const apps = snapshot.apps.map(id => made.get(id)?.id ?? id)
  return { snapshot: { ...snapshot, apps }, made: [...made.values()] }
}

/** The key that signs: the user's own, or a new one of the scheme that the settings ask for. */
export function signingKey({ snapshot }: Pick<Configuration, "snapshot">, secret: string | undefined): SigningKey {
  // One that signs nothing has a key all the same, for the day on which it does.
  const scheme = keySchemeOf(snapshot.config) ?? "v1"
  if (secret === undefined) return { scheme, secret: generateSecret(scheme) }
  const reading = parseSecret(secret)
  const fault = (message: string) => new Problem("invalid", message, { errors: [{ pointer: "/secret", message }] })
  if (reading.kind === "invalid") throw fault(reading.message)
  if (reading.key.scheme !== scheme) {
    throw fault(
      `The secret is for ${reading.key.scheme}, but config.signature asks for a key of ${scheme}. Make the two agree.`,
    )
  }
  return reading.key
}

function unknownConnector(name: string): Problem {
  const known = connectors.map(connector => connector.name)
  const close = nearest(name, known)
  const hint = close === null ? `Known are ${known.join(", ")}.` : `Did you mean ${close}?`
  const message = `There is no connector ${JSON.stringify(name.slice(0, 64))}. ${hint}`
  return new Problem("invalid", message, { errors: [{ pointer: "/connector", message }] })
}
