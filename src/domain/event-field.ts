/**
 * The fields of an event that a filter can name: those of its envelope, and `data.` with a path into its data. A path's
 * steps are keys and list positions from 0 on, joined by dots; a dot or a backslash in a key is written `\.` or `\\`.
 */
import type { EventDraft } from "./event.ts"
import { type ExactJson, isExactList, isExactObject, parseExact } from "./exact-json.ts"
import { MAX_DEPTH } from "./json-spans.ts"
import { nearest } from "./nearest.ts"

/** An event as far as it is known when it is routed. Where nobody said when it occurred, it did so when it came in. */
export interface EventFacts extends EventDraft {
  readonly receivedAt: number
}

/** An event to be asked about its fields. Its data is read when the first question about it comes, and once. */
export interface EventView {
  readonly facts: EventFacts
  /** The value of JSON data, the text of other text; undefined where there is none. */
  data(): ExactJson | undefined
}

/** A field by its name: what kind of value it has, and where it is found; undefined where the event has none. */
export interface Field {
  /** A `time` is a number of ms since 1970. */
  readonly kind: "text" | "time" | "data"
  readonly look: (event: EventView) => ExactJson | undefined
}

/** The names of an envelope's texts, and what they are called in the program. */
const texts = {
  type: "type",
  app: "app",
  environment: "environment",
  profile_id: "profileId",
  device_id: "deviceId",
  source_record: "sourceRecord",
  source: "source",
  external_id: "externalId",
} as const
const times = {
  occurred_at: (facts: EventFacts) => facts.occurredAt ?? facts.receivedAt,
  received_at: (facts: EventFacts) => facts.receivedAt,
} as const

/** All names of fields but those in data. */
export const envelopeFields: readonly string[] = [...Object.keys(texts), ...Object.keys(times)]

/** The field that a name stands for, or a sentence that says why there is none. */
export function findField(name: string): Field | string {
  if (isKeyOf(texts, name)) return { kind: "text", look: textLook(texts[name]) }
  if (isKeyOf(times, name)) return { kind: "time", look: timeLook(times[name]) }
  if (name === "data") return { kind: "data", look: event => event.data() }
  if (!name.startsWith("data.")) return unknownField(name)
  const path = readPath(name.slice("data.".length))
  return typeof path === "string" ? path : { kind: "data", look: event => walk(event.data(), path) }
}

/** A view of an event. */
export function viewEvent(facts: EventFacts): EventView {
  let data: ExactJson | undefined
  let isRead = false
  return {
    facts,
    data() {
      if (!isRead) data = readData(facts)
      isRead = true
      return data
    },
  }
}

function readData({ payload }: EventFacts): ExactJson | undefined {
  switch (payload.kind) {
    case "json":
      return parseExact(payload.text)
    case "text":
      return payload.text
    case "bytes":
    case "none":
      return undefined
  }
}

function textLook(key: (typeof texts)[keyof typeof texts]): Field["look"] {
  return ({ facts }) => facts[key] ?? undefined
}

function timeLook(timeOf: (facts: EventFacts) => number): Field["look"] {
  return ({ facts }) => ({ number: String(timeOf(facts)) })
}

function isKeyOf<Table extends object>(table: Table, name: string): name is keyof Table & string {
  return Object.hasOwn(table, name)
}

function unknownField(name: string): string {
  const shown = name.slice(0, 100)
  const meant = nearest(name, envelopeFields) ?? `data.${shown}`
  return `${JSON.stringify(shown)} is no field of an event, did you mean "${meant}"? Fields are ${envelopeFields.join(", ")} and data.<path>`
}

/** One step into data: the key of an object, or the position in a list. */
interface Step {
  readonly key: string
  readonly position: number
}

/** The steps of a path, or a sentence that says what is wrong with it. */
function readPath(path: string): readonly Step[] | string {
  const keys = [""]
  for (let i = 0; i < path.length; i++) {
    const character = path.charAt(i)
    const next = path.charAt(i + 1)
    if (character === ".") keys.push("")
    else if (character !== "\\") keys.push(keys.pop() + character)
    else if (next === "." || next === "\\") keys.push(keys.pop() + path.charAt(++i))
    else return "a backslash in a path stands before a dot or another backslash only"
  }
  if (keys.includes("")) return "a step of the path is empty: between two keys stands one dot, as in data.user.plan"
  if (keys.length > MAX_DEPTH) return `a path has at most ${MAX_DEPTH} steps, as data is nested no deeper`
  return keys.map(key => ({ key, position: /^(?:0|[1-9]\d{0,8})$/.test(key) ? Number(key) : -1 }))
}

function walk(data: ExactJson | undefined, path: readonly Step[]): ExactJson | undefined {
  let value = data
  for (const { key, position } of path) {
    if (isExactObject(value)) value = value.get(key)
    else if (isExactList(value)) value = value[position]
    else return undefined
  }
  return value
}
