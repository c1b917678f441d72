import assert from "node:assert/strict"
import { test } from "node:test"
import { readCloudEvent } from "../../src/sources/cloudevents.ts"
import { type BatchReading, type Reading, utf8Text } from "../../src/sources/source.ts"
import { readNative, readNativeBatch } from "../../src/sources/waybill.ts"
import { JsonWriter, seeded } from "../help/json-writer.ts"
import { readLimits } from "../help/readings.ts"

const REQUESTS = 20_000

const names = [
  ["type", "data", "id", "occurred_at", "environment", "app", "profile_id", "historical", "ordering_key", "Type", "x"],
  [
    "specversion",
    "id",
    "source",
    "type",
    "data",
    "data_base64",
    "datacontenttype",
    "time",
    "subject",
    "ext",
    "app",
    "Bad",
  ],
] as const
const values = [
  '"x"',
  '"1.0"',
  '"2026-11-21T10:00:00Z"',
  '"sandbox"',
  '"text/plain"',
  '"AAA="',
  "null",
  "true",
  "1",
  "-1.5",
  '""',
  '"\\ud800"',
]

test(`${REQUESTS} requests made at random, whole and damaged, are read or refused with reasons, and nothing is thrown`, () => {
  const writer = new JsonWriter(5)
  const random = seeded(6)
  const one = <Item>(items: readonly Item[]) => items[Math.floor(random() * items.length)] as Item
  const event = (fields: readonly string[]) => {
    const kept = fields.filter(() => random() < 0.6)
    return `{${kept.map(name => `"${name}":${random() < 0.2 ? writer.value(3) : one(values)}`).join(",")}}`
  }
  const damaged = (text: string) => (random() < 0.3 ? writer.damaged(text) : text)
  const readers: readonly (() => Reading | BatchReading)[] = [
    () => readNative(damaged(event(names[0])), readLimits),
    () => readNativeBatch(damaged(`{"events":[${event(names[0])},${event(names[0])}]}`), readLimits),
    () => cloud("structured", "application/cloudevents+json", [], damaged(event(names[1]))),
    () => cloud("batch", "application/cloudevents-batch+json", [], damaged(`[${event(names[1])},${event(names[1])}]`)),
    () => {
      const headers = names[1]
        .filter(() => random() < 0.7)
        .flatMap(name => [`ce-${name}`, damaged(one(values).replaceAll('"', ""))])
      return cloud(
        "binary",
        one(["application/json", "text/plain", "", "image/png", damaged("a/b; c=d")]),
        headers,
        damaged(writer.value(3)),
      )
    },
  ]
  const counts = { draft: 0, faults: 0 }
  for (let i = 0; i < REQUESTS; i++) {
    const found = one(readers)()
    for (const reading of found.kind === "batch" ? found.readings : [found]) {
      counts[reading.kind]++
      if (reading.kind === "faults") {
        assert.ok(reading.faults.length > 0)
        for (const { pointer, message } of reading.faults) assert.match(`${pointer}${message}`, /^(?:\/.*)?\S[^]*[.?]$/)
      } else if (reading.draft.payload.kind === "json") {
        JSON.parse(reading.draft.payload.text)
      }
    }
  }
  assert.ok(counts.draft > REQUESTS / 20 && counts.faults > REQUESTS / 4, JSON.stringify(counts))
})

function cloud(mode: "structured" | "batch" | "binary", contentType: string, rawHeaders: string[], text: string) {
  const body = new TextEncoder().encode(text)
  assert.equal(typeof utf8Text(body), "string")
  return readCloudEvent(mode, { contentType, rawHeaders, body }, readLimits)
}
