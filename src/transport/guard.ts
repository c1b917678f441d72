/**
 * Where requests may go: to public addresses, and to what the operator listed. Pure judging of URLs, names, ports and
 * addresses; the connection asks again for every address that it is about to dial (EG-1 … EG-18).
 */
import { type Address, type AddressRange, covers, isLoopback, parseAddress, parseRange, specialUse } from "./address.ts"

/** Something that the operator lets integrations reach although it is not public. It passes the port and name rules too. */
export type EgressAllowance =
  | { readonly kind: "range"; readonly range: AddressRange }
  | { readonly kind: "name"; readonly name: string }
  /** All names below one: `.corp.example` for `*.corp.example`. */
  | { readonly kind: "suffix"; readonly suffix: string }

/** What may be reached beyond public addresses. `loopback` where the server itself is bound to a loopback address. */
export interface EgressRules {
  readonly loopback: boolean
  readonly allow: readonly EgressAllowance[]
}

/** How the addresses of a destination are found: they are in the URL, on this machine, in its hosts file, in the DNS. */
export type AddressSource = "literal" | "loopback" | "system" | "dns"

/** Where a judged URL leads. */
export interface Destination {
  /** Scheme, host and port, as `URL.origin` gives them: what connections are shared by. */
  readonly origin: string
  readonly secure: boolean
  /** Without brackets and without a dot at the end. */
  readonly host: string
  readonly port: number
  readonly source: AddressSource
}

export type UrlFault = "malformed" | "scheme" | "userinfo" | "port" | "name" | "address"

/** What became of judging a URL: its normalised text and where it leads, or a sentence that says how to mend it. */
export type UrlJudgement =
  | { readonly kind: "allowed"; readonly href: string; readonly url: URL; readonly destination: Destination }
  | { readonly kind: "refused"; readonly fault: UrlFault; readonly message: string }

/** What `WAYBILL_EGRESS_ALLOW` says, or a sentence that names the entry that is wrong. */
export type EgressAllowReading =
  | { readonly kind: "read"; readonly allow: readonly EgressAllowance[] }
  | { readonly kind: "invalid"; readonly message: string }

/**
 * Services that speak no HTTP or guard themselves by being unreachable; some of them take a request's body for commands
 * (EG-12). They are refused on loopback as well: that is where they listen.
 */
const servicePorts: ReadonlySet<number> = new Set([
  ...[21, 22, 23, 25, 53, 110, 111, 135, 139, 143, 389, 445, 465, 512, 513, 514, 587, 636, 873, 993, 995],
  ...[1433, 1521, 2049, 2375, 2376, 2379, 2380, 3306, 3389, 5432, 5900, 5984, 6379, 6380, 6443, 8500],
  ...[9042, 9200, 9300, 10250, 11211, 27017, 27018, 27019],
])

/** Endings of names that mean something only inside a network (EG-13). */
const insideEndings = [".local", ".internal", ".home.arpa"]

const LISTING = "or ask the operator to list it in WAYBILL_EGRESS_ALLOW"
const HOST_LISTING = "or ask the operator to list the host in WAYBILL_EGRESS_ALLOW"

/**
 * Judges a URL as far as it can be judged without asking the DNS: when it is saved and when it is sent to. What a name
 * resolves to is judged for each connection, because the answer can change.
 */
export function judgeUrl(text: string, rules: EgressRules): UrlJudgement {
  const url = URL.parse(text)
  if (url === null) return refused("malformed", "This is no URL. Write it in full: https://crm.example/hook.")
  if (url.protocol !== "https:" && url.protocol !== "http:") {
    return refused("scheme", `Waybill sends to http and https, not to "${url.protocol}". Begin the URL with https://.`)
  }
  if (url.username !== "" || url.password !== "") {
    return refused("userinfo", "The URL holds a user name or password. Put it into the Authorization value instead.")
  }
  // A trailing dot is the same name to the DNS, but another one to every rule below (EG-13) and to certificates.
  if (url.hostname.endsWith(".")) url.hostname = url.hostname.slice(0, -1)
  url.hash = ""
  const secure = url.protocol === "https:"
  const port = url.port === "" ? (secure ? 443 : 80) : Number(url.port)
  if (port === 0)
    return refused("port", "Nothing can be reached at port 0. Name the port on which the endpoint listens.")

  const host = url.hostname.startsWith("[") ? url.hostname.slice(1, -1) : url.hostname
  const address = parseAddress(host)
  const judged = address === null ? judgeName(host, port, rules) : judgeLiteral(address, host, port, rules)
  if (typeof judged !== "string") return judged
  return {
    kind: "allowed",
    href: url.href,
    url,
    destination: { origin: url.origin, secure, host, port, source: judged },
  }
}

/**
 * Whether an address may be dialled; asked for every address that a name resolves to, and again for the one that a
 * socket is connected to. Null when it may, else what kind of address it is, for the operator's log.
 */
export function addressFault(text: string, rules: EgressRules): string | null {
  const address = parseAddress(text)
  if (address === null) return "unreadable"
  const use = specialUse(address)
  if (use === null || isListedAddress(address, rules)) return null
  return rules.loopback && isLoopback(address) ? null : use
}

/** Whether the operator listed this name itself: then it may resolve to any address. */
export function isListedName(name: string, rules: EgressRules): boolean {
  return rules.allow.some(entry => {
    if (entry.kind === "name") return entry.name === name
    return entry.kind === "suffix" && name.endsWith(entry.suffix)
  })
}

/** Reads `WAYBILL_EGRESS_ALLOW`: ranges (CIDR), single addresses, host names and `*.suffix`, separated by commas. */
export function parseEgressAllow(text: string): EgressAllowReading {
  const allow: EgressAllowance[] = []
  for (const entry of text.split(",").map(part => part.trim())) {
    if (entry === "") continue
    const allowance = parseAllowance(entry)
    if (typeof allowance === "string") return { kind: "invalid", message: allowance }
    allow.push(allowance)
  }
  return { kind: "read", allow }
}

function judgeLiteral(address: Address, host: string, port: number, rules: EgressRules): AddressSource | UrlJudgement {
  if (isListedAddress(address, rules)) return "literal"
  const use = specialUse(address)
  const local = rules.loopback && isLoopback(address)
  if (use !== null && !local) {
    return refused("address", `${host} is a ${use} address. Use a public host, ${LISTING}.`)
  }
  return judgePort(port, local) ?? "literal"
}

function judgeName(name: string, port: number, rules: EgressRules): AddressSource | UrlJudgement {
  if (name === "" || name.split(".").includes("")) {
    return refused("name", `"${name}" has an empty part between its dots. Write the host's name in full.`)
  }
  if (isListedName(name, rules)) return "system"
  if (name === "localhost" || name.endsWith(".localhost")) {
    if (rules.loopback) return judgePort(port, true) ?? "loopback"
    return refused("name", `"${name}" means the machine that Waybill runs on. Use a public host, ${LISTING}.`)
  }
  if (!name.includes(".")) {
    return refused("name", `"${name}" is a name of a local network. Use a public host with its domain, ${LISTING}.`)
  }
  if (name.startsWith("metadata") || insideEndings.some(ending => name.endsWith(ending))) {
    return refused("name", `"${name}" is a name from inside a network. Use a public host, ${LISTING}.`)
  }
  return judgePort(port, false) ?? "dns"
}

/** Null where the port may be used. On loopback, where a developer's receivers listen, any but those of known services. */
function judgePort(port: number, local: boolean): UrlJudgement | null {
  if (servicePorts.has(port)) {
    return refused(
      "port",
      `Port ${port} belongs to a service that takes no webhooks. Use another port, ${HOST_LISTING}.`,
    )
  }
  if (local || port === 80 || port === 443 || port >= 1024) return null
  return refused("port", `Port ${port} is kept for system services. Use 443, 80 or one from 1024 up, ${HOST_LISTING}.`)
}

function isListedAddress(address: Address, rules: EgressRules): boolean {
  return rules.allow.some(entry => entry.kind === "range" && covers(entry.range, address))
}

function parseAllowance(entry: string): EgressAllowance | string {
  const range = parseRange(entry.replace(/^\[(.*)\]$/, "$1"))
  if (range !== null) return { kind: "range", range }
  const wild = entry.startsWith("*.")
  const name = hostOf(wild ? entry.slice(2) : entry)
  if (name === null) {
    return `"${entry}" is no address range, address, host name or *.suffix. Write for example 10.1.0.0/16, 10.1.2.3, crm.corp.example or *.corp.example, without scheme, port and path.`
  }
  return wild ? { kind: "suffix", suffix: `.${name}` } : { kind: "name", name }
}

/** The name as URLs have it (lower case, punycode, no dot at the end), or null where the text is not just a name. */
function hostOf(text: string): string | null {
  if (!/^[^\s/:@?#*%[\]\\]+$/.test(text)) return null
  const name = URL.parse(`http://${text}/`)?.hostname.replace(/\.$/, "")
  if (name === undefined || name === "" || name.split(".").includes("") || parseAddress(name) !== null) return null
  return name
}

function refused(fault: UrlFault, message: string): UrlJudgement {
  return { kind: "refused", fault, message }
}
