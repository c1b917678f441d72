/** How a request proves who sends it, where that is more than a header as typed: HTTP Basic, OAuth 2.0 client credentials. */
import Type, { type Static } from "typebox"
import { type Environment, environments } from "../domain/event.ts"
import type { Header, TokenGrant } from "../domain/exchange.ts"
import type { Settings, SettingsFault } from "./connector.ts"
import { MAX_URL_CHARACTERS, urlFault } from "./url-rules.ts"

const MAX_VALUE_CHARACTERS = 4_096

const basicSchema = Type.Object(
  {
    kind: Type.Literal("basic", { title: "Kind", description: "A user name and a password (RFC 7617)." }),
    username: Type.String({
      title: "User name",
      description: "Any text without a colon. It may be empty.",
      maxLength: MAX_VALUE_CHARACTERS,
    }),
    password: Type.String({
      title: "Password",
      description: "Any text, sent in UTF-8. It may be empty where the user name is a key.",
      secret: true,
      maxLength: MAX_VALUE_CHARACTERS,
    }),
  },
  {
    title: "HTTP Basic",
    description: "Sends user name and password with each request.",
    additionalProperties: false,
  },
)

const oauth2Schema = Type.Object(
  {
    kind: Type.Literal("oauth2", {
      title: "Kind",
      description: "A token that Waybill fetches itself: OAuth 2.0 client credentials (RFC 6749, 4.4).",
    }),
    token_url: Type.String({
      title: "Token URL",
      description: "The token endpoint of the authorization server: an http or https URL, judged as every other.",
      minLength: 1,
      maxLength: MAX_URL_CHARACTERS,
    }),
    client_id: Type.String({
      title: "Client id",
      description: "Who Waybill is to the authorization server.",
      minLength: 1,
      maxLength: MAX_VALUE_CHARACTERS,
    }),
    client_secret: Type.String({
      title: "Client secret",
      description: "The secret of this client.",
      secret: true,
      minLength: 1,
      maxLength: MAX_VALUE_CHARACTERS,
    }),
    scope: Type.Optional(
      Type.String({
        title: "Scope",
        description: "What the token is asked for, several separated by spaces. Left out, the server decides.",
        minLength: 1,
        maxLength: MAX_VALUE_CHARACTERS,
      }),
    ),
    audience: Type.Optional(
      Type.String({
        title: "Audience",
        description: "Whom the token is for, where the authorization server asks for that.",
        minLength: 1,
        maxLength: MAX_VALUE_CHARACTERS,
      }),
    ),
    client_auth: Type.Enum(["basic", "post"], {
      title: "Client authentication",
      description: "Where client id and secret stand: basic in the Authorization header, post in the form.",
    }),
  },
  {
    title: "OAuth 2.0 client credentials",
    description: "Fetches a token, sends it as Authorization: Bearer, and fetches the next one before it expires.",
    additionalProperties: false,
  },
)

export type BasicAuth = Static<typeof basicSchema>
export type OAuth2 = Static<typeof oauth2Schema>

/** By `kind` exactly one of the alternatives applies, and its faults alone are told. */
export const authSchema = Type.Unsafe<BasicAuth | OAuth2>({
  title: "Authentication",
  description: "In place of authorization: a user name and password, or a token that Waybill fetches itself.",
  type: "object",
  properties: {
    kind: Type.Enum(["basic", "oauth2"], {
      title: "Kind",
      description: "A user name and a password are basic, a token from an authorization server is oauth2.",
    }),
  },
  required: ["kind"],
  discriminator: { propertyName: "kind" },
  oneOf: [basicSchema, oauth2Schema],
})

/** What the schema cannot say of it; pointers begin at `auth` itself. */
export function checkAuth(auth: BasicAuth | OAuth2): SettingsFault[] {
  return auth.kind === "basic" ? checkBasic(auth) : checkOAuth2(auth)
}

function checkBasic({ username, password }: BasicAuth): SettingsFault[] {
  const faults: SettingsFault[] = []
  if (username === "" && password === "") {
    faults.push({ pointer: "/username", message: "Give a user name or a password; leave auth out to send neither." })
  }
  if (username.includes(":")) {
    const message =
      "The user name holds a colon, which HTTP Basic takes for the end of it. Only a password may hold one."
    faults.push({ pointer: "/username", message })
  }
  if (isControlled(username)) faults.push({ pointer: "/username", message: controlled("The user name") })
  if (isControlled(password)) faults.push({ pointer: "/password", message: controlled("The password") })
  return faults
}

function checkOAuth2(auth: OAuth2): SettingsFault[] {
  const faults: SettingsFault[] = []
  const message = urlFault(auth.token_url)
  if (message !== null) faults.push({ pointer: "/token_url", message })
  const printable = /^[ -~]+$/
  const named = [
    ["client_id", "The client id", auth.client_id],
    ["client_secret", "The client secret", auth.client_secret],
    ["audience", "The audience", auth.audience],
  ] as const
  for (const [field, name, value] of named) {
    if (value !== undefined && !printable.test(value)) {
      faults.push({ pointer: `/${field}`, message: `${name} holds a character beyond printable ASCII. Copy it again.` })
    }
  }
  // RFC 6749, 3.3.
  if (auth.scope !== undefined && !/^[!#-[\]-~]+(?: [!#-[\]-~]+)*$/.test(auth.scope)) {
    const says = "The scope is words of printable ASCII, with one space between two, as in events.write crm."
    faults.push({ pointer: "/scope", message: says })
  }
  return faults
}

function isControlled(text: string): boolean {
  return /[\u0000-\u001f\u007f]/.test(text) || !text.isWellFormed()
}

function controlled(what: string): string {
  return `${what} holds a line break, a tab or another control character. Take it out.`
}

/** The header of HTTP Basic. */
export function basicHeader({ username, password }: BasicAuth): Header {
  const value = `Basic ${Buffer.from(`${username}:${password}`).toString("base64")}`
  return { name: "authorization", value, secret: true }
}

/** How the token of these settings is fetched. */
export function grantOf(auth: OAuth2): TokenGrant {
  return {
    tokenUrl: new URL(auth.token_url).href,
    clientId: auth.client_id,
    clientSecret: auth.client_secret,
    scope: auth.scope ?? null,
    audience: auth.audience ?? null,
    clientAuth: auth.client_auth,
  }
}

/** Values that stand in requests and are made of secrets: whoever hides secrets hides them too. */
export function madeOfSecrets(settings: Settings): string[] {
  return environments.flatMap((environment: Environment) => {
    const { auth } = (settings[environment] ?? {}) as { readonly auth?: BasicAuth | OAuth2 }
    return auth?.kind === "basic" ? [basicHeader(auth).value] : []
  })
}
