/**
 * The directory: projects, apps, event types and integrations as they stand now, in memory, ready to route and build
 * with. The store is the truth; whoever changes something there says `reload` here afterwards. What other processes change
 * is noticed within a quarter of a second, or at once where an event comes that was routed by what stood here before.
 */
import type { EventDraft } from "../domain/event.ts"
import type { AppId, IntegrationId, ProjectId } from "../domain/id.ts"
import type { RoutingIntegration } from "../domain/route.ts"
import type { Log } from "../log.ts"
import { atOneMoment, type Changed, configurationNews, configurationVersion } from "../store/configuration.ts"
import { type IntegrationRecord, integrationNames, loadIntegrations, snapshotAt } from "../store/integrations.ts"
import {
  type App,
  type EventType,
  listApps,
  listEventTypes,
  listProjects,
  type Project,
  saveApp,
} from "../store/projects.ts"
import type { Store } from "../store/store.ts"
import { type CataloguedType, catalogued, privateFieldsIn, refusesType } from "./catalogue.ts"
import type { Refusal } from "./intake.ts"
import { type Builder, builderOf, goLive, type LiveIntegration } from "./live-integration.ts"

export { type Builder, goLive, type LiveIntegration, signingKeysAt } from "./live-integration.ts"

/** Hears of a change; of an integration, with how it stood here before. */
export type ChangeListener = (changed: Changed, before: LiveIntegration | undefined) => void

/** What other processes change is noticed after so long at the most. */
const LOOK_EVERY_MS = 250

interface ProjectEntry {
  project: Project
  readonly apps: Map<string, App>
  readonly types: Map<string, CataloguedType>
  routing: readonly RoutingIntegration[]
  payloadDays: number
}

export class Directory {
  readonly #store: Store
  readonly #projects = new Map<ProjectId, ProjectEntry>()
  readonly #integrations = new Map<IntegrationId, LiveIntegration>()
  readonly #appNames = new Map<AppId, string>()
  readonly #names = new Map<IntegrationId, { readonly name: string; readonly removedAt: number | null }>()
  readonly #builders = new Map<string, Builder>()
  readonly #listeners = new Set<ChangeListener>()
  /** Ends with the last reading: one at a time, or an older one could end after a newer one. */
  #reading: Promise<unknown> = Promise.resolve()
  /** A look for what has changed that has not begun yet. */
  #nextLook: Promise<void> | undefined
  #version: number | undefined
  #timer: NodeJS.Timeout | undefined

  constructor(store: Store) {
    this.#store = store
  }

  /** Reads everything; call it once before anything else. */
  load(): Promise<void> {
    return this.#oneAtATime(() => this.#load())
  }

  /** The version of the configuration that stands here, at least; undefined where no other process can change it. */
  get version(): number | undefined {
    return this.#version
  }

  /** Hears of what was changed, by other processes above all, when it stands here. */
  onChange(hear: ChangeListener): void {
    this.#listeners.add(hear)
  }

  /** Looks for what other processes have changed, from now on until `stop`. */
  start(log: Log): void {
    if (this.#store.engine === "sqlite") return
    let isCut = false
    this.#timer = setInterval(() => {
      this.catchUp().then(
        () => {
          isCut = false
        },
        (error: unknown) => {
          if (!isCut)
            log.warn({ err: error }, "what other processes change is not known until the database answers again")
          isCut = true
        },
      )
    }, LOOK_EVERY_MS).unref()
  }

  async stop(): Promise<void> {
    clearInterval(this.#timer)
    await this.#reading
  }

  /** Takes over what other processes have changed up to now. Those who ask while a look has not begun yet share it. */
  catchUp(): Promise<void> {
    if (this.#version === undefined) return Promise.resolve()
    this.#nextLook ??= this.#oneAtATime(() => {
      this.#nextLook = undefined
      return this.#takeOver()
    })
    return this.#nextLook
  }

  async #takeOver(): Promise<void> {
    const news = await configurationNews(this.#store.reads, this.#version ?? 0)
    if (news === undefined) return
    const before = new Map(this.#integrations)
    if (news.changed === null) await this.#load()
    else {
      for (const changed of news.changed) await this.#readAgain(changed)
      this.#version = news.version
    }
    const changed = news.changed ?? everything([...before.keys(), ...this.#integrations.keys()])
    for (const one of changed) {
      const stood = one.kind === "integration" ? before.get(one.subject) : undefined
      for (const hear of this.#listeners) hear(one, stood)
    }
  }

  async #readAgain({ kind, subject }: Changed): Promise<void> {
    switch (kind) {
      case "project":
        return this.#reloadProject(subject)
      case "app":
        for (const app of await listApps(this.#store.db)) if (app.id === subject) this.#rememberApp(app)
        return
      case "event_types": {
        const types = (await listEventTypes(this.#store.db)).filter(type => type.project === subject)
        this.#projects.get(subject)?.types.clear()
        for (const type of types) this.rememberEventType(type)
        return
      }
      case "integration":
        await this.#reload(subject)
        return
      case "key":
        return
    }
  }

  #oneAtATime<T>(read: () => Promise<T>): Promise<T> {
    const done = this.#reading.then(read)
    this.#reading = done.catch(() => undefined)
    return done
  }

  async #load(): Promise<void> {
    const { db, seal } = this.#store
    // Before what it is the version of.
    const version = this.#store.engine === "postgres" ? await configurationVersion(db) : undefined
    const projects = await listProjects(db)
    for (const id of this.#projects.keys()) if (!projects.some(project => project.id === id)) this.#forget(id)
    for (const project of projects) this.#enter(project)
    for (const app of await listApps(db)) this.#rememberApp(app)
    const types = await listEventTypes(db)
    for (const entry of this.#projects.values()) entry.types.clear()
    for (const type of types) this.rememberEventType(type)
    const records = await atOneMoment(this.#store, tx => loadIntegrations(tx, seal))
    this.#integrations.clear()
    this.#builders.clear()
    for (const record of records) this.#rememberIntegration(record)
    for (const { project } of this.#projects.values()) {
      for (const row of await integrationNames(db, project.id)) {
        this.#names.set(row.id, { name: row.name, removedAt: row.removed_at })
      }
      this.#refreshRouting(project.id)
    }
    this.#version = version
  }

  /** Reads one integration again, after it was changed or removed. */
  reload(id: IntegrationId): Promise<LiveIntegration | undefined> {
    return this.#oneAtATime(() => this.#reload(id))
  }

  async #reload(id: IntegrationId): Promise<LiveIntegration | undefined> {
    const before = this.#integrations.get(id)
    const { seal } = this.#store
    // The settings of one save with the secrets of another would be an integration that nobody made.
    const [record] = await atOneMoment(this.#store, tx => loadIntegrations(tx, seal, id))
    if (record === undefined) {
      this.#integrations.delete(id)
      const name = this.#names.get(id)
      if (name !== undefined) this.#names.set(id, { name: name.name, removedAt: name.removedAt ?? this.#store.now() })
    } else this.#rememberIntegration(record)
    for (const key of this.#builders.keys()) if (key.startsWith(`${id}/`)) this.#builders.delete(key)
    const project = record?.project ?? before?.record.project
    if (project !== undefined) this.#refreshRouting(project)
    return this.#integrations.get(id)
  }

  projects(): readonly Project[] {
    return [...this.#projects.values()].map(entry => entry.project)
  }

  project(id: ProjectId): Project | undefined {
    return this.#projects.get(id)?.project
  }

  /** Reads a project again, after its settings were changed. */
  reloadProject(id: ProjectId): Promise<void> {
    return this.#oneAtATime(() => this.#reloadProject(id))
  }

  async #reloadProject(id: ProjectId): Promise<void> {
    const project = (await listProjects(this.#store.db)).find(each => each.id === id)
    if (project === undefined) this.#forget(id)
    else this.#enter(project)
  }

  integrations(): Iterable<IntegrationRecord> {
    return [...this.#integrations.values()].map(live => live.record)
  }

  removedIntegrations(): IntegrationId[] {
    return [...this.#names].flatMap(([id, { removedAt }]) => (removedAt === null ? [] : [id]))
  }

  integrationsOf(project: ProjectId): readonly LiveIntegration[] {
    return [...this.#integrations.values()].filter(live => live.record.project === project)
  }

  /** An integration that was not removed. Callers that answer a request ask `integrationOf`. */
  integration(id: IntegrationId): LiveIntegration | undefined {
    return this.#integrations.get(id)
  }

  /** The same, if it belongs to this project. */
  integrationOf(project: ProjectId, id: IntegrationId): LiveIntegration | undefined {
    const live = this.#integrations.get(id)
    return live?.record.project === project ? live : undefined
  }

  /** The name of an integration, also of one that was removed. */
  integrationName(id: IntegrationId): { readonly name: string; readonly removedAt: number | null } | undefined {
    return this.#names.get(id)
  }

  /** Everyone in the project who may get an event, as the router sees them. */
  routing(project: ProjectId): readonly RoutingIntegration[] {
    return this.#projects.get(project)?.routing ?? []
  }

  payloadDays(project: ProjectId): number {
    return this.#projects.get(project)?.payloadDays ?? 7
  }

  /** What is private in events of a type, or of any where none is named; null where nothing is. */
  privateFields(project: ProjectId, type: string | null) {
    const entry = this.#projects.get(project)
    return entry === undefined ? null : privateFieldsIn(entry.project, entry.types, type)
  }

  apps(project: ProjectId): readonly App[] {
    return [...(this.#projects.get(project)?.apps.values() ?? [])]
  }

  appId(project: ProjectId, name: string): AppId | undefined {
    return this.#projects.get(project)?.apps.get(name)?.id
  }

  appName(id: AppId): string | undefined {
    return this.#appNames.get(id)
  }

  /** Makes an app that an event named for the first time. */
  async makeApp(project: ProjectId, name: string, at: number): Promise<AppId> {
    const app = await this.saveApp({ id: this.#store.ids.next(), project, name, title: null, createdAt: at })
    return app.id
  }

  async saveApp(app: App): Promise<App> {
    const saved = await saveApp(this.#store.db, app)
    this.#rememberApp(saved)
    return saved
  }

  /** Gives an app its name while it is being made, for what is said of it in the same transaction; no event finds it yet. */
  nameApp({ id, name }: App): void {
    this.#appNames.set(id, name)
  }

  /** Takes in an app that was saved. */
  rememberApp(app: App): void {
    this.#rememberApp(app)
  }

  eventTypes(project: ProjectId): readonly EventType[] {
    return [...(this.#projects.get(project)?.types.values() ?? [])].map(entry => entry.type)
  }

  rememberEventType(type: EventType): void {
    this.#projects.get(type.project)?.types.set(type.name, catalogued(type))
  }

  forgetEventType(project: ProjectId, name: string): void {
    this.#projects.get(project)?.types.delete(name)
  }

  /** What a strict project has against an event; undefined where it may come in. */
  refuses(project: ProjectId, draft: EventDraft): Refusal | undefined {
    const entry = this.#projects.get(project)
    if (entry === undefined) {
      const message = "The project has been removed, and its keys with it."
      return { kind: "refused", code: "unauthorized", errors: [{ pointer: "", message }] }
    }
    const { strictTypes, strictApps } = entry.project
    if (strictApps && draft.app !== null && !entry.apps.has(draft.app)) {
      const message = `The app ${draft.app} is not known to this project. Make it with POST /v1/apps.`
      return { kind: "refused", code: "unknown_app", errors: [{ pointer: "/app", message }] }
    }
    return strictTypes ? refusesType(entry.types, draft) : undefined
  }

  /** What builds a delivery's request. A revision of before is read from the store once. */
  async builder(live: LiveIntegration, revision: number | null): Promise<Builder> {
    if (revision === null || revision === live.record.revision) {
      return { prepared: live.prepared, nameFor: live.routing.nameFor, revision: live.record.revision }
    }
    const key = `${live.record.id}/${revision}`
    const known = this.#builders.get(key)
    if (known !== undefined) return known
    const snapshot = await snapshotAt(this.#store.reads, live.record.id, revision)
    const builder =
      snapshot === undefined
        ? { prepared: live.prepared, nameFor: live.routing.nameFor, revision: live.record.revision }
        : builderOf(live, snapshot, revision)
    if (this.#builders.size >= 1_000) this.#builders.clear()
    this.#builders.set(key, builder)
    return builder
  }

  #enter(project: Project): void {
    const entry = this.#projects.get(project.id)
    if (entry === undefined) {
      const { payloadDays } = project
      this.#projects.set(project.id, { project, apps: new Map(), types: new Map(), routing: [], payloadDays })
    } else {
      entry.project = project
      entry.payloadDays = project.payloadDays
    }
  }

  /** A project that is being removed: nothing goes to any of its integrations, and nobody knows their names any more. */
  #forget(id: ProjectId): void {
    for (const app of this.apps(id)) this.#appNames.delete(app.id)
    for (const { record } of this.integrationsOf(id)) {
      this.#integrations.delete(record.id)
      this.#names.delete(record.id)
    }
    this.#projects.delete(id)
  }

  #rememberApp(app: App): void {
    this.#projects.get(app.project)?.apps.set(app.name, app)
    this.#appNames.set(app.id, app.name)
  }

  #rememberIntegration(record: IntegrationRecord): void {
    const live = goLive(record)
    this.#integrations.set(record.id, live)
    this.#names.set(record.id, { name: record.snapshot.name, removedAt: null })
  }

  #refreshRouting(project: ProjectId): void {
    const entry = this.#projects.get(project)
    if (entry !== undefined) entry.routing = this.integrationsOf(project).map(live => live.routing)
  }
}

function everything(integrations: readonly IntegrationId[]): readonly Changed[] {
  const each = [...new Set(integrations)].map((subject): Changed => ({ kind: "integration", subject }))
  return [{ kind: "key", subject: 0 }, ...each]
}
