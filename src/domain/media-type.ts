/** Media types as RFC 2046 and RFC 9110 write them: `application/json; charset=utf-8`. */

/** What is needed of a media type to read content. */
export interface MediaType {
  /** `type/subtype` in small letters, without parameters. */
  readonly essence: string
  /** In small letters; null where none is given. */
  readonly charset: string | null
}

const token = "[!#$%&'*+.^_`|~0-9A-Za-z-]+"
const head = new RegExp(`^(${token}/${token})[ \\t]*`)
// Each blank belongs to one part only, so that no text makes the search try many ways.
const parameter = new RegExp(`;[ \\t]*(?:(${token})=(?:(${token})|"((?:[ !#-[\\]-~]|\\\\[ -~])*)")[ \\t]*)?`, "y")

/** Reads a media type; undefined where the text is none. Names of types and parameters are case-insensitive (CE-18). */
export function parseMediaType(text: string): MediaType | undefined {
  const found = head.exec(text)
  if (found === null) return undefined
  let charset: string | null = null
  let at = found[0].length
  while (at < text.length) {
    parameter.lastIndex = at
    const part = parameter.exec(text)
    if (part === null) return undefined
    const [, name, bare, quoted] = part
    if (name?.toLowerCase() === "charset") charset ??= (bare ?? quoted ?? "").toLowerCase()
    at = parameter.lastIndex
  }
  return { essence: (found[1] ?? "").toLowerCase(), charset }
}

/** Whether content of this type is JSON: `…/json` or `…/…+json` (CE-13). */
export function isJsonType({ essence }: MediaType): boolean {
  return /[/+]json$/.test(essence)
}

/** Whether content of this type is meant to be read as text: `text/…`, XML. */
export function isTextType({ essence }: MediaType): boolean {
  return essence.startsWith("text/") || /[/+]xml$/.test(essence)
}

/** Whether text of this type is UTF-8; ASCII is, and so is what names no character set. */
export function isUtf8Type({ charset }: MediaType): boolean {
  return charset === null || charset === "utf-8" || charset === "utf8" || charset === "us-ascii"
}
