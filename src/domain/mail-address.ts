/** Mail addresses, and where mail is handed over, as people write them into settings. */

/** The longest address that SMTP carries (RFC 5321, 4.5.3.1.3). */
export const MAX_ADDRESS_CHARACTERS = 254

/**
 * `name@host`, as a regular expression for a schema: dots between atoms (RFC 5322, 3.2.3), and a host of letters, digits
 * and hyphens. Quoted names, comments and address literals are left out: nobody has one, and each is a way to smuggle.
 */
export const ADDRESS_PATTERN =
  "^[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]{1,64}(?:\\.[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]{1,64}){0,10}@(?:[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?\\.){0,10}[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?$"

const address = new RegExp(ADDRESS_PATTERN)

/** Whether a text is one mail address, and nothing else. */
export function isMailAddress(text: string): boolean {
  return text.length <= MAX_ADDRESS_CHARACTERS && address.test(text)
}

/** Who a mail is from. */
export interface Sender {
  readonly name: string
  readonly address: string
}

/** The sender in `name@host` or `Some Name <name@host>`; undefined where it is neither. */
export function parseSender(text: string): Sender | undefined {
  const [, name = "", bracketed] = /^([^<>"\r\n]{0,100})<([^<>]*)>$/.exec(text.trim()) ?? []
  const found = bracketed ?? text.trim()
  return isMailAddress(found) ? { name: name.trim(), address: found } : undefined
}

/** Who mail is from where nobody says. A host that is no name for mail, such as an address, stands for localhost. */
export function senderAt(host: string): Sender {
  const address = `waybill@${host}`
  return { name: "Waybill", address: isMailAddress(address) ? address : "waybill@localhost" }
}

/** Where mail is handed over. */
export interface SmtpServer {
  readonly host: string
  readonly port: number
  /** From the first byte; after STARTTLS, without which nothing is sent; after STARTTLS where it is offered; never. */
  readonly tls: "from_start" | "required" | "offered" | "off"
  readonly user: string | null
  readonly password: string | null
}

/**
 * Reads `smtp://user:password@host:587?starttls=required` or `smtps://…`. A password goes over an encrypted connection
 * only, unless the host is this machine or the URL says otherwise.
 */
export function parseSmtpUrl(
  text: string,
): { readonly kind: "server"; readonly server: SmtpServer } | { readonly kind: "invalid"; readonly message: string } {
  const invalid = (message: string) => ({ kind: "invalid", message }) as const
  if (!URL.canParse(text)) return invalid("must be a URL such as smtp://user:password@mail.example:587")
  const url = new URL(text)
  if (url.protocol !== "smtp:" && url.protocol !== "smtps:") return invalid("must begin with smtp:// or smtps://")
  if (url.hostname === "") return invalid("must name a host, such as smtp://mail.example")
  if (!["", "/"].includes(url.pathname)) return invalid("must not have a path")
  const unknown = [...url.searchParams.keys()].find(key => key !== "starttls")
  if (unknown !== undefined) return invalid(`has the unknown parameter ${unknown}; only starttls is known`)
  const starttls = url.searchParams.get("starttls")
  if (starttls !== null && !["required", "offered", "off"].includes(starttls)) {
    return invalid("must have starttls=required, starttls=offered or starttls=off")
  }
  const isFromStart = url.protocol === "smtps:"
  if (isFromStart && starttls !== null)
    return invalid("must not have starttls with smtps://, which is encrypted already")
  const host = url.hostname.replace(/^\[|\]$/g, "")
  const user = decoded(url.username)
  const password = decoded(url.password)
  if (user === undefined || password === undefined)
    return invalid("has a user or password with a stray %; write it as %25")
  if ((user === null) !== (password === null)) return invalid("must have both a user and a password, or neither")
  const isNear = host === "localhost" || host === "::1" || host.startsWith("127.")
  const usual = password !== null && !isNear ? "required" : "offered"
  const tls = isFromStart ? "from_start" : ((starttls as "required" | "offered" | "off" | null) ?? usual)
  const port = url.port === "" ? (isFromStart ? 465 : 587) : Number(url.port)
  return { kind: "server", server: { host, port, tls, user, password } }
}

function decoded(part: string): string | null | undefined {
  if (part === "") return null
  try {
    return decodeURIComponent(part)
  } catch {
    return undefined
  }
}
