/** Requests that bring CloudEvents, read as the border reads them. */
import assert from "node:assert/strict"
import { cloudModeOf, readCloudEvent } from "../../src/sources/cloudevents.ts"
import type { BatchReading, Reading } from "../../src/sources/source.ts"
import { readLimits } from "./readings.ts"

export const STRUCTURED = "application/cloudevents+json"
export const BATCH = "application/cloudevents-batch+json"

/** Reads a request as the border does: mode first, body as bytes, headers as Node gives them. */
export function send(
  contentType: string,
  headers: readonly (readonly [string, string])[],
  body: string | Uint8Array,
): Reading | BatchReading {
  const names = Object.fromEntries(headers.map(([name, value]) => [name.toLowerCase(), value]))
  const mode = cloudModeOf(contentType, names) ?? assert.fail("it is no CloudEvent")
  const rawHeaders = ["Host", "waybill.example", ...headers.flat()]
  return readCloudEvent(mode, { contentType, rawHeaders, body: Buffer.from(body) }, readLimits)
}

/** An event in the JSON format. */
export function structured(event: string | object, contentType = STRUCTURED): Reading | BatchReading {
  return send(contentType, [], typeof event === "string" ? event : JSON.stringify(event))
}

/** The headers that every event in the binary mode needs. */
export const mandatory: readonly (readonly [string, string])[] = [
  ["ce-specversion", "1.0"],
  ["ce-id", "b-1"],
  ["ce-source", "/shop"],
  ["ce-type", "shop.test"],
]

/** An event in the binary mode, with further headers. */
export function binary(
  contentType: string,
  body: string | Uint8Array,
  ...more: readonly (readonly [string, string])[]
): Reading | BatchReading {
  return send(contentType, [...mandatory, ...more], body)
}
