/**
 * How the sources hang together, kept by a test: which folder may import which, and where SQL, sockets, the environment,
 * the clock and timers may be touched. Each rule brings examples of what it forbids, so that it cannot fall asleep.
 */
import assert from "node:assert/strict"
import { readdirSync, readFileSync } from "node:fs"
import { dirname, join, posix, sep } from "node:path"
import test from "node:test"
import { lineOf, readSource } from "./help/source-text.ts"

const root = join(import.meta.dirname, "..")

/** A file or folder of src/ imports from lower floors and from its own folder; the uppermost imports from all. */
const floors: Readonly<Record<string, number>> = {
  domain: 0,
  log: 0,
  store: 1,
  connectors: 1,
  sources: 1,
  transport: 1,
  engine: 2,
  api: 3,
  main: 4,
  cli: 4,
  commands: 4,
  config: 4,
}
const uppermost = Math.max(...Object.values(floors))
/** The lowest floor that may listen for requests. */
const serves = 3

const { dependencies } = JSON.parse(readFileSync(join(root, "package.json"), "utf8")) as {
  dependencies: Record<string, string>
}

/**
 * Modules that open connections, and what of each is harmless: judging addresses, and a server of one's own. Connections
 * to others are made in transport alone, where the guard against private addresses stands.
 */
const socketModules: Readonly<Record<string, { readonly anywhere: readonly string[]; readonly serving?: string }>> = {
  undici: { anywhere: [] },
  "node:net": { anywhere: ["isIP", "isIPv4", "isIPv6", "BlockList"], serving: "createServer" },
  "node:http": { anywhere: ["STATUS_CODES", "METHODS", "validateHeaderName"], serving: "createServer" },
  "node:https": { anywhere: [], serving: "createServer" },
  "node:http2": { anywhere: [], serving: "createServer" },
  "node:tls": { anywhere: [] },
  "node:dgram": { anywhere: [] },
  "node:dns": { anywhere: [] },
  "node:dns/promises": { anywhere: [] },
  nodemailer: { anywhere: [] },
  "nodemailer/lib/smtp-connection": { anywhere: [] },
}

/** Statements at the beginning of a string, all small or all capital: a sentence may begin with "Select" or "Update". */
const statements = "select|insert(?: or [a-z]+)? into|update [a-z_]+ set|delete from|pragma|create table|alter table"
const sqlText = new RegExp(`(?<=["'\`]\\s*)(?:${statements}|${statements.toUpperCase()})\\s`, "g")

interface File {
  /** From the root, with forward slashes: `src/store/keys.ts`. */
  readonly path: string
  readonly text: string
}

interface Rule {
  /** What holds. It is the test's name and the end of each message. */
  readonly says: string
  /** Positions in the file at which it does not hold, with what stands there. */
  find(file: File): Iterable<{ readonly at: number; readonly what: string }>
  /** Files that break it once each. */
  readonly broken: readonly File[]
  /** Files that look as if they broke it. */
  readonly sound?: readonly File[]
}

const rules: readonly Rule[] = [
  {
    says: "a file imports only from lower floors or its own folder",
    *find({ path, text }) {
      const from = homeOf(path)
      const floor = floors[from]
      if (floor === undefined) yield { at: 0, what: `${from} has no floor` }
      for (const { specifier, at } of importsOf(text)) {
        if (!specifier.startsWith(".")) continue
        const target = posix.join(dirname(path), specifier)
        const home = homeOf(target)
        const lower = target.startsWith("src/") && (floors[home] ?? uppermost) < (floor ?? 0)
        if (home === from || lower || (floor === uppermost && target.startsWith("src/"))) continue
        yield { at, what: `imports ${target}` }
      }
    },
    broken: [
      { path: "src/domain/route.ts", text: '/** x */\nimport { openLog } from "../log.ts"\n' },
      { path: "src/store/keys.ts", text: 'import type {\n  Lane,\n  Claim,\n} from "../engine/lane.ts"' },
      { path: "src/store/keys.ts", text: 'const { send } = await import("../transport/http.ts")' },
      { path: "src/engine/lane.ts", text: 'export { version } from "../config.ts"' },
      { path: "src/cli.ts", text: 'import { boot } from "../test/help/boot.ts"' },
      { path: "src/tools/a.ts", text: "" },
    ],
    sound: [
      { path: "src/engine/lane.ts", text: 'import { sql } from "../store/database.ts"\nimport "./feed.ts"' },
      { path: "src/log.ts", text: '// import { x } from "./engine/lane.ts"' },
    ],
  },
  {
    says: "a package that src imports is among the dependencies that are published",
    *find({ text }) {
      for (const { specifier, at } of importsOf(text)) {
        if (/^(\.|node:)/.test(specifier)) continue
        const name = specifier
          .split("/")
          .slice(0, specifier.startsWith("@") ? 2 : 1)
          .join("/")
        if (dependencies[name] === undefined) yield { at, what: `imports ${name}` }
      }
    },
    broken: [{ path: "src/api/server.ts", text: 'import { Webhook } from "standardwebhooks"' }],
    sound: [
      { path: "src/api/server.ts", text: 'import swagger from "@fastify/swagger"\nimport { join } from "node:path"' },
    ],
  },
  {
    says: "SQL is written in src/store only",
    *find({ path, text }) {
      if (path.startsWith("src/store/")) return
      for (const { specifier, at } of importsOf(text))
        if (specifier === "node:sqlite") yield { at, what: "imports SQLite" }
      const { code, bare } = readSource(text)
      yield* matches(bare, /\bsql\s*`/g)
      yield* matches(code, sqlText)
    },
    broken: [
      { path: "src/api/events.ts", text: "await db.query(sql`vacuum`)" },
      { path: "src/api/events.ts", text: 'connection.prepare("select 1 from event")' },
      { path: "src/cli.ts", text: "connection.exec(`\n  update delivery set due_at = 1`)" },
      { path: "src/cli.ts", text: 'connection.exec("DELETE FROM event")' },
      { path: "src/engine/keeper.ts", text: 'import { DatabaseSync } from "node:sqlite"' },
    ],
    sound: [{ path: "src/domain/reason.ts", text: 'const advice = "Update the URL, or select another one."' }],
  },
  {
    says: "connections to others are made in src/transport only",
    *find({ path, text }) {
      const home = homeOf(path)
      if (home === "transport") return
      for (const { specifier, names, at } of importsOf(text)) {
        const module = socketModules[specifier] ?? socketModules[`node:${specifier}`]
        if (module === undefined) continue
        const serving = (floors[home] ?? 0) >= serves && module.serving
        for (const name of names) {
          if (!module.anywhere.includes(name) && name !== serving) yield { at, what: `imports ${name} of ${specifier}` }
        }
      }
      const { bare } = readSource(text)
      yield* matches(bare, /\bnew (WebSocket|EventSource)\b/g)
      // The command line is a client of the API, on the caller's own machine and not on the server's behalf.
      if (home !== "commands") yield* matches(bare, /(?<![.\w#]|function )fetch\s*\(|\bglobalThis\.fetch\b/g)
    },
    broken: [
      { path: "src/engine/deliver.ts", text: 'import { request, type Dispatcher } from "undici"' },
      { path: "src/api/server.ts", text: 'import * as http from "node:http"' },
      { path: "src/api/server.ts", text: 'import net from "node:net"' },
      { path: "src/engine/engine.ts", text: 'import { createServer } from "node:http"' },
      { path: "src/connectors/slack.ts", text: "const answer = await fetch(url)" },
    ],
    sound: [
      { path: "src/config.ts", text: 'import { isIP } from "node:net"' },
      { path: "src/api/server.ts", text: 'import type { IncomingMessage } from "node:http"\n// fetch(url)' },
      {
        path: "src/commands/listen.ts",
        text: 'import { createServer, type Server } from "node:http"\nawait fetch(url)',
      },
    ],
  },
  {
    says: "the environment is read in src/config.ts only",
    *find({ path, text }) {
      if (path === "src/config.ts") return
      yield* matches(readSource(text).bare, /\bprocess\s*\??\.\s*env\b|\benv\b[^=\n]*\}\s*=\s*process\b/g)
      for (const { specifier, names, at } of importsOf(text)) {
        if (specifier === "node:process" && names.includes("env")) yield { at, what: "imports env" }
      }
    },
    broken: [
      { path: "src/main.ts", text: 'const port = process.env["PORT"]' },
      { path: "src/main.ts", text: "const { env } = process" },
      { path: "src/main.ts", text: 'import { env } from "node:process"' },
    ],
    sound: [{ path: "src/main.ts", text: "const usage = `what process.env holds`" }],
  },
  {
    says: "the clock is read in src/main.ts and src/cli.ts only, which hand it on",
    *find({ path, text }) {
      if (path === "src/main.ts" || path === "src/cli.ts") return
      yield* matches(readSource(text).bare, /\bDate\s*\.\s*now\b|\bnew Date\b(?!\s*\(\s*[^)\s])/g)
    },
    broken: [
      { path: "src/engine/lane.ts", text: "const at = Date.now()" },
      { path: "src/engine/lane.ts", text: "const clock = Date.now" },
      { path: "src/api/events.ts", text: `const text = \`at \${new Date().toISOString()}\`` },
    ],
    sound: [{ path: "src/api/events.ts", text: "new Date(at).toISOString()" }],
  },
  {
    says: "timers run in src/engine, src/transport, src/commands and src/api/stream.ts only",
    *find({ path, text }) {
      if (/^src\/(engine|transport|commands)\/|^src\/api\/stream\.ts$/.test(path)) return
      yield* matches(readSource(text).bare, /(?<![.\w])(setTimeout|setInterval)\b|\bAbortSignal\.timeout\b/g)
      for (const { specifier, at } of importsOf(text)) {
        if (/^(node:)?timers/.test(specifier)) yield { at, what: `imports ${specifier}` }
      }
    },
    broken: [
      { path: "src/store/parts.ts", text: "setTimeout(() => done(), 5)" },
      { path: "src/store/parts.ts", text: "const signal = AbortSignal.timeout(5)" },
      { path: "src/api/events.ts", text: 'import { scheduler } from "node:timers/promises"' },
    ],
    sound: [{ path: "src/api/stream.ts", text: "setInterval(beat, 15_000)" }],
  },
  {
    says: "a file has at most 450 lines",
    *find({ text }) {
      const lines = text.trimEnd().split("\n").length
      if (lines > 450) yield { at: text.length - 1, what: `has ${lines} lines` }
    },
    broken: [{ path: "src/api/events.ts", text: "x\n".repeat(451) }],
    sound: [{ path: "src/api/events.ts", text: "x\n".repeat(450) }],
  },
  {
    says: "a program file lies in src or in a folder of it, no deeper",
    *find({ path }) {
      if (path.endsWith(".ts") && path.split("/").length > 3) yield { at: 0, what: "lies too deep" }
    },
    broken: [{ path: "src/api/events/read.ts", text: "" }],
    sound: [{ path: "src/store/migrations/001_start.sql", text: "" }],
  },
  {
    says: "a file begins by saying in a comment what it is",
    *find({ path, text }) {
      const first = text.replace(/^#!.*\n/, "")
      if (!(path.endsWith(".sql") ? /^--\s*\w/ : /^(\/\/\s*\w|\/\*\*\s+(\*\s+)?\S)/).test(first)) {
        yield { at: 0, what: "begins without one" }
      }
    },
    broken: [
      { path: "src/main.ts", text: 'import { join } from "node:path"' },
      { path: "src/store/migrations/002_more.sql", text: "alter table event add column x integer" },
    ],
    sound: [{ path: "src/cli.ts", text: "#!/usr/bin/env node\n/**\n * The command line.\n */" }],
  },
]

for (const rule of rules) {
  test(rule.says, () => {
    assert.equal(
      sourceFiles()
        .flatMap(file => messages(rule, file))
        .join("\n"),
      "",
    )
  })
}

test("each of these rules finds what it forbids, and nothing else", () => {
  for (const rule of rules) {
    for (const file of rule.broken) assert.equal(messages(rule, file).length, 1, `"${rule.says}" in:\n${file.text}`)
    for (const file of rule.sound ?? []) assert.deepEqual(messages(rule, file), [], `"${rule.says}" in:\n${file.text}`)
  }
})

/** What breaks a rule in a file: `src/store/keys.ts:4 imports src/engine/lane.ts: a file imports only from …`. */
function messages(rule: Rule, file: File): string[] {
  return [...rule.find(file)].map(({ at, what }) => `${file.path}:${lineOf(file.text, at)} ${what}: ${rule.says}.`)
}

function sourceFiles(): File[] {
  return readdirSync(join(root, "src"), { recursive: true, withFileTypes: true })
    .filter(entry => entry.isFile() && /\.(ts|sql)$/.test(entry.name))
    .map(entry => join(entry.parentPath, entry.name))
    .sort()
    .map(path => ({ path: path.slice(root.length + 1).replaceAll(sep, "/"), text: readFileSync(path, "utf8") }))
}

/** The folder of src/ in which a file lies, or its own name where it lies in src/ itself. */
function homeOf(path: string): string {
  return (path.split("/")[1] ?? "").replace(/\.ts$/, "")
}

interface Import {
  readonly specifier: string
  /** What is imported as a value, by its name in that module; `*` for all of it, `default`. */
  readonly names: readonly string[]
  readonly at: number
}

/** Everything that a file imports or passes on, also for its types only or while it runs. */
function importsOf(text: string): Import[] {
  const { code } = readSource(text)
  const clause = /^(?:import|export)\s+(type\s+)?((?:\*|\{|\w)[^"'=();]*?)\s*from\s*["']([^"']+)["']/gm
  const bare = /^import\s*["']([^"']+)["']|\bimport\(\s*["']([^"']+)["']/gm
  const named = [...code.matchAll(clause)].map(match => {
    const [, type, names = "", specifier = ""] = match
    return { specifier, names: type === undefined ? valueNames(names) : [], at: match.index }
  })
  const whole = [...code.matchAll(bare)].map(match => ({
    specifier: match[1] ?? match[2] ?? "",
    names: ["*"],
    at: match.index,
  }))
  return [...named, ...whole]
}

/** `net, { isIP, type Socket, connect as open }` gives default, isIP and connect. */
function valueNames(clause: string): string[] {
  const [, outside = "", inside = ""] = /^([^{]*)(?:\{([^}]*)\})?/.exec(clause) ?? []
  const whole = outside
    .split(",")
    .map(name => name.trim())
    .filter(name => name !== "")
  const listed = inside
    .split(",")
    .map(name => name.trim())
    .filter(name => name !== "" && !name.startsWith("type "))
  return [
    ...whole.map(name => (name.startsWith("*") ? "*" : "default")),
    ...listed.map(name => name.split(/\s+as\s+/)[0] ?? name),
  ]
}

function* matches(text: string, pattern: RegExp): Iterable<{ at: number; what: string }> {
  for (const match of text.matchAll(pattern)) yield { at: match.index, what: `has \`${match[0].trim()}\`` }
}
