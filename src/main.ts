/** Opens the store, starts the engine and the API, and stops them in turn: the only wiring. */
import { createServer, isIP } from "node:net"
import { hostname } from "node:os"
import { join } from "node:path"
import { monitorEventLoopDelay } from "node:perf_hooks"
import type { Context, Phase } from "./api/context.ts"
import { Cursors } from "./api/cursor.ts"
import { readDashboard } from "./api/dashboard.ts"
import { Rates } from "./api/rate-limit.ts"
import { Repeats } from "./api/repeats.ts"
import { buildServer, type TimeLimits, timeLimits } from "./api/server.ts"
import { setupLink } from "./api/setup.ts"
import { type Config, isLoopbackHost, proxyVariables, version } from "./config.ts"
import { timeOfId } from "./domain/id.ts"
import { senderAt } from "./domain/mail-address.ts"
import { readSealingKeys } from "./domain/sealing-key.ts"
import { WatchfulAftermath } from "./engine/aftermath.ts"
import { Changes } from "./engine/changes.ts"
import { makeDeliver } from "./engine/deliver.ts"
import { Directory } from "./engine/directory.ts"
import { drain } from "./engine/drain.ts"
import { Engine } from "./engine/engine.ts"
import { Feed } from "./engine/feed.ts"
import { AllLanes } from "./engine/holding.ts"
import { IdentityProvider } from "./engine/identity-provider.ts"
import { Inboxes } from "./engine/inboxes.ts"
import { Intake } from "./engine/intake.ts"
import { Keeper } from "./engine/keeper.ts"
import { Keyring } from "./engine/keyring.ts"
import { LeasedLanes } from "./engine/leased-lanes.ts"
import { Members } from "./engine/members.ts"
import { Metrics } from "./engine/metrics.ts"
import { Notifier } from "./engine/notifier.ts"
import { Operational } from "./engine/operational.ts"
import { PasswordResets } from "./engine/password-resets.ts"
import { Passwords } from "./engine/passwords.ts"
import { People } from "./engine/people.ts"
import { Recoverer } from "./engine/recover.ts"
import { Rejections } from "./engine/rejections.ts"
import { Remover } from "./engine/remover.ts"
import { Resealer } from "./engine/resealer.ts"
import { Tallier } from "./engine/tallier.ts"
import { Verifier } from "./engine/verifier.ts"
import { type Log, openLog } from "./log.ts"
import { StoreUnavailable } from "./store/database.ts"
import { insertSetup } from "./store/invitations.ts"
import { countKeys, generateKey } from "./store/keys.ts"
import { lastSuccesses } from "./store/last-successes.ts"
import { lockMeta } from "./store/meta.ts"
import { codeOf } from "./store/postgres.ts"
import { openPostgres, type PostgresStore } from "./store/postgres-store.ts"
import { freshProject, makeProject } from "./store/projects.ts"
import { type EmbeddedStore, openStore, type Store, StoreFault } from "./store/store.ts"
import { hashToken, newToken } from "./store/token.ts"
import { type EgressRules, parseEgressAllow } from "./transport/guard.ts"
import { Transport } from "./transport/http.ts"
import { openMailer } from "./transport/mail.ts"
import type { Resolver } from "./transport/resolve.ts"

/** Requests to integrations under way at a time: bounds sockets and memory, far above what one process can use. */
const MAX_IN_FLIGHT = 2_000
/** How long an orderly stop waits for requests under way. */
const STOP_GRACE_MS = 10_000

/** Where the dashboard lies once it is built: in the repository, and in the published package. */
const dashboardFolders = ["../dashboard/dist", "./dashboard"].map(path => join(import.meta.dirname, path))

/** What this process is called. Not by its number alone: in containers that is the same for all of them. */
const processName = `${hostname()}/${process.pid}`

/** A reason why Waybill does not start, in one sentence for the operator. */
export class StartFault extends Error {}

export interface Running {
  /** `http://127.0.0.1:8080` */
  readonly url: string
  /** The first API key of a new database; it is known only now. */
  readonly firstKey: string | undefined
  /** Where the owner of a new database's project is made; it is known only now. */
  readonly setupLink: string | undefined
  readonly log: Log
  /** What happens, after the commit that holds it. */
  readonly feed: Feed
  /** Says in the log that it listens, and how: for whoever has greeted a person first. */
  announce(): void
  /** Looks for due work at once. Whoever turns the clock that Waybill was given says so here: timers do not see it. */
  wake(): void
  stop(): Promise<void>
}

/**
 * Starts Waybill; throws StartFault or StoreFault with a sentence, having changed nothing. `resolver` finds the addresses
 * of integrations; by default it is the DNS and the system. `limits` are how long clients may take. Without a `clock` it
 * goes by that of the machine, or by PostgreSQL's where that is used.
 */
export async function start(
  config: Config,
  clock?: () => number,
  resolver?: Resolver,
  limits: TimeLimits = timeLimits,
): Promise<Running> {
  const egress = egressRules(config)
  await assertPortFree(config)
  const log = openLog(config.logLevel)
  const metrics = new Metrics(version, process.version)
  const store = await open(config, clock, log, metrics)
  try {
    return await run(config, { resolver, limits, egress, log, metrics, store })
  } catch (error) {
    await store.close()
    throw error
  }
}

/** The store: PostgreSQL where one is named, else the embedded database in the data folder. */
async function open(
  config: Config,
  clock: (() => number) | undefined,
  log: Log,
  metrics: Metrics,
): Promise<EmbeddedStore | PostgresStore> {
  const options = {
    dataDir: config.dataDir,
    sealingKeys: config.secretKey === null ? undefined : readSealingKeys(config.secretKey),
    watcher: {
      committed: (works: number, durationMs: number) => {
        metrics.commitBatch.observe(works)
        metrics.commitDuration.observe(durationMs / 1_000)
      },
      claimed: (durationMs: number) => metrics.claimDuration.observe(durationMs / 1_000),
    },
  }
  const url = config.databaseUrl
  const { migrate, allowUnsafeDatabase: allowUnsafe } = config
  if (url !== null) {
    const more = { url, name: processName, migrate, allowUnsafe, now: clock }
    return openPostgres({ ...options, ...more }).catch(asStartFault)
  }
  return openStore({
    ...options,
    now: clock ?? Date.now,
    // Only a new start can tell what is on the disk: no orderly close, which would write once more.
    onFatal: error => {
      log.fatal({ err: error }, "fsync has failed: what is on the disk is not known; ending, the next start recovers")
      process.exit(1)
    },
  })
}

/** A database that is not there at the start is the operator's to mend. */
function asStartFault(error: unknown): never {
  if (!(error instanceof StoreUnavailable)) throw error
  const cause = error.cause instanceof Error ? error.cause.message || String(codeOf(error.cause)) : error.message
  throw new StartFault(`DATABASE_URL: the database cannot be used (${cause}). See that it runs and lets this user in.`)
}

interface Ground {
  readonly resolver: Resolver | undefined
  readonly limits: TimeLimits
  readonly egress: EgressRules
  readonly log: Log
  readonly metrics: Metrics
  readonly store: EmbeddedStore | PostgresStore
}

async function run(config: Config, ground: Ground): Promise<Running> {
  const { resolver, limits, egress, log, metrics, store } = ground
  const { now } = store
  const first = await makeFirstProject(store, config.apiKey)
  const directory = new Directory(store)
  await directory.load()
  const feed = new Feed()
  const changes = new Changes(store, feed, emitted => engine.setGoing(emitted))
  const keyring = new Keyring({ db: store.db, reads: store.reads, now, log })
  const passwords = new Passwords()
  const people = new People({ store, changes, passwords, log })
  const rejections = new Rejections(store, log)
  const inboxes = new Inboxes({ store, directory, log })
  const userAgent = `Waybill/${version}`
  const transport = new Transport({
    rules: egress,
    now,
    userAgent,
    inbox: id => inboxes.place(id),
    ...(resolver === undefined ? {} : { resolver }),
    onBlocked: detail => {
      metrics.egressBlocked.inc({ reason: detail.use })
      log.warn({ ...detail }, "a request to an address that is not public was held back")
    },
  })
  const identityTransport =
    config.oidc === null
      ? null
      : new Transport({
          rules: withIssuer(egress, config.oidc.issuer),
          now,
          userAgent,
          ...(resolver === undefined ? {} : { resolver }),
        })
  const holding = "lanes" in store ? new LeasedLanes({ lanes: store.lanes, now, log }) : new AllLanes(store.fence)
  const maySend = (fence: number) => holding.maySend(fence)
  const deliver = makeDeliver({ directory, transport, maySend, now, process: processName, userAgent, metrics })
  const { ledger } = store
  // Ids carry their time, and no start gave one before the greatest of the last.
  const seenUpTo = timeOfId(store.ids.last)
  const operational = new Operational({ directory, now, hasMail: config.smtp !== null })
  const keyedHash = (text: string) => store.seal.keyedHash(text)
  const aftermath = new WatchfulAftermath({ ledger, directory, operational, now, keyedHash })
  const engine = new Engine({
    ledger,
    directory,
    deliver,
    feed,
    aftermath,
    holding,
    learn: async kept => {
      const successes = await lastSuccesses(
        store.db,
        kept.map(({ integration }) => integration),
      )
      aftermath.load(kept, successes)
    },
    now,
    log,
    maxInFlight: MAX_IN_FLIGHT,
    seenUpTo,
  })
  directory.onChange(({ kind, subject }, before) => {
    if (kind === "key") keyring.forget()
    if (kind !== "integration") return
    if (before?.integration.enabled === false) aftermath.hasBegunAnew(subject)
    engine.refresh(subject)
  })
  const intake = new Intake({ ledger, directory, engine, feed })
  const verifier = new Verifier({ store, directory, engine, transport, changes, operational, aftermath, userAgent })
  const publicUrl = () => config.publicUrl ?? url
  const mailHost = new URL(config.publicUrl ?? `http://${hostname()}`).hostname
  const notifier = new Notifier({
    store,
    directory,
    feed,
    mailer: config.smtp === null ? null : await openMailer(config.smtp, config.mailFrom ?? senderAt(mailHost)),
    publicUrl,
    host: mailHost,
    now,
    log,
  })
  const keeper = new Keeper({ store, metrics, now, log, released: id => engine.expect(id, now()) })
  const tallier = new Tallier({ store, log })
  const resealer = new Resealer({ store, hasKeyFile: config.secretKey === null, dataDir: config.dataDir, metrics, log })
  const recoverer = new Recoverer({ store, directory, engine, changes, feed, now, log })
  const remover = new Remover({ store, directory, engine, changes, keyring, now, log })
  const loopDelay = monitorEventLoopDelay({ resolution: 20 })
  loopDelay.enable()
  let phase: Phase = "starting"
  const context: Context = {
    store,
    directory,
    engine,
    intake,
    feed,
    changes,
    repeats: new Repeats(store),
    rejections,
    inboxes,
    keyring,
    people,
    members: new Members({ store, changes, passwords }),
    passwordResets: new PasswordResets({ store, changes, passwords, notifier }),
    identityProvider:
      config.oidc === null || identityTransport === null
        ? null
        : new IdentityProvider(config.oidc, identityTransport, now),
    rates: new Rates({ now, processes: () => holding.processes }),
    verifier,
    recoverer,
    remover,
    keeper,
    aftermath,
    operational,
    notifier,
    deliver,
    metrics,
    cursors: new Cursors(Buffer.from(store.seal.keyedHash("cursors"))),
    egress,
    log,
    now,
    version,
    process: processName,
    publicUrl,
    startedAt: now(),
    phase: () => phase,
    loopLagMs: () => {
      const lag = loopDelay.max / 1e6
      loopDelay.reset()
      return lag
    },
  }
  const dashboard = dashboardFolders.map(readDashboard).find(found => found !== undefined)
  const server = await buildServer(context, { trustProxy: config.trustProxy, timeLimits: limits, dashboard })
  const { host, port } = config
  let url = `http://${isIP(host) === 6 ? `[${host}]` : host}:${port}`
  // Only now is it known which port a port of 0 was.
  url = await server.listen({ host, port })
  const [bound] = server.addresses()
  if (typeof bound === "object") inboxes.listensAt(bound)
  await engine.start()
  directory.start(log)
  keyring.start()
  keeper.start()
  resealer.start()
  tallier.start()
  await notifier.start()
  recoverer.start()
  remover.start()
  phase = "running"
  const announce = (): void => {
    log.info(
      { url, version, node: process.version, dataDir: config.dataDir, loopback: egress.loopback },
      "Waybill listens",
    )
    for (const name of proxyVariables()) {
      log.warn({ variable: name }, "is ignored: requests to integrations never go through a proxy of the environment")
    }
  }
  const stop = async (): Promise<void> => {
    phase = "stopping"
    const { drainSeconds } = config
    log.info({ drainSeconds }, "Waybill is stopping")
    await Promise.all([holding.leave(), drain(drainSeconds)])
    // Before the listener: it waits for every answer, and an inbox keeps some back.
    transport.closeInboxes()
    await server.close()
    await recoverer.stop()
    await remover.stop()
    await engine.stop(STOP_GRACE_MS)
    await notifier.stop()
    await resealer.stop()
    await keeper.stop()
    await tallier.stop()
    await transport.close(0)
    await identityTransport?.close(0)
    await rejections.flush()
    await keyring.stop()
    await directory.stop()
    loopDelay.disable()
    await store.close()
    log.info("Waybill has stopped")
  }
  let stopped: Promise<void> | undefined
  return {
    url,
    firstKey: first?.key,
    setupLink: first && setupLink(publicUrl(), first.setupToken),
    log,
    feed,
    announce,
    wake: () => {
      engine.wake()
      notifier.wake()
    },
    stop: () => {
      stopped ??= stop()
      return stopped
    },
  }
}

/** What integrations may reach: public addresses, what the operator lists, and loopback where the server itself is there. */
function egressRules(config: Config): EgressRules {
  const reading = parseEgressAllow(config.egressAllow)
  if (reading.kind === "invalid") throw new StartFault(`WAYBILL_EGRESS_ALLOW is wrong: ${reading.message}`)
  return { loopback: isLoopbackHost(config.host), allow: reading.allow }
}

/** The same, and the identity provider's host, which the operator has named (EG-17). */
function withIssuer(rules: EgressRules, issuer: string): EgressRules {
  const reading = parseEgressAllow(new URL(issuer).hostname)
  return reading.kind === "read" ? { ...rules, allow: [...rules.allow, ...reading.allow] } : rules
}

/** Before anything is made on disk: a start that cannot listen leaves no trace. */
async function assertPortFree({ host, port }: Config): Promise<void> {
  await new Promise<void>((resolve, reject) => {
    const probe = createServer()
    probe.once("error", (error: NodeJS.ErrnoException) => {
      const why =
        error.code === "EADDRINUSE"
          ? "is taken by another program: stop that, or choose another port with PORT"
          : error.code === "EADDRNOTAVAIL"
            ? "is not an address of this machine: choose another with HOST"
            : error.code === "EACCES"
              ? "may not be used by this user: choose one above 1023 with PORT"
              : `cannot be listened on (${error.code})`
      reject(new StartFault(`${host}:${port} ${why}.`))
    })
    probe.listen({ host, port, exclusive: true }, () => probe.close(() => resolve()))
  })
}

/** What a new database's project is reached with. */
interface First {
  readonly key: string
  readonly setupToken: string
}

/** An empty database gets a project, a key, so that the first request can be made, and a link that makes its owner. */
async function makeFirstProject(store: Store, given: string | null): Promise<First | undefined> {
  if ((await countKeys(store.db)) > 0) return undefined
  const secret = given ?? generateKey()
  const project = { ...freshProject, id: store.ids.next(), name: "default", createdAt: store.now() }
  const key = { id: store.ids.next(), secret, createdBy: null }
  const setupToken = newToken()
  return store.db.transaction(async tx => {
    // Of several processes that start at once on an empty database one makes it, and the others find it.
    await lockMeta(tx, "first_key")
    if ((await countKeys(tx)) > 0) return undefined
    await makeProject(tx, project, key)
    await insertSetup(tx, hashToken(setupToken), { project: project.id, byOperator: true, at: project.createdAt })
    return { key: secret, setupToken }
  })
}

export { StoreFault }
