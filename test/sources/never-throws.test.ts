import assert from "node:assert/strict"
import { test } from "node:test"
import { readCloudEvent } from "../../src/sources/cloudevents.ts"
import type { BatchReading, Reading } from "../../src/sources/source.ts"
import { readNative, readNativeBatch } from "../../src/sources/waybill.ts"
import { JsonWriter, seeded } from "../help/json-writer.ts"
import { readLimits } from "../help/readings.ts"

const REQUESTS = 20_000

/** Fields with a raw value that is right for them; those that are needed stand first. */
const native = [
  ["type", '"x"'],
  ["data", '{"a":1.0}'],
  ["id", '"order-1"'],
  ["occurred_at", '"2026-11-21T10:00:00Z"'],
  ["environment", '"sandbox"'],
  ["app", '"ios"'],
  ["profile_id", "null"],
  ["historical", "true"],
] as const
const cloud = [
  ["specversion", '"1.0"'],
  ["id", '"1"'],
  ["source", '"/shop"'],
  ["type", '"x"'],
  ["time", '"2026-11-21T10:00:00Z"'],
  ["subject", '"a b"'],
  ["datacontenttype", '"application/json"'],
  ["data", "[1e2]"],
  ["ext", "7"],
  ["app", '"ios"'],
] as const
const odd = [
  '"x"',
  '"1.0"',
  '"text/plain"',
  '"AAA="',
  "null",
  "true",
  "1",
  "-1.5",
  '""',
  '"\\ud800"',
  '"waybill.x"',
  "[]",
]

test(`${REQUESTS} requests made at random are read or refused with reasons, and none of them throws`, () => {
  const writer = new JsonWriter(5)
  const random = seeded(6)
  const isOneIn = (count: number) => random() < 1 / count
  const one = (items: readonly string[]) => items[Math.floor(random() * items.length)] ?? ""
  const value = (right: string) => (isOneIn(12) ? (isOneIn(2) ? one(odd) : writer.value(3)) : right)
  const chosen = (fields: readonly (readonly [string, string])[], needed: number) => {
    return fields
      .filter((_, i) => (i < needed ? !isOneIn(20) : isOneIn(2)))
      .map(([name, right]) => [name, value(right)] as const)
  }
  const object = (fields: readonly (readonly [string, string])[], needed: number) => {
    const text = `{${chosen(fields, needed)
      .map(([name, raw]) => `"${name}":${raw}`)
      .join(",")}}`
    return isOneIn(8) ? writer.damaged(text) : text
  }
  const read = [
    () => readNative(object(native, 1), readLimits),
    () => readNativeBatch(`{"events":[${object(native, 1)},${object(native, 1)}]}`, readLimits),
    () => readCloud("structured", "application/cloudevents+json", [], object(cloud, 4)),
    () => readCloud("batch", "application/cloudevents-batch+json", [], `[${object(cloud, 4)},${object(cloud, 4)}]`),
    () => {
      const headers = chosen(cloud, 4).filter(([name]) => !name.startsWith("data") || isOneIn(10))
      const rawHeaders = headers.flatMap(([name, raw]) => [`ce-${name}`, raw.replaceAll('"', "")])
      const type = one(["application/json", "text/plain; charset=utf-8", "", "image/png", writer.damaged("a/b; c=d")])
      return readCloud("binary", type, rawHeaders, writer.value(3))
    },
  ]
  const counts = { draft: 0, faults: 0 }
  for (let i = 0; i < REQUESTS; i++) {
    const found: Reading | BatchReading | undefined = read[i % read.length]?.()
    for (const reading of found?.kind === "batch" ? found.readings : found === undefined ? [] : [found]) {
      counts[reading.kind]++
      if (reading.kind === "draft") {
        if (reading.draft.payload.kind === "json") JSON.parse(reading.draft.payload.text)
        continue
      }
      assert.ok(reading.faults.length > 0)
      for (const { pointer, message } of reading.faults) {
        assert.match(pointer, /^(?:\/|$)/)
        assert.match(message, /^\S.*[.?]$/s)
      }
    }
  }
  const enough = REQUESTS / 4
  assert.ok(counts.draft > enough && counts.faults > enough, JSON.stringify(counts))
})

function readCloud(mode: "structured" | "batch" | "binary", contentType: string, rawHeaders: string[], text: string) {
  return readCloudEvent(mode, { contentType, rawHeaders, body: new TextEncoder().encode(text) }, readLimits)
}
