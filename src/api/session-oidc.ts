/**
 * `/v1/session/oidc`: signing in at the operator's identity provider. What has to be remembered between the way there and
 * the way back goes along in a sealed cookie that holds for ten minutes.
 */
import type { FastifyInstance } from "fastify"
import { Type } from "typebox"
import { OIDC_SIGN_IN_MS } from "../domain/person.ts"
import { type Errand, type IdentityProvider, ProviderFault } from "../engine/identity-provider.ts"
import { originOf } from "./access.ts"
import type { Context } from "./context.ts"
import { Problem } from "./problem.ts"
import { responses } from "./schemas.ts"
import { dropCookie, keepCookie, readCookie } from "./session-cookie.ts"
import { letIn, problemOf, visitOf } from "./session-view.ts"

const COOKIE = "waybill-oidc"
/** Where the errand's cookie belongs to, for the seal. */
const PLACE = "cookie/oidc"
const CALLBACK = "/v1/session/oidc/callback"
const tags = ["people"]
const Redirect = { description: "Leads on.", headers: { location: { schema: Type.String() } } }

export function oidcRoutes(server: FastifyInstance, context: Context): void {
  const { store, people, publicUrl, log, now } = context
  const provider = (): IdentityProvider => {
    if (context.identityProvider !== null) return context.identityProvider
    throw new Problem(
      "not_found",
      "Sign-in with OpenID Connect is not set up here: the operator does so with WAYBILL_OIDC_ISSUER and WAYBILL_OIDC_CLIENT_ID.",
    )
  }

  server.get(
    "/v1/session/oidc",
    {
      config: { public: true },
      schema: {
        operationId: "signInElsewhere",
        summary: "Leads to the identity provider, to sign in there",
        tags,
        response: { ...responses({}, 404, 502), 302: Redirect },
      },
    },
    async (_request, reply) => {
      const { url, errand } = await asking(() => provider().leave(publicUrl() + CALLBACK))
      const sealed = store.seal.seal(PLACE, JSON.stringify(errand))
      keepCookie(context, reply, sealed, errand.at + OIDC_SIGN_IN_MS, COOKIE)
      return reply.redirect(url, 302)
    },
  )

  server.get(
    CALLBACK,
    {
      config: { public: true },
      schema: {
        operationId: "comeBackSignedIn",
        summary: "Takes in whom the identity provider sends back",
        description:
          "Lets in people whom the provider is known to know, and those who exist or are invited under an address that it has verified.",
        tags,
        response: { ...responses({}, 401, 404, 429, 502, 503), 302: Redirect },
      },
    },
    async (request, reply) => {
      const at = provider()
      const errand = openErrand(readCookie(context, request, COOKIE))
      dropCookie(context, reply, COOKIE)
      if (errand === null) {
        throw new Problem(
          "sign_in_refused",
          "This sign-in was not begun in this browser, or longer than ten minutes ago. Begin again at GET /v1/session/oidc.",
        )
      }
      const limited = await people.tryFrom(originOf(request))
      if (limited !== null) throw problemOf(limited)
      const query = request.url.includes("?") ? request.url.slice(request.url.indexOf("?")) : ""
      const back = await asking(() => at.return(publicUrl() + CALLBACK + query, errand))
      if (back.kind === "refused") throw new Problem("sign_in_refused", back.message)
      await letIn(context, reply, await people.admit(back.person, visitOf(context, request)))
      return reply.redirect(`${publicUrl()}/`, 302)
    },
  )

  function openErrand(sealed: string | null): Errand | null {
    if (sealed === null) return null
    try {
      const errand = JSON.parse(store.seal.open(PLACE, sealed)) as Errand
      const ageMs = now() - errand.at
      return ageMs >= 0 && ageMs < OIDC_SIGN_IN_MS ? errand : null
    } catch {
      // Not ours, or of another key.
      return null
    }
  }

  /** Asks the provider something; that it does not answer is nobody's here. */
  async function asking<T>(ask: () => Promise<T>): Promise<T> {
    try {
      return await ask()
    } catch (error) {
      if (!(error instanceof ProviderFault)) throw error
      log.warn({ err: error }, "the identity provider cannot be used")
      throw new Problem("identity_provider", `The identity provider cannot be used just now. ${error.message}`)
    }
  }
}
