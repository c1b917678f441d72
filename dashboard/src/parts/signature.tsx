/** What a request was signed over, and how its receiver checks that. */
import { Anchor, Stack, Text } from "@mantine/core"
import { CodeBlock } from "./code.tsx"
import { CopyText } from "./copied.tsx"

export interface SignedRequest {
  /** Scheme, host and path. */
  readonly url: string
  readonly headers: readonly { readonly name: string; readonly value: string | null }[]
  readonly body: string | null
  readonly body_encoding: "text" | "base64" | null
}

export function Signature({ request }: { readonly request: SignedRequest }) {
  const read = (name: string) => request.headers.find(header => header.name.toLowerCase() === name)
  const signature = read("webhook-signature")
  const input = read("signature-input")
  if (signature === undefined && input === undefined) {
    return <Text size="sm">This request was not signed: the integration's signature scheme is “none”.</Text>
  }
  if ((signature ?? input)?.value === null) {
    return <Text size="sm">The signature is hidden here, since it would prove guesses at values that are private.</Text>
  }
  if (input?.value !== undefined && input.value !== null) {
    const base = messageBase(input.value, request)
    return (
      <Stack gap="sm">
        <Text size="sm">
          Signed as an HTTP message (RFC 9421). Its receiver verifies it with a library for RFC 9421 and the key of this
          Waybill's JWKS document whose id stands in <code>keyid</code>.
        </Text>
        {base === undefined ? (
          <CodeBlock text={input.value} label="Signature-Input" />
        ) : (
          <Base
            text={base}
            note="The query of an endpoint's address is not kept: where it has one, it belongs to the line of the address."
          />
        )}
      </Stack>
    )
  }
  const [id, timestamp] = [read("webhook-id")?.value ?? "", read("webhook-timestamp")?.value ?? ""]
  const isAsymmetric = signature?.value?.startsWith("v1a,") === true
  return (
    <Stack gap="sm">
      <Text size="sm">
        Signed after{" "}
        <Anchor href="https://www.standardwebhooks.com" target="_blank" rel="noreferrer" size="sm">
          Standard Webhooks
        </Anchor>{" "}
        ({isAsymmetric ? "v1a, Ed25519" : "v1, HMAC-SHA256"}), over the id, the time and the body, with dots between
        them:
      </Text>
      {request.body === null || request.body_encoding !== "text" ? (
        <Text size="sm">
          {id}.{timestamp}. and then the body's bytes, which cannot be shown as text here.
        </Text>
      ) : (
        <Base text={`${id}.${timestamp}.${request.body}`} />
      )}
      <Text size="sm">To check it at the receiver, in Node, with nothing installed:</Text>
      <CodeBlock text={isAsymmetric ? asymmetricSnippet : snippet} label="How to verify the signature" />
      <div>
        <CopyText text={isAsymmetric ? asymmetricSnippet : snippet} label="Copy the snippet" />
      </div>
    </Stack>
  )
}

function Base({ text, note }: { readonly text: string; readonly note?: string }) {
  return (
    <Stack gap={6} align="stretch">
      <CodeBlock text={text} label="The signature's base string" />
      {note !== undefined && (
        <Text size="xs" c="dimmed">
          {note}
        </Text>
      )}
      <div>
        <CopyText text={text} label="Copy the base string" />
      </div>
    </Stack>
  )
}

/** The base of RFC 9421 (section 2.5) of a request; undefined where a part of it is not known here. */
export function messageBase(input: string, { url, headers }: SignedRequest): string | undefined {
  const [, params, list] = /^[^=]+=(\(([^)]*)\).*)$/s.exec(input) ?? []
  if (params === undefined || list === undefined) return undefined
  const { host, pathname, search } = new URL(url)
  const derived: Readonly<Record<string, string>> = {
    "@method": "POST",
    "@target-uri": url,
    "@authority": host,
    "@path": pathname,
    "@query": search === "" ? "?" : search,
  }
  const lines = [...list.matchAll(/"([^"]+)"/g)].map(([, name = ""]) => {
    const value = derived[name] ?? headers.find(header => header.name.toLowerCase() === name)?.value
    return value === undefined || value === null ? undefined : `"${name}": ${value.trim()}`
  })
  if (lines.includes(undefined)) return undefined
  return [...lines, `"@signature-params": ${params}`].join("\n")
}

const snippet = `import { createHmac, timingSafeEqual } from "node:crypto"

// secret: whsec_…, of the integration. rawBody: the bytes as they came, before anything parses them.
export function isGenuine(headers, rawBody, secret) {
  const timestamp = headers["webhook-timestamp"]
  if (!(Math.abs(Date.now() / 1000 - Number(timestamp)) < 300)) return false
  const key = Buffer.from(secret.replace(/^whsec_/, ""), "base64")
  const expected = createHmac("sha256", key)
    .update(\`\${headers["webhook-id"]}.\${timestamp}.\`)
    .update(rawBody)
    .digest()
  return headers["webhook-signature"].split(" ").some(part => {
    const [version, signature = ""] = part.split(",")
    const given = Buffer.from(signature, "base64")
    return version === "v1" && given.length === expected.length && timingSafeEqual(given, expected)
  })
}`

const asymmetricSnippet = `import { createPublicKey, verify } from "node:crypto"

// publicKey: whpk_…, of the integration. rawBody: the bytes as they came, before anything parses them.
export function isGenuine(headers, rawBody, publicKey) {
  const timestamp = headers["webhook-timestamp"]
  if (!(Math.abs(Date.now() / 1000 - Number(timestamp)) < 300)) return false
  const prefix = Buffer.from("302a300506032b6570032100", "hex")
  const bytes = Buffer.from(publicKey.replace(/^whpk_/, ""), "base64")
  const key = createPublicKey({ key: Buffer.concat([prefix, bytes]), format: "der", type: "spki" })
  const signed = Buffer.concat([Buffer.from(\`\${headers["webhook-id"]}.\${timestamp}.\`), Buffer.from(rawBody)])
  return headers["webhook-signature"].split(" ").some(part => {
    const [version, signature = ""] = part.split(",")
    return version === "v1a" && verify(null, signed, key, Buffer.from(signature, "base64"))
  })
}`
