/** A real OpenID Connect provider on loopback, at which people are signed in as the test says. */
import { once } from "node:events"
import { createServer, type Server } from "node:http"
import type { AddressInfo } from "node:net"
import Provider, { type Configuration } from "oidc-provider"

/** Whom the provider lets in next. */
export interface Account {
  readonly sub: string
  readonly email?: string
  readonly email_verified?: boolean
  readonly name?: string
}

export const CLIENT = { id: "waybill", secret: "a-secret-of-the-identity-provider" }

export class LocalProvider implements AsyncDisposable {
  readonly issuer: string
  /** Who signs in next; null: they decline. */
  account: Account | null = null
  /** Requests that came, as `GET /path`. */
  readonly requests: string[] = []
  readonly #server: Server

  private constructor(server: Server, issuer: string) {
    this.#server = server
    this.issuer = issuer
  }

  /** Starts one that sends people back to this address. */
  static async open(redirectUri: string, more: Configuration = {}): Promise<LocalProvider> {
    const server = createServer()
    await once(server.listen(0, "127.0.0.1"), "listening")
    const issuer = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
    const local = new LocalProvider(server, issuer)
    const provider = new Provider(issuer, {
      clients: [
        {
          client_id: CLIENT.id,
          client_secret: CLIENT.secret,
          redirect_uris: [redirectUri],
          response_types: ["code"],
          grant_types: ["authorization_code"],
        },
      ],
      claims: { openid: ["sub"], email: ["email", "email_verified"], profile: ["name"] },
      findAccount: (_context, sub) => ({
        accountId: sub,
        claims: () => ({ ...local.account, sub }),
      }),
      features: { devInteractions: { enabled: false } },
      interactions: { url: (_context, interaction) => `/interaction/${interaction.uid}` },
      loadExistingGrant: async context => {
        const { session, client, provider: own } = context.oidc
        const grant = new own.Grant({ accountId: String(session?.accountId), clientId: String(client?.clientId) })
        grant.addOIDCScope("openid email profile")
        await grant.save()
        return grant
      },
      ttl: { AccessToken: 60, AuthorizationCode: 60, Grant: 600, IdToken: 60, Interaction: 600, Session: 600 },
      cookies: { keys: ["a key of the test"] },
      ...more,
    })
    const handle = provider.callback()
    server.on("request", (request, response) => {
      local.requests.push(`${request.method} ${request.url?.split("?")[0]}`)
      if (!request.url?.startsWith("/interaction/")) {
        void handle(request, response)
        return
      }
      const { account } = local
      const result =
        account === null
          ? { error: "access_denied", error_description: "no" }
          : { login: { accountId: account.sub, remember: false } }
      void provider.interactionFinished(request, response, result, { mergeWithLastSubmission: false })
    })
    return local
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.leave()
  }

  /** Is there no more. */
  async leave(): Promise<void> {
    if (!this.#server.listening) return
    this.#server.closeAllConnections()
    this.#server.close()
    await once(this.#server, "close")
  }
}

/** Goes through the provider's pages as a browser does; gives the address to which it sends back. */
export async function signInAt(provider: LocalProvider, from: string): Promise<string> {
  const cookies = new Map<string, string>()
  let url = from
  for (let steps = 0; steps < 10; steps++) {
    const response = await fetch(url, {
      redirect: "manual",
      headers: { cookie: [...cookies].map(pair => pair.join("=")).join("; ") },
    })
    for (const line of response.headers.getSetCookie()) {
      const [, name = "", value = ""] = /^([^=]+)=([^;]*)/.exec(line) ?? []
      cookies.set(name, value)
    }
    const location = response.headers.get("location")
    if (location === null) throw new Error(`The provider answered ${response.status}: ${await response.text()}`)
    url = new URL(location, url).href
    if (!url.startsWith(provider.issuer)) return url
  }
  throw new Error("The provider leads in circles.")
}
