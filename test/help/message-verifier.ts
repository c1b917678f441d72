/**
 * A receiver's check of HTTP message signatures, written from the text of RFC 9421, RFC 9530, RFC 8941 and RFC 7517 alone:
 * it shares no line with what signs, parses the headers character by character, and takes keys from a key set.
 */
import { createHash, createHmac, createPublicKey, verify, type webcrypto } from "node:crypto"

/** A request as it came over the wire. */
export interface WireMessage {
  readonly method: string
  readonly targetUri: string
  /** Name, value, name, value, … */
  readonly rawHeaders: readonly string[]
  readonly body: Uint8Array
}

export interface Checked {
  readonly label: string
  readonly components: readonly string[]
  readonly parameters: Readonly<Record<string, string | number>>
  readonly verified: boolean
}

/** Keys by what `keyid` calls them: a JWK, or the bytes of a shared secret. */
export type Keys = Readonly<Record<string, webcrypto.JsonWebKey | Uint8Array>>

/** Every signature of a message, checked; throws where the headers cannot be read or the digest is another. */
export function checkMessage(message: WireMessage, keys: Keys): Checked[] {
  const inputs = dictionary(combined(message, "signature-input"))
  const signatures = dictionary(combined(message, "signature"))
  return inputs.map(([label, member]) => {
    const signature = signatures.find(([name]) => name === label)?.[1]
    if (member.kind !== "list" || signature?.kind !== "bytes") throw new Error(`${label} is no signature`)
    const components = member.items
    if (components.includes("content-digest")) assertDigest(message)
    // RFC 9421, 2.5: a line a component, the parameters last, no line feed at the end.
    const lines = components.map(name => `"${name}": ${component(message, name)}`)
    const base = [...lines, `"@signature-params": ${member.text}`].join("\n")
    const key = keys[String(member.parameters["keyid"])]
    if (key === undefined) throw new Error(`no key is called ${member.parameters["keyid"]}`)
    const verified =
      key instanceof Uint8Array
        ? createHmac("sha256", key).update(base).digest().equals(signature.bytes)
        : verify(null, Buffer.from(base), createPublicKey({ key, format: "jwk" }), signature.bytes)
    return { label, components, parameters: member.parameters, verified }
  })
}

/** RFC 9421, 2.1 and 2.2. */
function component(message: WireMessage, name: string): string {
  const url = new URL(message.targetUri)
  switch (name) {
    case "@method":
      return message.method
    case "@target-uri":
      return message.targetUri
    case "@authority":
      return url.host
    case "@path":
      return url.pathname
    default:
      return combined(message, name)
  }
}

function combined({ rawHeaders }: WireMessage, name: string): string {
  const values = rawHeaders.flatMap((header, i) =>
    i % 2 === 0 && header.toLowerCase() === name ? [(rawHeaders[i + 1] ?? "").trim()] : [],
  )
  if (values.length === 0) throw new Error(`the header ${name} is missing`)
  return values.join(", ")
}

function assertDigest(message: WireMessage): void {
  const digests = dictionary(combined(message, "content-digest"))
  const given = digests.find(([name]) => name === "sha-256")?.[1]
  const own = createHash("sha256").update(message.body).digest()
  if (given?.kind !== "bytes" || !own.equals(given.bytes)) throw new Error("the digest is not that of the body")
}

type Member =
  | { readonly kind: "bytes"; readonly bytes: Buffer }
  | {
      readonly kind: "list"
      readonly items: readonly string[]
      readonly parameters: Readonly<Record<string, string | number>>
      /** As it stands in the header. */
      readonly text: string
    }

/** RFC 8941, 4.2.2, for members that are inner lists of strings or byte sequences. */
function dictionary(text: string): [name: string, member: Member][] {
  const found: [string, Member][] = []
  let at = 0
  const skip = () => {
    while (text[at] === " " || text[at] === "\t") at++
  }
  const expect = (character: string) => {
    if (text[at] !== character) throw new Error(`${character} was expected at ${at} of ${text}`)
    at++
  }
  const key = () => {
    const from = at
    while (at < text.length && /[a-z0-9_\-.*]/.test(text[at] ?? "")) at++
    return text.slice(from, at)
  }
  const string = () => {
    expect('"')
    let value = ""
    while (text[at] !== '"') {
      if (text[at] === "\\") at++
      if (at >= text.length) throw new Error("a string has no end")
      value += text[at++]
    }
    expect('"')
    return value
  }
  const integer = () => {
    const from = at
    while (/[0-9]/.test(text[at] ?? "")) at++
    return Number(text.slice(from, at))
  }
  const bytes = () => {
    expect(":")
    const end = text.indexOf(":", at)
    const value = Buffer.from(text.slice(at, end), "base64")
    at = end + 1
    return value
  }
  const list = (): Member => {
    const from = at
    const items: string[] = []
    expect("(")
    for (skip(); text[at] !== ")"; skip()) items.push(string())
    expect(")")
    const parameters: Record<string, string | number> = {}
    while (text[at] === ";") {
      at++
      const name = key()
      expect("=")
      parameters[name] = text[at] === '"' ? string() : integer()
    }
    return { kind: "list", items, parameters, text: text.slice(from, at) }
  }
  while (at < text.length) {
    const name = key()
    expect("=")
    found.push([name, text[at] === "(" ? list() : { kind: "bytes", bytes: bytes() }])
    skip()
    if (at < text.length) {
      expect(",")
      skip()
    }
  }
  return found
}
