/**
 * The remover takes away what people have asked to be gone: a project with all that is in it, or what is kept of a person.
 * In short pieces, each of which writes down how far it is, with a rest after each, so that nobody else is held up; what a
 * process has left undone when it ended, the next start goes on with. Of several processes one does it.
 */
import { setTimeout as rest } from "node:timers/promises"
import { type EventId, formatId, type ProjectId } from "../domain/id.ts"
import type { Log } from "../log.ts"
import type { Actor } from "../store/changes.ts"
import type { Commit } from "../store/commit.ts"
import { StoreUnavailable } from "../store/database.ts"
import { eraseEvents, eraseTraces } from "../store/erasure.ts"
import { leads } from "../store/leader.ts"
import {
  closeProject,
  type Going,
  isBeingSent,
  type RemovalParts,
  type RemovalPiece,
  removeItself,
  removeRest,
  removeTraffic,
} from "../store/project-removal.ts"
import {
  addCounts,
  endRemoval,
  findRemovalJob,
  insertRemovalJob,
  isAsLeft,
  openRemovalJobs,
  type RemovalJob,
  type RemovedCounts,
  saveRemoval,
} from "../store/removal-jobs.ts"
import type { Step } from "../store/step.ts"
import type { Store } from "../store/store.ts"
import { streamEnd } from "../store/stream-reads.ts"
import { hashToken, newToken } from "../store/token.ts"
import type { Changes } from "./changes.ts"
import type { Directory } from "./directory.ts"
import type { Engine } from "./engine.ts"
import type { Keyring } from "./keyring.ts"
import { Rounds } from "./rounds.ts"

export interface RemoverOptions {
  readonly store: Store
  readonly directory: Pick<Directory, "integrationsOf" | "reloadProject">
  readonly engine: Pick<Engine, "expect" | "refresh">
  readonly changes: Pick<Changes, "inTransaction">
  readonly keyring: Pick<Keyring, "forget">
  readonly now: () => number
  readonly log: Log
}

/** What is asked for of a project's removal, as it stands in its job. */
export interface ProjectRemoval {
  readonly project: ProjectId
  /** Who asked for it. */
  readonly by: Pick<Actor, "kind" | "id">
  /** What is being removed; null before it begins and once all is gone. */
  readonly table: string | null
}

/** The same of a person's erasure. */
export interface Erasure {
  /** The profile's id; null once it is done. */
  readonly profile: string | null
  /** A keyed hash of it, by which a later erasure of the same profile can be told. */
  readonly hash: string
  /** What came in up to there. */
  readonly upTo: EventId
  /** The oldest event of theirs that was found. */
  readonly first: EventId | null
  readonly phase: "events" | "traces" | "done"
}

/** From one look to the next at what has to end first. */
const LOOK_AGAIN_MS = 100
/** After a job has failed it rests, twice as long each time, while the others go on. */
const FIRST_RETRY_MS = 1_000
const LONGEST_RETRY_MS = 60_000
/** How long a round may let the next one wait: what another process was asked for is noticed by then. */
const NOTICE_MS = 500
/** A rest is as long as the piece before it: a removal takes at most half of the writer's time. */
const REST_PER_PIECE = 1
/** What another process had begun for the project when it was closed is on the disk by then. */
const SETTLING_MS = 1_000

/** The work of a job, as far as it goes in this process. */
interface Work {
  /** Undefined where it has to begin anew, from what is written down. */
  pieces: AsyncGenerator<RemovalPiece> | undefined
  notBefore: number
  /** How often it has failed since it last removed something. */
  failures: number
}

export class Remover {
  readonly #options: RemoverOptions
  readonly #works = new Map<number, Work>()
  readonly #rounds: Rounds<RemovalJob>

  constructor(options: RemoverOptions) {
    this.#options = options
    const { store, log } = options
    this.#rounds = new Rounds({
      ...{ store, log, what: "removals" },
      open: () => this.#open(),
      round: found => this.#round(found),
    })
  }

  /** Goes on with what an earlier start has left. */
  start(): void {
    this.#rounds.start()
  }

  /** Finishes the piece that is under way. */
  async stop(): Promise<void> {
    await this.#rounds.stop()
    this.#works.clear()
  }

  /**
   * Closes a project, at once and for good, and begins to take it away. Gives a token with which how far it is can be read:
   * no key of the project's opens anything any more. `last`: there would be none left.
   */
  async removeProject(asked: {
    readonly project: ProjectId
    readonly by: Actor
    /** How the project stood, as JSON. */
    readonly before: string
  }): Promise<
    { readonly kind: "begun"; readonly token: string; readonly job: RemovalJob } | { kind: "last" | "gone" }
  > {
    const { store, changes, directory, engine, keyring, now } = this.#options
    const { project, by, before } = asked
    const token = newToken()
    const key = removalKey(token)
    const cursor: ProjectRemoval = { project, by: { kind: by.kind, id: by.id }, table: null }
    const job = { id: store.ids.next(), kind: "project_removal", key, project: null, createdAt: now() } as const
    const closed = await changes
      .inTransaction(async (tx, note) => {
        // Before it is closed: nothing is noted in a project that is. Where it is not closed, nothing of this happens.
        await note({ project, kind: "project.removed", subject: formatId("prj", project), by, before })
        const done = await closeProject(tx, project, job.createdAt)
        if (done !== "closed") throw new Unclosed(done)
        await insertRemovalJob(tx, { ...job, cursor: JSON.stringify(cursor) })
        return done
      })
      .catch((error: unknown) => {
        if (error instanceof Unclosed) return error.kind
        throw error
      })
    if (closed !== "closed") return { kind: closed }
    keyring.forget()
    const integrations = directory.integrationsOf(project).map(live => live.record.id)
    await directory.reloadProject(project)
    for (const id of integrations) engine.refresh(id)
    this.#rounds.wake()
    const begun = await findRemovalJob(store.db, key)
    if (begun === undefined) throw new Error("The removal of a project was not written down.")
    return { kind: "begun", token, job: begun }
  }

  /** Begins the erasure of a person; gives the one that is under way, where there is one. */
  async erase(asked: {
    readonly project: ProjectId
    readonly profile: string
    readonly by: Actor
  }): Promise<{ readonly job: RemovalJob; readonly isNew: boolean }> {
    const { store, changes, now } = this.#options
    const { project, profile, by } = asked
    const hash = this.hashOf(project, profile)
    const key = erasureKey(project, hash)
    const id = store.ids.next()
    // Other processes may have given greater ids by now.
    const end = await streamEnd(store.reads, project)
    const cursor: Erasure = { profile, hash, upTo: Math.max(id, end.id), first: null, phase: "events" }
    const isNew = await changes.inTransaction(async (tx, note) => {
      const given = { id, kind: "erasure", key, project, cursor: JSON.stringify(cursor), createdAt: now() } as const
      if (!(await insertRemovalJob(tx, given))) return false
      // Not the profile's id, which this log would keep for longer than anything else.
      await note({ project, kind: "erasure.created", subject: formatId("ers", id), by, facts: { profile_hash: hash } })
      return true
    })
    this.#rounds.wake()
    const job = await findRemovalJob(store.db, key)
    // Done already, in the moment between: it is asked for once more.
    return job === undefined ? this.erase(asked) : { job, isNew }
  }

  /** What is kept of a profile's id: only who holds the sealing key can make it, of a given id. */
  hashOf(project: ProjectId, profile: string): string {
    return this.#options.store.seal.keyedHash(`erasure ${project} ${profile}`)
  }

  #open(): Promise<RemovalJob[]> {
    return openRemovalJobs(this.#options.store.reads)
  }

  /** Pieces of each job in turn, until each of them is done or has to wait; gives for how long. */
  async #round(found: readonly RemovalJob[]): Promise<number> {
    const { store } = this.#options
    let open = found
    for (;;) {
      for (const id of this.#works.keys()) if (!open.some(job => job.id === id)) this.#works.delete(id)
      let isGoing = false
      for (const job of open) {
        if (this.#rounds.isStopping) return 0
        if (await this.#goOn(job)) isGoing = true
      }
      if (!isGoing) return this.#restMs()
      // A leader that was replaced goes on for no longer than this.
      if (store.engine === "postgres" && !(await leads(store))) return LOOK_AGAIN_MS
      // What was asked for meanwhile takes its turn, too: a project's removal may last for minutes.
      open = await this.#open()
    }
  }

  /** Until the first of the jobs may go on. */
  #restMs(): number {
    const first = Math.min(...[...this.#works.values()].map(work => work.notBefore - performance.now()))
    return Math.max(LOOK_AGAIN_MS, Math.min(first, NOTICE_MS))
  }

  /** One piece of a job; false where nothing more can be done now. What spoils one job leaves the others alone. */
  async #goOn(job: RemovalJob): Promise<boolean> {
    const work = this.#works.get(job.id) ?? { pieces: undefined, notBefore: 0, failures: 0 }
    this.#works.set(job.id, work)
    if (performance.now() < work.notBefore) return false
    try {
      work.pieces ??= this.#begin(job)
      const { value, done } = await work.pieces.next()
      if (done === true) {
        this.#works.delete(job.id)
        return false
      }
      if (Object.values(value.removed).some(count => count > 0)) work.failures = 0
      for (const lane of value.released ?? []) this.#options.engine.expect(lane, this.#options.now())
      if (value.mustWait === true) {
        work.notBefore = performance.now() + LOOK_AGAIN_MS
        return false
      }
      await rest(Math.max(1, value.ms * REST_PER_PIECE))
      return true
    } catch (error) {
      work.pieces = undefined
      // Nothing goes on without the database.
      if (error instanceof StoreUnavailable) throw error
      this.#putOff(job, work, error)
      return false
    }
  }

  /** Has a job that could not go on begin anew later. */
  #putOff(job: RemovalJob, work: Work, error: unknown): void {
    if (error instanceof Overtaken) {
      work.notBefore = performance.now() + LOOK_AGAIN_MS
      return
    }
    const retryMs = Math.min(FIRST_RETRY_MS * 2 ** work.failures, LONGEST_RETRY_MS)
    work.failures++
    work.notBefore = performance.now() + retryMs
    const what = job.kind === "erasure" ? { erasure: formatId("ers", job.id) } : { removal: job.id }
    this.#options.log.error(
      { err: error, ...what },
      `a removal could not go on; trying again in ${retryMs / 1_000} s, while the others go on`,
    )
  }

  #begin(job: RemovalJob): AsyncGenerator<RemovalPiece> {
    return job.kind === "erasure" ? this.#erasure(job) : this.#projectRemoval(job)
  }

  async *#projectRemoval(job: RemovalJob): AsyncGenerator<RemovalPiece> {
    const removal = JSON.parse(job.cursor) as ProjectRemoval
    const sheet = new Sheet(job)
    const parts = this.#parts(sheet)
    const going: Going = { project: removal.project, job: job.id }
    const told = (piece: RemovalPiece): RemovalPiece => {
      // Stands there from the next piece on.
      sheet.cursor = JSON.stringify({ ...removal, table: piece.table ?? null } satisfies ProjectRemoval)
      return piece
    }
    const beganAt = performance.now()
    for (;;) {
      let removed = 0
      for await (const piece of removeTraffic(parts, going)) {
        for (const count of Object.values(piece.removed)) removed += count
        yield told(piece)
      }
      const isOver = removed === 0 && performance.now() - beganAt >= SETTLING_MS && !(await isBeingSent(parts, going))
      if (!isOver) {
        yield { removed: {}, ms: 0, mustWait: true }
        continue
      }
      for await (const piece of removeRest(parts, going)) yield told(piece)
      let isGone = false
      yield await this.#piece(sheet, function* (commit) {
        isGone = yield* removeItself(going.project)
        const cursor = JSON.stringify({ ...removal, table: null } satisfies ProjectRemoval)
        if (isGone) yield* endRemoval({ ...sheet.job, cursor }, commit.now)
        return {}
      })
      if (!isGone) continue
      this.#options.log.info(
        { project: formatId("prj", going.project), removed: sheet.job.removed },
        "a project has gone",
      )
      return
    }
  }

  async *#erasure(job: RemovalJob): AsyncGenerator<RemovalPiece> {
    let erasure = JSON.parse(job.cursor) as Erasure
    const { profile, upTo, hash } = erasure
    const { project } = job
    if (profile === null || project === null) return
    const sheet = new Sheet(job)
    const parts = this.#parts(sheet)
    const erased = { project, profile, upTo }
    const write = (more: Partial<Erasure>): void => {
      erasure = { ...erasure, ...more }
      sheet.cursor = JSON.stringify(erasure)
    }
    if (erasure.phase === "events") {
      yield* eraseEvents(parts, erased, events => {
        write({ first: Math.min(erasure.first ?? Number.MAX_SAFE_INTEGER, ...events) })
      })
    }
    write({ phase: "traces" })
    yield* eraseTraces(parts, erased, erasure.first)
    const done: Erasure = { ...erasure, profile: null, phase: "done" }
    yield await this.#piece(sheet, function* (commit) {
      const key = `${erasureKey(project, hash)}/${job.id}`
      yield* endRemoval({ ...sheet.job, key, cursor: JSON.stringify(done) }, commit.now)
      return {}
    })
    this.#options.log.info({ erasure: formatId("ers", job.id), removed: sheet.job.removed }, "a person was erased")
  }

  /** Pieces that write down with what they remove how much it was. */
  #parts(sheet: Sheet): RemovalParts {
    return {
      store: this.#options.store,
      piece: async work => {
        let after = sheet.job
        const piece = await this.#piece(sheet, function* (commit) {
          // From what was written last: a commit that another one has crossed is made once more.
          const removed = yield* work(commit)
          after = { ...sheet.job, removed: addCounts(sheet.job.removed, removed) }
          yield* saveRemoval(after, commit.now)
          return removed
        })
        sheet.wrote(after)
        return piece
      },
    }
  }

  #piece(sheet: Sheet, work: (commit: Commit) => Step<RemovedCounts>): Promise<RemovalPiece> {
    return this.#options.store.ledger.inNextCommit(function* (commit) {
      const startedAt = performance.now()
      // Else what that one has counted would be written over.
      if (!(yield* isAsLeft(sheet.written))) throw new Overtaken("Another process goes on with this removal.")
      const removed = yield* work(commit)
      return { removed, ms: performance.now() - startedAt }
    })
  }
}

/** Takes back what a transaction has done, and says why. */
class Unclosed extends Error {
  readonly kind: "last" | "gone"

  constructor(kind: "last" | "gone") {
    super(`The project is not closed: ${kind}.`)
    this.kind = kind
  }
}

/** A job is not as this process has left it: another one leads, and has gone on with it. */
class Overtaken extends Error {}

/** A job as it was written down last, and as the next piece writes it down. */
class Sheet {
  #written: RemovalJob
  #cursor: string

  constructor(job: RemovalJob) {
    this.#written = job
    this.#cursor = job.cursor
  }

  get written(): RemovalJob {
    return this.#written
  }

  get job(): RemovalJob {
    return { ...this.#written, cursor: this.#cursor }
  }

  set cursor(cursor: string) {
    this.#cursor = cursor
  }

  wrote(job: RemovalJob): void {
    this.#written = job
  }
}

/** The key of the job that removes a project: of the token only its hash is kept. */
export function removalKey(token: string): string {
  return `project_removal/${hashToken(token)}`
}

/** One at a time of a profile; once it is done its key gets the job's id. */
function erasureKey(project: ProjectId, hash: string): string {
  return `erasure/${project}/${hash}`
}
