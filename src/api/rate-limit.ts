/**
 * How many requests a minute an API key, and all keys of a project together, may make (API-54). Answers say what is left,
 * in the fields of draft-ietf-httpapi-ratelimit-headers-11. Kept in memory, by each process for itself: of a quota that
 * several processes share each gives out its part. Where nothing is limited it costs nothing and says nothing.
 */
import type { FastifyReply } from "fastify"
import { Type } from "typebox"
import { type Level, levelAt, secondsToNext } from "../domain/quota.ts"
import type { Project } from "../store/projects.ts"
import type { Caller } from "./access.ts"
import { Problem } from "./problem.ts"
import { Nullable } from "./schemas.ts"

/** The field of a key or a project that says so; null: any number. */
export function MaxRequests(description: string) {
  return Type.Optional(Nullable(Type.Integer({ minimum: 1, maximum: 1_000_000 }), description))
}

/** So many buckets are remembered; a full one is as good as none. */
const MOST_BUCKETS = 10_000

/** One of the quotas that a request uses up. `id` is that of the key or the project: no two things share one. */
interface Quota {
  readonly name: "key" | "project"
  readonly id: number
  readonly perMinute: number
}

export class Rates {
  readonly #now: () => number
  readonly #processes: () => number
  readonly #levels = new Map<number, Level>()

  /** `processes`: how many share the quotas. */
  constructor(parts: { now: () => number; processes: () => number }) {
    this.#now = parts.now
    this.#processes = parts.processes
  }

  /** Takes one request from the quotas of its key, and notes on the answer what is left; the problem where nothing is. */
  admit({ key }: Pick<Caller, "key">, project: Project | undefined, reply: FastifyReply): Problem | undefined {
    // People are not counted: whoever has to put an end to a flood gets in.
    if (key === null) return undefined
    // Customers' pages take nothing of the owner's quota, and are not told of it.
    const ofProject = key.kind === "portal" ? null : (project?.maxRequestsPerMinute ?? null)
    if (key.maxRequestsPerMinute === null && ofProject === null) return undefined
    const quotas: Quota[] = []
    if (key.maxRequestsPerMinute !== null) quotas.push({ name: "key", id: key.id, perMinute: key.maxRequestsPerMinute })
    if (ofProject !== null) quotas.push({ name: "project", id: key.project, perMinute: ofProject })
    return this.#take(quotas, reply)
  }

  #take(quotas: readonly Quota[], reply: FastifyReply): Problem | undefined {
    const [now, processes] = [this.#now(), Math.max(1, this.#processes())]
    const levels = quotas.map(({ id, perMinute }) => levelAt(this.#levels.get(id), perMinute, processes, now))
    const violated = quotas.filter((_, i) => (levels[i]?.left ?? 0) < 1)
    const after = levels.map(level => (violated.length === 0 ? { ...level, left: level.left - 1 } : level))
    if (this.#levels.size > MOST_BUCKETS) this.#levels.clear()
    const standing = quotas.map((quota, i) => {
      const level = after[i] ?? { left: 0, at: now }
      this.#levels.set(quota.id, level)
      return { ...quota, left: Math.floor(level.left), seconds: secondsToNext(level, quota.perMinute, processes) }
    })
    reply.header("ratelimit-policy", standing.map(({ name, perMinute }) => `"${name}";q=${perMinute};w=60`).join(", "))
    reply.header("ratelimit", standing.map(({ name, left, seconds }) => `"${name}";r=${left};t=${seconds}`).join(", "))
    if (violated.length === 0) return undefined
    const names = violated.map(({ name }) => name)
    const which = violated.map(({ name, perMinute }) => `the ${name} may make ${perMinute} requests a minute`)
    const wait = Math.max(...standing.filter(({ name }) => names.includes(name)).map(({ seconds }) => seconds))
    return new Problem(
      "quota_exceeded",
      `Too many requests: ${which.join(", and ")}. Nothing of this one was done; send it again in ${wait} s.`,
      { extra: { "violated-policies": names }, retryAfterSeconds: wait },
    )
  }
}
