/** Requests that are nearly right: made from the server's own OpenAPI document, then spoilt. Seeded, so that a run repeats. */
import type { Operation } from "./document.ts"

/** A stream of random choices that a seed determines (mulberry32). */
export class Chance {
  #state: number

  constructor(seed: number) {
    this.#state = seed >>> 0
  }

  /** From 0 to 1. */
  next(): number {
    this.#state = (this.#state + 0x6d2b79f5) >>> 0
    let t = this.#state
    t = Math.imul(t ^ (t >>> 15), t | 1)
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61)
    return ((t ^ (t >>> 14)) >>> 0) / 4_294_967_296
  }

  below(limit: number): number {
    return Math.floor(this.next() * limit)
  }

  one<T>(choices: readonly T[]): T {
    const choice = choices[this.below(choices.length)]
    if (choice === undefined) throw new Error("Nothing to choose from.")
    return choice
  }

  is(probability: number): boolean {
    return this.next() < probability
  }
}

export interface FuzzRequest {
  readonly method: string
  readonly path: string
  readonly headers: Readonly<Record<string, string>>
  readonly body: string | Buffer | null
}

type Schema = Readonly<Record<string, unknown>>

const oddTexts = [
  "",
  " ",
  "a".repeat(300),
  "x".repeat(5_000),
  "é€😀",
  "\u0000",
  "line\nbreak",
  "\u202egnp.exe",
  "__proto__",
  "constructor",
  "../../etc/passwd",
  "' or 1=1 --",
  "%00",
  "{{7*7}}",
  "evt_00000000000",
  "2026-13-45T99:99:99Z",
  "-1",
  "1e999",
  "waybill.secret",
  "trial_*",
]
const oddValues: readonly unknown[] = [
  null,
  true,
  0,
  -1,
  1.5,
  2 ** 53,
  -(2 ** 63),
  1e300,
  [],
  {},
  [[[[]]]],
  { __proto__: null, set: true },
  ["a", 1, null],
  { a: { b: { c: { d: {} } } } },
]
/** URLs that nobody answers at once: what is fuzzed is Waybill, not the network. */
const urls = [
  "http://127.0.0.1:9/hook",
  "http://10.0.0.1/",
  "https://user:pw@127.0.0.1/",
  "ftp://x",
  "not a url",
  "http://127.0.0.1:22/",
]
const spoilers = [
  "truncate",
  "trailing",
  "garbage",
  "bom",
  "invalid utf-8",
  "deep",
  "wrong type",
  "gzip",
  "none",
] as const

/** Makes one request for an operation. `ids` are ids of real things by their kind, to be used now and then. */
export function fuzzRequest(
  chance: Chance,
  operation: Operation,
  ids: Readonly<Record<string, readonly string[]>>,
): FuzzRequest {
  const parameters = (operation.raw["parameters"] ?? []) as {
    name: string
    in: string
    schema: Schema
    required?: boolean
  }[]
  const known = Object.values(ids).flat()
  const path = operation.path.replace(/\{\w+\}/g, () => {
    const fitting = ids[kindOf(operation.path)] ?? known
    if (fitting.length > 0 && chance.is(0.7)) return encodeURIComponent(chance.one(fitting))
    return encodeURIComponent(chance.is(0.5) && known.length > 0 ? chance.one(known) : chance.one(oddTexts) || "x")
  })
  const query = parameters
    .filter(parameter => parameter.in === "query" && chance.is(0.3))
    .map(
      ({ name, schema }) =>
        `${name}=${encodeURIComponent(String(chance.is(0.8) ? sample(chance, schema, ids) : chance.one(oddTexts)))}`,
    )
  if (chance.is(0.03)) query.push(`unknown=${chance.below(10)}`)
  const url = query.length > 0 ? `${path}?${query.join("&")}` : path
  const headers: Record<string, string> = {}
  if (chance.is(0.05))
    headers["idempotency-key"] = chance.one([
      "abc",
      '"quoted"',
      `"${"k".repeat(300)}"`,
      "ü".normalize("NFD").slice(0, 1),
      "k1",
    ])
  const body = bodyOf(chance, operation, ids, headers)
  return { method: operation.method, path: url, headers, body }
}

function bodyOf(
  chance: Chance,
  operation: Operation,
  ids: Readonly<Record<string, readonly string[]>>,
  headers: Record<string, string>,
): string | Buffer | null {
  const contents = (operation.raw["requestBody"] as { content?: Record<string, { schema?: Schema }> } | undefined)
    ?.content
  const schema = contents === undefined ? undefined : Object.values(contents)[0]?.schema
  if (schema === undefined) return null
  headers["content-type"] = "application/json"
  let value = sample(chance, schema, ids)
  for (let spoilt = chance.below(3); spoilt > 0; spoilt--) value = spoil(chance, value)
  const text = JSON.stringify(value) ?? ""
  if (!chance.is(0.15)) return text
  switch (chance.one(spoilers)) {
    case "truncate":
      return text.slice(0, chance.below(text.length + 1))
    case "trailing":
      return `${text},`
    case "garbage":
      return chance.one(["[", '{"a":', "nul", "{'a':1}", "01", "\u0000"])
    case "bom":
      return `\ufeff${text}`
    case "invalid utf-8":
      return Buffer.concat([Buffer.from(text.slice(0, -1)), Buffer.from([0xff, 0xc0, 0x7d])])
    case "deep":
      return `{"type":"a","data":${"[".repeat(5_000)}${"]".repeat(5_000)}}`
    case "wrong type":
      headers["content-type"] = chance.one([
        "text/plain",
        "application/xml",
        "application/json;charset",
        "\tapplication/json",
        "application/cloudevents+json",
        "application/cloudevents-batch+json",
        "application/cloudevents+avro",
      ])
      return text
    case "gzip":
      headers["content-encoding"] = chance.one(["gzip", "br", "gzip, gzip"])
      return text
    case "none":
      return ""
  }
}

/** A value that a schema takes, or nearly. */
function sample(chance: Chance, schema: Schema, ids: Readonly<Record<string, readonly string[]>>, name = ""): unknown {
  if (name === "url") return chance.is(0.7) ? urls[0] : chance.one(urls)
  // One that is small would have all that follows refused unread.
  if (name === "max_requests_per_minute") return chance.is(0.9) ? null : 1_000_000
  if (name === "verification") return chance.is(0.9) ? "none" : "json"
  const branches = (schema["anyOf"] ?? schema["oneOf"]) as readonly Schema[] | undefined
  if (branches !== undefined) return sample(chance, chance.one(branches), ids, name)
  if ("const" in schema) return schema["const"]
  if (Array.isArray(schema["enum"])) return chance.one(schema["enum"] as unknown[])
  const type = Array.isArray(schema["type"]) ? chance.one(schema["type"] as string[]) : schema["type"]
  switch (type) {
    case "object":
      return sampleObject(chance, schema, ids, name)
    case "array":
      return Array.from({ length: chance.below(4) }, () => sample(chance, (schema["items"] ?? {}) as Schema, ids))
    case "integer":
      return Number(schema["minimum"] ?? 0) + chance.below(Math.min(1_000, Number(schema["maximum"] ?? 1_000)))
    case "number":
      return Number(schema["minimum"] ?? 0) + chance.next() * 0.4
    case "boolean":
      return chance.is(0.5)
    case "null":
      return null
    case "string":
      if (schema["format"] === "date-time") return new Date(1.79e12 + chance.below(1e9)).toISOString()
      return chance.is(0.3) ? chance.one(Object.values(ids).flat()) : `v${chance.below(50)}`
    default:
      return chance.one([1, "text", { plan: "pro", amount: 12 }, [1, 2], null])
  }
}

function sampleObject(
  chance: Chance,
  schema: Schema,
  ids: Readonly<Record<string, readonly string[]>>,
  name: string,
): unknown {
  if (name === "config") return { production: { url: urls[0] }, verification: "none" }
  if (name === "filter")
    return chance.one([{ eq: ["type", "a"] }, { and: [{ gt: ["data.amount", 3] }, { not: { exists: ["app"] } }] }])
  const properties = (schema["properties"] ?? {}) as Record<string, Schema>
  const required = (schema["required"] ?? []) as string[]
  const members = Object.entries(properties).filter(([key]) => required.includes(key) || chance.is(0.4))
  return Object.fromEntries(members.map(([key, inner]) => [key, sample(chance, inner, ids, key)]))
}

/** Changes one thing somewhere in a value. */
function spoil(chance: Chance, value: unknown): unknown {
  if (typeof value !== "object" || value === null || chance.is(0.15)) {
    return chance.is(0.5) ? chance.one(oddTexts) : chance.one(oddValues)
  }
  if (Array.isArray(value)) {
    const list = [...value]
    if (list.length === 0) return chance.is(0.5) ? list : [chance.one(oddValues)]
    const at = chance.below(list.length)
    list[at] = spoil(chance, list[at])
    return list
  }
  const members = new Map(Object.entries(value))
  const keys = [...members.keys()]
  const what = keys.length === 0 ? "add" : chance.one(["add", "drop", "change", "change", "change"] as const)
  if (what === "add") members.set(chance.one(["extra", "__proto__", "type", "id", ""]), chance.one(oddValues))
  else {
    const key = chance.one(keys)
    if (what === "drop") members.delete(key)
    else members.set(key, spoil(chance, members.get(key)))
  }
  return Object.fromEntries(members)
}

function kindOf(path: string): string {
  return path.split("/")[2] ?? ""
}
