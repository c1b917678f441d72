/**
 * Sign-in at an identity provider by OpenID Connect: the code flow with PKCE, state and nonce; ID tokens with a signature
 * that holds. All of its HTTP goes through the guarded transport (EG-17), where the operator's own setting lets the
 * provider's host be private.
 */
import * as oidc from "openid-client"
import { HOUR_MS } from "../domain/duration.ts"
import type { OutboundRequest } from "../domain/exchange.ts"
import { isMailAddress } from "../domain/mail-address.ts"
import type { SignInFault } from "../domain/sign-in-fault.ts"
import type { Transport } from "../transport/http.ts"
import type { Vouched } from "./entry.ts"

/** What the operator says of the provider. */
export interface ProviderSettings {
  readonly issuer: string
  readonly clientId: string
  /** Null for a client without one, which PKCE alone protects. */
  readonly clientSecret: string | null
  /** Whose addresses may come in; empty: any that is verified. */
  readonly domains: readonly string[]
}

/** What is kept at the browser, sealed, from the way there to the way back. */
export interface Errand {
  readonly state: string
  readonly nonce: string
  readonly verifier: string
  readonly at: number
}

/** What came of the way back. */
export type Return =
  | { readonly kind: "vouched"; readonly person: Vouched }
  /** `error`: what the provider calls it, for the log. */
  | { readonly kind: "refused"; readonly fault: SignInFault; readonly error: string | null }

/** The provider does not answer, or not as the standard says. */
export class ProviderFault extends Error {}

/** What is known of the provider is asked for anew after so long. */
const DISCOVERY_MS = HOUR_MS
const DEADLINE_MS = 10_000
const KEEP_BYTES = 131_072
const MAX_NAME_CHARACTERS = 200
const SCOPE = "openid email profile"

export class IdentityProvider {
  readonly #settings: ProviderSettings
  readonly #transport: Transport
  readonly #now: () => number
  #found: { readonly configuration: Promise<oidc.Configuration>; readonly at: number } | undefined

  constructor(settings: ProviderSettings, transport: Transport, now: () => number) {
    this.#settings = settings
    this.#transport = transport
    this.#now = now
  }

  /** What people know it by. */
  get host(): string {
    return new URL(this.#settings.issuer).host
  }

  /** Where to send the browser, and what to keep until it is back. */
  async leave(redirectUri: string): Promise<{ readonly url: string; readonly errand: Errand }> {
    const configuration = await this.#configuration()
    const [state, nonce, verifier] = [oidc.randomState(), oidc.randomNonce(), oidc.randomPKCECodeVerifier()]
    const url = oidc.buildAuthorizationUrl(configuration, {
      redirect_uri: redirectUri,
      scope: SCOPE,
      state,
      nonce,
      code_challenge: await oidc.calculatePKCECodeChallenge(verifier),
      code_challenge_method: "S256",
    })
    return { url: url.href, errand: { state, nonce, verifier, at: this.#now() } }
  }

  /** Whom the provider sends back. `url`: where the browser has come, with its query. Throws ProviderFault. */
  async return(url: string, errand: Errand): Promise<Return> {
    const configuration = await this.#configuration()
    let tokens: Awaited<ReturnType<typeof oidc.authorizationCodeGrant>>
    try {
      tokens = await oidc.authorizationCodeGrant(configuration, new URL(url), {
        pkceCodeVerifier: errand.verifier,
        expectedState: errand.state,
        expectedNonce: errand.nonce,
        idTokenExpected: true,
      })
    } catch (error) {
      return refusalOf(error)
    }
    const claims = tokens.claims()
    if (claims === undefined) throw new ProviderFault("It gave no ID token.")
    // What is asked for with `email` and `profile` many providers tell only there.
    const asks = claims["email"] === undefined && configuration.serverMetadata().userinfo_endpoint !== undefined
    const more = asks
      ? await oidc.fetchUserInfo(configuration, tokens.access_token, claims.sub).catch((error: unknown) => {
          throw new ProviderFault(`It did not say who signed in: ${messageOf(error)}.`)
        })
      : {}
    return this.#judge({ ...more, ...claims })
  }

  #judge(claims: Readonly<Record<string, unknown>>): Return {
    const { sub, email, email_verified: verified, name } = claims
    if (typeof sub !== "string") throw new ProviderFault("Its ID token names nobody.")
    if (typeof email !== "string" || !isMailAddress(email)) return refused("no_address")
    if (verified !== true && verified !== "true") return refused("not_verified")
    const { issuer, domains } = this.#settings
    const domain = email.slice(email.lastIndexOf("@") + 1).toLowerCase()
    if (domains.length > 0 && !domains.includes(domain)) return refused("other_domain")
    const known = (typeof name === "string" && nameIn(name)) || email
    return { kind: "vouched", person: { issuer, subject: sub, email, name: known } }
  }

  /** What the provider says of itself; asked for when it is first needed, and not remembered where it fails. */
  #configuration(): Promise<oidc.Configuration> {
    const now = this.#now()
    if (this.#found !== undefined && Math.abs(now - this.#found.at) < DISCOVERY_MS) return this.#found.configuration
    const configuration = this.#discover()
    const found = { configuration, at: now }
    this.#found = found
    configuration.catch(() => {
      if (this.#found === found) this.#found = undefined
    })
    return configuration
  }

  async #discover(): Promise<oidc.Configuration> {
    const { issuer, clientId, clientSecret } = this.#settings
    try {
      return await oidc.discovery(
        new URL(issuer),
        clientId,
        undefined,
        clientSecret === null ? oidc.None() : oidc.ClientSecretBasic(clientSecret),
        {
          [oidc.customFetch]: (url, options) => this.#fetch(url, options),
          execute: [
            oidc.enableNonRepudiationChecks,
            // A provider on this machine, for trials; the setting takes no other one without TLS.
            ...(issuer.startsWith("http:") ? [oidc.allowInsecureRequests] : []),
          ],
          timeout: DEADLINE_MS / 1_000,
        },
      )
    } catch (error) {
      throw new ProviderFault(`What it says of itself could not be read: ${messageOf(error)}.`)
    }
  }

  async #fetch(url: string, options: oidc.CustomFetchOptions): Promise<Response> {
    const { method, body } = options
    if (method !== "GET" && method !== "POST") throw new TypeError(`${method} is not asked for`)
    const headers = [...new Headers(options.headers)].map(([name, value]) => ({ name, value, secret: true }))
    const text =
      body === undefined || body === null ? "" : typeof body === "string" ? body : String(body as URLSearchParams)
    const request: OutboundRequest = { kind: "http", method, url, headers, body: text, signature: null }
    const limits = { deadlineMs: DEADLINE_MS, keepBytes: KEEP_BYTES, connections: 1 }
    const exchange = await this.#transport.send(request, limits)
    if (exchange.kind === "broken") throw new TypeError(exchange.message)
    const { answer } = exchange
    if (answer.truncated || answer.incomplete) throw new TypeError("its answer is too long, or was cut short")
    const isEmpty = answer.status === 204 || answer.status === 304
    return new Response(isEmpty ? null : Buffer.from(answer.body), {
      status: answer.status,
      headers: answer.headers.map(([name, value]): [string, string] => [name, value]),
    })
  }
}

/** What went wrong on the way back, as far as it is the person's to know. */
function refusalOf(error: unknown): Return {
  if (error instanceof oidc.AuthorizationResponseError) return refused("declined", error.error)
  if (error instanceof oidc.ResponseBodyError) return refused("code_refused", error.error)
  throw new ProviderFault(messageOf(error))
}

function refused(fault: SignInFault, error: string | null = null): Return {
  return { kind: "refused", fault, error }
}

/** What the library says, with what lies below it: a name that is not found, a connection that is refused. */
function messageOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error)
  const cause = error.cause instanceof Error && error.cause.message !== error.message ? ` (${error.cause.message})` : ""
  return `${error.message}${cause}`.replace(/\.+$/, "")
}

/** A name as it is kept: without what no engine keeps in a text, and no longer than people may type one. May be empty. */
export function nameIn(claim: string): string {
  const keepable = claim.toWellFormed().replaceAll("\u0000", "").trim()
  // By characters, or the last one might be cut in half.
  return [...keepable].slice(0, MAX_NAME_CHARACTERS).join("").trim()
}
