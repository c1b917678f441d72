/** Every setting, once: its variable, its flag, its type, its default and one sentence. `--help` and the docs page come from here. */
import { readFileSync } from "node:fs"
import { isIP } from "node:net"
import { baseUrl, baseUrlFault, holdsUser, mayHoldPassword } from "./domain/base-url.ts"
import { isMailAddress, parseSender, parseSmtpUrl, type Sender, type SmtpServer } from "./domain/mail-address.ts"
import { nearest } from "./domain/nearest.ts"
import { readSealingKeys } from "./domain/sealing-key.ts"

/** What Waybill runs with. */
export interface Config {
  readonly host: string
  readonly port: number
  /** Where people and other systems reach this server; null: `http://<host>:<port>`. */
  readonly publicUrl: string | null
  /** Addresses of proxies whose `X-Forwarded-…` headers are believed. */
  readonly trustProxy: readonly string[]
  readonly dataDir: string
  readonly databaseUrl: string | null
  /** False: a PostgreSQL database with an older schema is refused, not brought up to date. */
  readonly migrate: boolean
  /** True: a PostgreSQL server is taken that may lose what it has committed. */
  readonly allowUnsafeDatabase: boolean
  /** How long an orderly stop goes on taking requests. */
  readonly drainSeconds: number
  readonly apiKey: string | null
  readonly secretKey: string | null
  readonly egressAllow: string
  /** Where mail is handed over; null: no mail is sent. */
  readonly smtp: SmtpServer | null
  /** Who mail is from; null: `waybill@` and the host of the public URL. */
  readonly mailFrom: Sender | null
  /** Where people sign in with OpenID Connect; null: by password only. */
  readonly oidc: OidcProvider | null
  readonly logLevel: LogLevel
}

/** An identity provider, as the operator names it. */
export interface OidcProvider {
  readonly issuer: string
  readonly clientId: string
  readonly clientSecret: string | null
  /** In lower case. Empty: addresses of any domain. */
  readonly domains: readonly string[]
}

export const logLevels = ["debug", "info", "warn", "error", "silent"] as const
export type LogLevel = (typeof logLevels)[number]

const MAX_DRAIN_SECONDS = 300

/** One row of the table of settings. */
export interface Setting {
  readonly variable: string
  readonly flag: string
  readonly value: string
  readonly fallback: string
  readonly sentence: string
  /** Stands for this value where the flag, which then takes none, is there. */
  readonly means?: "yes" | "no"
  /** True where the value must never be printed. */
  readonly secret?: boolean
  /** Gives a sentence that says what is wrong with a value, or undefined. */
  check(value: string): string | undefined
}

export const settings = {
  host: {
    variable: "HOST",
    flag: "--host",
    value: "<address>",
    fallback: "127.0.0.1",
    sentence: "The address to listen on. On a loopback address integrations may reach loopback, elsewhere not.",
    check: value => (isIP(value) > 0 || value === "localhost" ? undefined : "must be an IP address or localhost"),
  },
  port: {
    variable: "PORT",
    flag: "--port",
    value: "<number>",
    fallback: "8080",
    sentence: "The port to listen on; 0 takes a free one.",
    check: value =>
      /^\d{1,5}$/.test(value) && Number(value) <= 65_535 ? undefined : "must be a number from 0 to 65535",
  },
  publicUrl: {
    variable: "WAYBILL_PUBLIC_URL",
    flag: "--public-url",
    value: "<url>",
    fallback: "",
    sentence: "Where others reach this server, for links in messages and documents.",
    check: value => baseUrlFault(value, "https://hub.example"),
  },
  trustProxy: {
    variable: "WAYBILL_TRUST_PROXY",
    flag: "--trust-proxy",
    value: "<ranges>",
    fallback: "",
    sentence: "Addresses or ranges of proxies, separated by commas, whose X-Forwarded-For is believed.",
    check: value =>
      value.split(",").every(range => isRange(range.trim()))
        ? undefined
        : "must be addresses or ranges such as 10.0.0.0/8, separated by commas (never `true`)",
  },
  dataDir: {
    variable: "WAYBILL_DATA_DIR",
    flag: "--data-dir",
    value: "<folder>",
    fallback: "./data",
    sentence: "The folder of the embedded database and the key file. It has one owner at a time.",
    check: value => (value.trim() === "" ? "must name a folder" : undefined),
  },
  databaseUrl: {
    variable: "DATABASE_URL",
    flag: "--database-url",
    value: "<url>",
    fallback: "",
    sentence:
      "PostgreSQL (15 or later) instead of the embedded database, for any number of equal processes: postgres://user:password@host:5432/database.",
    secret: true,
    check: databaseUrlFault,
  },
  migrate: {
    variable: "WAYBILL_MIGRATE",
    flag: "--no-migrate",
    value: "",
    means: "no",
    fallback: "yes",
    sentence:
      "Whether a start brings a PostgreSQL database to its schema (yes), or refuses one that is older (no), for operators who run waybill migrate themselves.",
    check: yesOrNo,
  },
  allowUnsafeDatabase: {
    variable: "WAYBILL_ALLOW_UNSAFE_DATABASE",
    flag: "--allow-unsafe-database",
    value: "",
    means: "yes",
    fallback: "no",
    sentence:
      "Take a PostgreSQL server with fsync or full_page_writes off (yes), which can lose what was answered with 202: for trials only.",
    check: yesOrNo,
  },
  drainSeconds: {
    variable: "WAYBILL_DRAIN_SECONDS",
    flag: "--drain-seconds",
    value: "<number>",
    fallback: "0",
    sentence:
      "How long a stop goes on taking requests while /readyz says no: behind a balancer, longer than that takes to notice.",
    check: value =>
      /^\d{1,3}$/.test(value) && Number(value) <= MAX_DRAIN_SECONDS
        ? undefined
        : `must be a whole number of seconds from 0 to ${MAX_DRAIN_SECONDS}`,
  },
  apiKey: {
    variable: "WAYBILL_API_KEY",
    flag: "--api-key",
    value: "<key>",
    fallback: "",
    sentence: "A first API key to create on an empty database; else one is made and shown once.",
    secret: true,
    check: value =>
      /^wb_[A-Za-z0-9_]{24,128}$/.test(value)
        ? undefined
        : "must begin with wb_ and go on with 24 to 128 letters, digits or underscores",
  },
  secretKey: {
    variable: "WAYBILL_SECRET_KEY",
    flag: "--secret-key",
    value: "<keys>",
    fallback: "",
    sentence:
      "Encrypts stored secrets: 32 bytes as base64 or hex; else a key file in the data folder, mode 0600. Several, separated by commas: the first seals, all open.",
    secret: true,
    check: value =>
      readSealingKeys(value) === undefined
        ? "must be 32 bytes as base64 (44 characters) or hex (64), or several such keys, separated by commas"
        : undefined,
  },
  egressAllow: {
    variable: "WAYBILL_EGRESS_ALLOW",
    flag: "--egress-allow",
    value: "<ranges and names>",
    fallback: "",
    sentence: "Ranges, addresses and host names, separated by commas, that integrations may reach although not public.",
    check: () => undefined,
  },
  smtpUrl: {
    variable: "WAYBILL_SMTP_URL",
    flag: "--smtp-url",
    value: "<url>",
    fallback: "",
    sentence:
      "Where mail for a project's alert_emails is handed over: smtp://user:password@host:587, or smtps://. Without it none is sent.",
    secret: true,
    check: value => {
      const reading = parseSmtpUrl(value)
      return reading.kind === "invalid" ? reading.message : undefined
    },
  },
  mailFrom: {
    variable: "WAYBILL_MAIL_FROM",
    flag: "--mail-from",
    value: "<address>",
    fallback: "",
    sentence: "Who mail is from, as name@host or Name <name@host>; else waybill@ and the host of the public URL.",
    check: value =>
      parseSender(value) === undefined ? "must be a mail address, such as Waybill <waybill@hub.example>" : undefined,
  },
  oidcIssuer: {
    variable: "WAYBILL_OIDC_ISSUER",
    flag: "--oidc-issuer",
    value: "<url>",
    fallback: "",
    sentence:
      "Where people sign in with OpenID Connect: the issuer's URL. Its host may be private. It takes people back to <public url>/v1/session/oidc/callback.",
    check: value =>
      isIssuer(value) ? undefined : "must be an https URL such as https://login.example, or http on this machine",
  },
  oidcClientId: {
    variable: "WAYBILL_OIDC_CLIENT_ID",
    flag: "--oidc-client-id",
    value: "<id>",
    fallback: "",
    sentence: "What the identity provider calls this Waybill.",
    check: () => undefined,
  },
  oidcClientSecret: {
    variable: "WAYBILL_OIDC_CLIENT_SECRET",
    flag: "--oidc-client-secret",
    value: "<secret>",
    fallback: "",
    sentence:
      "The secret that the identity provider gave for it; without one it is a public client, which PKCE protects.",
    secret: true,
    check: () => undefined,
  },
  oidcDomains: {
    variable: "WAYBILL_OIDC_DOMAINS",
    flag: "--oidc-domains",
    value: "<domains>",
    fallback: "",
    sentence:
      "Domains of mail addresses, separated by commas, that may sign in with OpenID Connect; else any that is invited or known.",
    check: value =>
      value.split(",").every(domain => isMailAddress(`a@${domain.trim()}`))
        ? undefined
        : "must be domains such as shop.example, separated by commas",
  },
  logLevel: {
    variable: "WAYBILL_LOG_LEVEL",
    flag: "--log-level",
    value: `<${logLevels.join("|")}>`,
    fallback: "info",
    sentence: "How much is logged.",
    check: value => (isLogLevel(value) ? undefined : `must be one of ${logLevels.join(", ")}`),
  },
} as const satisfies Record<string, Setting>

export type SettingName = keyof typeof settings

/** Variables that begin so are Waybill's own. */
const PREFIX = "WAYBILL_"

/** Those of them that are no settings of the server but of the command line. */
const clientVariables = ["WAYBILL_URL"]

/** Reads the settings from flags (by name of the setting) and environment; flags win. Faults are whole sentences. */
export function readConfig(
  flags: Readonly<Partial<Record<SettingName, string>>>,
  environment: Readonly<Record<string, string | undefined>> = process.env,
): { readonly config: Config } | { readonly faults: readonly string[] } {
  const faults: string[] = []
  const values = {} as Record<SettingName, string>
  for (const [name, setting] of Object.entries(settings) as [SettingName, Setting][]) {
    const flag = flags[name]
    const value = flag ?? environment[setting.variable] ?? ""
    values[name] = value === "" ? setting.fallback : value
    if (value === "") continue
    const fault = setting.check(value)
    if (fault !== undefined) {
      const shown = setting.secret || (setting.value === "<url>" && mayHoldPassword(value)) ? "" : `=${value}`
      faults.push(`${flag === undefined ? setting.variable : setting.flag}${shown} ${fault}.`)
    }
  }
  faults.push(...unknownVariables(environment))
  if ((values.oidcIssuer === "") !== (values.oidcClientId === "")) {
    const [set, missing] =
      values.oidcIssuer === ""
        ? [settings.oidcClientId, settings.oidcIssuer]
        : [settings.oidcIssuer, settings.oidcClientId]
    faults.push(`${set.variable} is set, and ${missing.variable} is not: sign-in with OpenID Connect needs both.`)
  }
  if (faults.length > 0) return { faults }
  const smtp = parseSmtpUrl(values.smtpUrl)
  return {
    config: {
      host: values.host,
      port: Number(values.port),
      publicUrl: values.publicUrl === "" ? null : baseUrl(values.publicUrl),
      trustProxy: values.trustProxy === "" ? [] : values.trustProxy.split(",").map(range => range.trim()),
      dataDir: values.dataDir,
      databaseUrl: values.databaseUrl === "" ? null : values.databaseUrl,
      migrate: values.migrate === "yes",
      allowUnsafeDatabase: values.allowUnsafeDatabase === "yes",
      drainSeconds: Number(values.drainSeconds),
      apiKey: values.apiKey === "" ? null : values.apiKey,
      secretKey: values.secretKey === "" ? null : values.secretKey,
      egressAllow: values.egressAllow,
      smtp: smtp.kind === "server" ? smtp.server : null,
      mailFrom: parseSender(values.mailFrom) ?? null,
      oidc: oidcOf(values),
      logLevel: isLogLevel(values.logLevel) ? values.logLevel : "info",
    },
  }
}

/** What the command line needs to reach a server over HTTP. */
export interface ClientConfig {
  /** Without a slash at its end. */
  readonly url: string
  readonly apiKey: string | undefined
}

/** Reads where the server is and the key for it, from flags and environment; flags win. Faults are whole sentences. */
export function clientConfig(
  flags: { readonly url?: string; readonly key?: string } = {},
  environment: Readonly<Record<string, string | undefined>> = process.env,
): { readonly client: ClientConfig } | { readonly faults: readonly string[] } {
  const given = flags.url ?? environment.WAYBILL_URL ?? ""
  const url = given === "" ? "http://127.0.0.1:8080" : given
  const apiKey = flags.key ?? environment.WAYBILL_API_KEY ?? ""
  const faults: string[] = []
  const urlFault = baseUrlFault(url, "http://127.0.0.1:8080")
  if (urlFault !== undefined) {
    const name = flags.url === undefined ? "WAYBILL_URL" : "--url"
    faults.push(`${name}${mayHoldPassword(url) ? "" : `=${url}`} ${urlFault}.`)
  }
  // What cannot stand in a header would be an error of fetch, which does not say which header.
  if (!/^[!-~]*$/.test(apiKey)) {
    faults.push(`${flags.key === undefined ? "WAYBILL_API_KEY" : "--key"} must be an API key: wb_… without spaces.`)
  }
  if (faults.length > 0) return { faults }
  return { client: { url: baseUrl(url), apiKey: apiKey === "" ? undefined : apiKey } }
}

/** How somebody who started this program starts another of its commands: through npm in the sources, by name elsewhere. */
export function commandName(environment: Readonly<Record<string, string | undefined>> = process.env): string {
  if (import.meta.filename.endsWith(".ts")) return "npm run waybill --"
  return environment.npm_command === "exec" ? "npx waybill" : "waybill"
}

/** The environment variables whose mere presence changes how requests leave the machine (EG-9). */
export function proxyVariables(environment: Readonly<Record<string, string | undefined>> = process.env): string[] {
  return ["NODE_USE_ENV_PROXY"].filter(name => environment[name] !== undefined && environment[name] !== "0")
}

/** Whether a server that listens on this host is reached from its own machine only. */
export function isLoopbackHost(host: string): boolean {
  return host === "localhost" || host === "::1" || /^127\./.test(host)
}

/** Waybill's version, from package.json. */
export const version: string = readVersion()

function unknownVariables(environment: Readonly<Record<string, string | undefined>>): string[] {
  const known = [...Object.values(settings).map(setting => setting.variable as string), ...clientVariables]
  const ours = known.filter(name => name.startsWith(PREFIX)).map(name => name.slice(PREFIX.length))
  return Object.keys(environment)
    .filter(name => name.startsWith(PREFIX) && !known.includes(name))
    .map(name => {
      const meant = nearest(name.slice(PREFIX.length), ours)
      const names = ours.map(other => PREFIX + other).join(", ")
      const hint = meant === null ? `Unset it; known are ${names}.` : `Did you mean ${PREFIX}${meant}?`
      return `${name} is no setting of Waybill. ${hint}`
    })
}

function oidcOf(values: Readonly<Record<SettingName, string>>): OidcProvider | null {
  const { oidcIssuer: issuer, oidcClientId: clientId, oidcClientSecret: secret, oidcDomains: domains } = values
  if (issuer === "") return null
  return {
    issuer,
    clientId,
    clientSecret: secret === "" ? null : secret,
    domains: domains === "" ? [] : domains.split(",").map(domain => domain.trim().toLowerCase()),
  }
}

/** What goes over the network in clear can be read, and what is read there lets anybody in. */
function isIssuer(value: string): boolean {
  const url = URL.parse(value)
  if (url === null || url.search !== "" || url.hash !== "" || holdsUser(url)) return false
  return url.protocol === "https:" || (url.protocol === "http:" && isLoopbackHost(url.hostname.replace(/^\[|\]$/g, "")))
}

function isLogLevel(value: string): value is LogLevel {
  return (logLevels as readonly string[]).includes(value)
}

function yesOrNo(value: string): string | undefined {
  return value === "yes" || value === "no" ? undefined : "must be yes or no"
}

/** What is wrong with the URL of a database, without a word of its password. */
function databaseUrlFault(value: string): string | undefined {
  const scheme = /^([a-z][a-z0-9+.-]*):/i.exec(value)?.[1] ?? ""
  if (!/^postgres(ql)?:\/\//.test(value)) {
    const found = scheme === "" || !value.includes("://") ? "it has no such beginning" : `it begins with ${scheme}://`
    return `must begin with postgres:// (${found}), such as postgres://user:password@host:5432/database`
  }
  if (!URL.canParse(value)) {
    return "is no URL: write special characters of the user and the password with percent signs (@ is %40, / is %2F, # is %23), and the port as a number"
  }
  const { hostname, pathname, searchParams, hash } = new URL(value)
  if (hash !== "") return "has a # in it: where that belongs to the password, write %23"
  if (hostname === "" && !searchParams.has("host")) {
    return "names no host: write postgres://user:password@host:5432/database"
  }
  if (pathname.includes("@")) return "has an @ after a /: in the password write / as %2F and @ as %40"
  if (pathname === "" || pathname === "/")
    return `names no database: write its name after the host, as in ${hostname}/waybill`
  return undefined
}

function isRange(value: string): boolean {
  const [address = "", bits, ...rest] = value.split("/")
  const family = isIP(address)
  if (family === 0 || rest.length > 0) return false
  return bits === undefined || (/^\d{1,3}$/.test(bits) && Number(bits) <= (family === 4 ? 32 : 128))
}

function readVersion(): string {
  // In the published package this file lies in the package's folder itself, in the sources one below.
  for (const path of ["./package.json", "../package.json"]) {
    try {
      const found = JSON.parse(readFileSync(new URL(path, import.meta.url), "utf8")) as {
        name?: string
        version?: string
      }
      if (found.name === "waybill" && found.version !== undefined) return found.version
    } catch {
      // Not there: look in the other place.
    }
  }
  return "0.0.0"
}
