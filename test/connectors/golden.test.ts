/**
 * One test for all connectors: a case in, the exact request out. `test/golden/<connector>/<case>.json` holds settings and
 * event (its data as text, so that each byte of it counts), the file `.http` beside it what is to be sent.
 */
import assert from "node:assert/strict"
import { readdirSync, readFileSync } from "node:fs"
import { test } from "node:test"
import { bodyAjv } from "../../src/api/validation.ts"
import type { Build, Settings } from "../../src/connectors/connector.ts"
import { connectors } from "../../src/connectors/index.ts"
import type { Environment, Event, Payload } from "../../src/domain/event.ts"
import type { Credentials, Header, SigningKey } from "../../src/domain/exchange.ts"
import { anEvent, aSubject } from "../help/subjects.ts"

interface Case {
  readonly promise: string
  readonly config: Settings
  readonly event: Omit<Partial<Event>, "payload"> & { readonly payload: PayloadText }
  readonly name?: string
  readonly environment?: Environment
  readonly signingKeys?: readonly SigningKey[]
}

/** A payload as JSON can hold it. */
type PayloadText =
  | Exclude<Payload, { kind: "bytes" }>
  | { readonly kind: "bytes"; readonly base64: string; readonly mediaType: string | null }

for (const connector of connectors) {
  const folder = new URL(`../golden/${connector.name}/`, import.meta.url)
  const files = readdirSync(folder)
  const names = files.filter(file => file.endsWith(".json")).map(file => file.slice(0, -".json".length))
  const isValid = bodyAjv.compile(connector.settings)

  for (const name of names) {
    const given = JSON.parse(readFileSync(new URL(`${name}.json`, folder), "utf8")) as Case
    test(`${connector.name}: ${given.promise}`, () => {
      assert.equal(isValid(given.config), true, JSON.stringify(isValid.errors))
      assert.deepEqual(connector.check(given.config), [])
      const event = anEvent({ ...given.event, payload: payloadOf(given.event.payload) })
      const base = aSubject({ event })
      const subject = {
        ...base,
        name: given.name ?? base.name,
        integration: { ...base.integration, signingKeys: given.signingKeys ?? base.integration.signingKeys },
      }
      const prepared = connector.prepare(given.config)
      const expected = readFileSync(new URL(`${name}.http`, folder), "utf8")
      assert.equal(`${textOf(prepared.build(subject))}\n`, expected)
      // A retry is rebuilt, by this process or another: it has to be the same request.
      assert.deepEqual(connector.prepare(given.config).build(subject), prepared.build(subject))
    })
  }

  test(`${connector.name}: each golden case has both its files`, () => {
    assert.notEqual(names.length, 0)
    assert.deepEqual(files.sort(), names.flatMap(name => [`${name}.http`, `${name}.json`]).sort())
  })
}

function payloadOf(payload: PayloadText): Payload {
  if (payload.kind !== "bytes") return payload
  return { kind: "bytes", bytes: Buffer.from(payload.base64, "base64"), mediaType: payload.mediaType }
}

function textOf(build: Build): string {
  if (build.kind !== "send") return JSON.stringify(build, null, 2)
  const { method, url, headers, signature, body, inbox, credentials } = build.request
  const where = inbox === undefined ? url : `${url}    [inbox]`
  const keys = signature?.keys.map(key => `${key.scheme} ${key.secret}`).join(", ")
  const form = signature?.form === undefined ? "" : ` by ${signature.form}`
  const signed = signature === null ? "[not signed]" : `[signed${form} as ${signature.id} with ${keys}]`
  const asked = credentials === undefined ? [] : credentialLines(credentials)
  const content = typeof body === "string" ? body : `[bytes] ${Buffer.from(body).toString("base64")}`
  return [`${method} ${where}`, ...headers.map(line), ...asked, signed, "", content].join("\n")
}

function credentialLines({ holder, grant, tls }: Credentials): string[] {
  const form = (field: string | null) => (field === null ? "" : `, ${field}`)
  const token =
    grant === null
      ? []
      : [
          `[token for ${holder} from ${grant.tokenUrl} by ${grant.clientAuth}: ${grant.clientId}, ${grant.clientSecret}${form(grant.scope)}${form(grant.audience)}]`,
        ]
  const shown =
    tls === null
      ? []
      : [
          `[TLS of ${holder}: ${tls.client === null ? "no" : "a"} client certificate, ${tls.authorities === null ? "no" : "its"} own authorities]`,
        ]
  return [...token, ...shown]
}

function line({ name, value, secret }: Header): string {
  return `${name}: ${value}${secret ? "    [secret]" : ""}`
}
