/** What is said of a DATABASE_URL that cannot be meant: what is wrong and how to mend it, and never the password. */
import assert from "node:assert/strict"
import test from "node:test"
import { readConfig } from "../../src/config.ts"

const PASSWORD = "s3cr3t"

function faultOf(url: string): string | undefined {
  const reading = readConfig({}, { DATABASE_URL: url })
  if (!("faults" in reading)) return undefined
  assert.equal(reading.faults.length, 1)
  return reading.faults[0]
}

test("a DATABASE_URL that leads to a database is taken as it is", () => {
  for (const url of [
    `postgres://waybill:${PASSWORD}@db.example:5432/waybill`,
    "postgresql://127.0.0.1/waybill?sslmode=require",
    "postgres://waybill@[::1]/waybill",
    "postgres:///waybill?host=/var/run/postgresql",
    "postgres://waybill:p%40ss%2Fword@db.example/waybill",
  ]) {
    const reading = readConfig({}, { DATABASE_URL: url })
    assert.ok("config" in reading, url)
    assert.equal(reading.config.databaseUrl, url)
  }
})

const wrong: readonly (readonly [url: string, says: RegExp])[] = [
  [`mysql://waybill:${PASSWORD}@db.example/waybill`, /begins with mysql:\/\//],
  [`db.example/waybill?password=${PASSWORD}`, /must begin with postgres:\/\//],
  [`postgres://waybill:${PASSWORD}@db.example`, /names no database/],
  [`postgres://waybill:${PASSWORD}@db.example:five/waybill`, /the port as a number/],
  [`postgres://waybill:${PASSWORD}#more@db.example/waybill`, /%23/],
  [`postgres://waybill:${PASSWORD}@${PASSWORD}/${PASSWORD}@db.example/waybill`, /%40/],
  ["postgres:///waybill", /names no host/],
]
for (const [url, says] of wrong) {
  test(`a DATABASE_URL such as ${url.replaceAll(PASSWORD, "…")} is refused with what is wrong with it`, () => {
    const fault = faultOf(url) ?? ""
    assert.match(fault, says)
    assert.match(fault, /^DATABASE_URL /)
    assert.doesNotMatch(fault, new RegExp(PASSWORD))
  })
}
