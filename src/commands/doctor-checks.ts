/** What `waybill doctor` looks at, one question a function; each finding is a verdict and a sentence that says what to do. */
import { accessSync, constants, existsSync, readFileSync, type Stats, statfsSync, statSync } from "node:fs"
import { isIP } from "node:net"
import { resolve } from "node:path"
import { setTimeout as wait } from "node:timers/promises"
import { type Config, proxyVariables } from "../config.ts"
import { readSealingKeys } from "../domain/sealing-key.ts"
import { formatDuration } from "../domain/sentence.ts"
import type { FileFacts } from "../store/look.ts"
import { type EgressRules, isListedName, parseEgressAllow } from "../transport/guard.ts"
import { NetworkResolver } from "../transport/resolve.ts"
import { codeOf } from "./fault.ts"
import { databaseIn, type FolderTools, keyFileIn } from "./folder.ts"
import { formatBytes } from "./terminal.ts"

/** `wrong`: it does not work, or not safely. `doubtful`: it works, and somebody should know. */
export type Verdict = "good" | "doubtful" | "wrong"

export interface Finding {
  readonly subject: string
  readonly verdict: Verdict
  readonly message: string
}

const OLDEST_NODE = 26
const MIN_FREE_BYTES = 256_000_000
const FEW_FREE_BYTES = 1_000_000_000
/** A commit that takes longer limits what one connection can accept to a handful of events a second. */
export const SLOW_COMMIT_MS = 50
/** Faster than any disk that has made it durable, though not than one with a cache of its own and a battery. */
const HASTY_COMMIT_MS = 0.05
const CLOCK_TRIAL_MS = 250
const CLOCK_DRIFT_MS = 50
/** Names asked for at most: enough to tell a name from the resolver. */
const MAX_NAMES = 10
/** Reserved for examples by RFC 2606, and answered everywhere. */
const SOME_NAME = "example.com"

/** A finding of each verdict. */
export const good = (subject: string, message: string): Finding => ({ subject, verdict: "good", message })
export const doubtful = (subject: string, message: string): Finding => ({ subject, verdict: "doubtful", message })
export const wrong = (subject: string, message: string): Finding => ({ subject, verdict: "wrong", message })

/** The Node that runs this. */
export function checkNode(): Finding {
  const { node } = process.versions
  return Number.parseInt(node, 10) >= OLDEST_NODE
    ? good("node", `Node ${node}.`)
    : wrong("node", `Node ${node} is too old: Waybill needs ${OLDEST_NODE} or newer.`)
}

/** Whether this user has the folder, and has it alone. */
export function checkFolder(dataDir: string, { upkeep }: FolderTools): Finding {
  const folder = resolve(dataDir)
  const stats = statSync(folder, { throwIfNoEntry: false })
  if (stats === undefined) return doubtful("data folder", `${folder} is not there yet: the first start makes it.`)
  if (!stats.isDirectory()) return wrong("data folder", `${folder} is no folder. Name another with WAYBILL_DATA_DIR.`)
  try {
    accessSync(folder, constants.R_OK | constants.W_OK | constants.X_OK)
  } catch (error) {
    return wrong("data folder", `${folder} cannot be written by this user (${codeOf(error)}). Give it to this user.`)
  }
  if (othersMay(stats, 0o022)) return wrong("data folder", `Others may write to ${folder}: chmod go-w ${folder}`)
  const user = process.getuid?.()
  if (user !== undefined && stats.uid !== user) {
    return doubtful(
      "data folder",
      `${folder} belongs to user ${stats.uid}, this is user ${user}. Run both as the same.`,
    )
  }
  if (othersMay(stats, 0o044)) {
    return doubtful(
      "data folder",
      `Others on this machine may look into ${folder}, which holds payloads: chmod go-rx ${folder}`,
    )
  }
  const owner = upkeep.isOwned(dataDir) ? "a running Waybill has it" : "no Waybill runs on it"
  return good("data folder", `${folder} belongs to this user alone; ${owner}.`)
}

/** What the file says of itself; `facts` is an error where it could not be read. */
export function checkDatabase(dataDir: string, facts: FileFacts | Error | null, { store }: FolderTools): Finding {
  const path = databaseIn(dataDir)
  if (facts === null) return doubtful("database", `${path} is not there yet: the first start makes it.`)
  if (facts instanceof Error) {
    const fault = store.asFault(facts, dataDir)
    return wrong("database", fault instanceof Error ? fault.message : facts.message)
  }
  try {
    store.checkVersion(path, facts.version)
  } catch (error) {
    return wrong("database", error instanceof Error ? error.message : String(error))
  }
  return facts.isWal
    ? good("database", `${path} has schema ${facts.version} and keeps a write-ahead log.`)
    : doubtful("database", `${path} keeps no write-ahead log yet, as a backup does not; the next start changes that.`)
}

/** Reads all of the database. */
export function checkIntegrity(dataDir: string, { look }: FolderTools): Finding {
  const faults = look.faultsIn(databaseIn(dataDir))
  if (faults.length === 0) return good("integrity", "All of the database was read without a fault.")
  return wrong(
    "integrity",
    `The database is damaged (${faults.join("; ")}). Put back a backup with \`waybill restore\`.`,
  )
}

/** Whether commits are durable on this disk, and how long they take. */
export function checkCommits(dataDir: string, { upkeep }: FolderTools): Finding {
  try {
    const { median, text: measured } = measureOf(upkeep.tryCommits(dataDir))
    if (median > SLOW_COMMIT_MS) return doubtful("durability", `The disk is slow (${measured}). Use a faster one.`)
    if (median < HASTY_COMMIT_MS) {
      return doubtful("durability", `The disk answers before it can have written (${measured}): is it in memory only?`)
    }
    return good("durability", `Write-ahead log, synchronous=FULL; ${measured}.`)
  } catch (error) {
    return wrong("durability", `Commits cannot be made durable here: ${error instanceof Error ? error.message : error}`)
  }
}

/** How long commits took, in ms, and the same in words. */
export function measureOf(timesMs: readonly number[]): { readonly median: number; readonly text: string } {
  const times = [...timesMs].sort((a, b) => a - b)
  const median = times[Math.floor(times.length / 2)] ?? 0
  const slowest = times.at(-1) ?? 0
  const text = `${times.length} commits: half of them within ${median.toFixed(2)} ms, all within ${slowest.toFixed(1)} ms`
  return { median, text }
}

/** Whether the disk has room. */
export function checkSpace(dataDir: string): Finding {
  const { bavail, bsize, blocks } = statfsSync(dataDir)
  const free = bavail * bsize
  const text = `${formatBytes(free)} of ${formatBytes(blocks * bsize)} are free`
  if (free < MIN_FREE_BYTES) return wrong("disk", `${text}: events will soon be refused. Make room.`)
  return free < FEW_FREE_BYTES ? doubtful("disk", `${text}, which is not much. Make room.`) : good("disk", `${text}.`)
}

/** Whether the key that seals secrets is there, is the right one, and is seen by nobody else. */
export function checkKey(
  { dataDir, secretKey }: Config,
  facts: Pick<FileFacts, "keysInUse"> | Error | null,
  { secretKey: keyTools }: Pick<FolderTools, "secretKey">,
): Finding {
  const file = keyFileIn(dataDir)
  const inUse = facts === null || facts instanceof Error ? [] : facts.keysInUse
  if (secretKey === null && !existsSync(file)) {
    return inUse.length === 0
      ? good("key", `There is no key yet: the first start makes ${file}.`)
      : wrong(
          "key",
          `${file} is missing, and the database's secrets need it: put it back, or set WAYBILL_SECRET_KEY to it.`,
        )
  }
  const keys = readSealingKeys(secretKey ?? textOf(file))
  if (keys === undefined) return wrong("key", `${file} cannot be read, or holds no key of 32 bytes as base64.`)
  const missing = keyTools.missingFrom(keys, inUse)
  const which = secretKey === null ? file : "WAYBILL_SECRET_KEY"
  if (missing.length > 0) {
    return missing.length === inUse.length
      ? wrong("key", `The database's secrets were sealed with another key than ${which}. Put back the old one.`)
      : wrong("key", `Some of the database's secrets are sealed with the key ${missing[0]}: put it back into ${which}.`)
  }
  if (secretKey !== null) return good("key", "WAYBILL_SECRET_KEY opens the database's secrets.")
  return othersMay(statSync(file), 0o077)
    ? wrong("key", `Others on this machine may read ${file}: chmod 600 ${file}`)
    : good("key", `${file} opens the database's secrets, and is for this user alone.`)
}

/** Whether the clock stands where it should, and goes on evenly. */
export async function checkClock(
  facts: Pick<FileFacts, "lastEventAt"> | Error | null,
  now: () => number,
): Promise<Finding> {
  const [wall, steady] = [now(), performance.now()]
  await wait(CLOCK_TRIAL_MS)
  const driftMs = Math.abs(now() - wall - (performance.now() - steady))
  const lastEventAt = facts === null || facts instanceof Error ? null : facts.lastEventAt
  if (lastEventAt !== null && lastEventAt > now() + 1_000) {
    const behind = formatDuration(lastEventAt - now())
    return wrong(
      "clock",
      `The clock stands ${behind} before the last event's time: set it right, or events get wrong times.`,
    )
  }
  if (driftMs > CLOCK_DRIFT_MS) {
    const drift = formatDuration(driftMs)
    return doubtful("clock", `The clock jumped by ${drift} while it was watched. Let it be kept in step, not set.`)
  }
  const since =
    lastEventAt === null ? "" : `; the last event came ${formatDuration(Math.max(0, now() - lastEventAt))} ago`
  return good("clock", `It is ${new Date(now()).toISOString()}, and time passes evenly${since}.`)
}

/** What integrations may reach, and whether the names that they point to are found. */
export async function checkEgress(
  config: Config,
  isLoopback: boolean,
  hosts: readonly string[],
): Promise<readonly Finding[]> {
  const reading = parseEgressAllow(config.egressAllow)
  if (reading.kind === "invalid") return [wrong("egress", `WAYBILL_EGRESS_ALLOW is wrong: ${reading.message}`)]
  const listed = config.egressAllow === "" ? "" : `, and ${config.egressAllow}`
  const loopback = isLoopback
    ? `loopback, because HOST=${config.host} is`
    : `no loopback, because HOST=${config.host} is none`
  const rules: EgressRules = { loopback: isLoopback, allow: reading.allow }
  return [
    good("egress", `Integrations may reach public addresses${listed}; ${loopback}.`),
    ...proxyVariables().map(name =>
      doubtful(
        "proxy",
        `${name} is set, but requests to integrations never go through a proxy of the environment: unset it.`,
      ),
    ),
    ...(await checkNames(hosts, rules)),
  ]
}

async function checkNames(hosts: readonly string[], rules: EgressRules): Promise<Finding[]> {
  const names = hosts.filter(host => isIP(host.replace(/^\[|\]$/g, "")) === 0 && !/(^|\.)localhost$/.test(host))
  const asked = names.length === 0 ? [SOME_NAME] : names.slice(0, MAX_NAMES)
  const resolver = new NetworkResolver()
  const findings = await Promise.all(
    asked.map(async name => {
      const startedAt = performance.now()
      const answer = await resolver.resolve(name, isListedName(name, rules) ? "system" : "dns")
      const took = Math.round(performance.now() - startedAt)
      if (answer.kind === "found") return good("dns", `${name} was found in ${took} ms.`)
      const message = `${name} is not found (${answer.code}).`
      if (names.length === 0) {
        return doubtful("dns", `${message} Integrations outside need a name server: see /etc/resolv.conf.`)
      }
      return wrong("dns", `${message} An integration points there: check its URL and the name server.`)
    }),
  )
  return findings
}

/** Empty where the file cannot be read. */
function textOf(file: string): string {
  try {
    return readFileSync(file, "utf8").trim()
  } catch {
    // Somebody else's: the finding says so.
    return ""
  }
}

/** Whether others than its user have one of these rights; never on Windows, which keeps them elsewhere. */
function othersMay({ mode }: Stats, rights: number): boolean {
  return process.platform !== "win32" && (mode & rights) !== 0
}
