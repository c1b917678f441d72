/**
 * `/v1/session/oidc`: signing in at the operator's identity provider. What has to be remembered between the way there and
 * the way back goes along in a sealed cookie that holds for ten minutes.
 */
import type { FastifyInstance, FastifyReply, FastifyRequest } from "fastify"
import { Type } from "typebox"
import { OIDC_SIGN_IN_MS } from "../domain/person.ts"
import type { SignInFault } from "../domain/sign-in-fault.ts"
import type { Entered, Refusal } from "../engine/entry.ts"
import { type Errand, type IdentityProvider, ProviderFault } from "../engine/identity-provider.ts"
import { StoreUnavailable } from "../store/database.ts"
import { originOf } from "./access.ts"
import type { Context } from "./context.ts"
import { Problem } from "./problem.ts"
import { responses } from "./schemas.ts"
import { dropCookie, keepCookie, readCookie } from "./session-cookie.ts"
import { letIn, visitOf } from "./session-view.ts"

const COOKIE = "waybill-oidc"
/** Where the errand's cookie belongs to, for the seal. */
const PLACE = "cookie/oidc"
const CALLBACK = "/v1/session/oidc/callback"
const tags = ["people"]
const Redirect = {
  description: "Leads on; where something went wrong to `/sign-in?error=…`, whose words `GET /v1/sign-in` has.",
  headers: { location: { schema: Type.String() } },
}

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
        response: { ...responses({}, 404), 302: Redirect },
      },
    },
    async (_request, reply) => {
      const at = provider()
      const left = await asking(() => at.leave(publicUrl() + CALLBACK))
      if (left === null) return backToSignIn(reply, "identity_provider")
      const sealed = store.seal.seal(PLACE, JSON.stringify(left.errand))
      keepCookie(context, reply, sealed, left.errand.at + OIDC_SIGN_IN_MS, COOKIE)
      return reply.redirect(left.url, 302)
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
        response: { ...responses({}, 404), 302: Redirect },
      },
    },
    async (request, reply) => {
      const at = provider()
      try {
        const came = await comeBack(request, reply, at)
        if (typeof came === "string") return backToSignIn(reply, came)
        await letIn(context, reply, came)
        return reply.redirect(`${publicUrl()}/`, 302)
      } catch (error) {
        if (!(error instanceof StoreUnavailable)) throw error
        log.warn({ err: error }, "nobody can be let in")
        return backToSignIn(reply, "unavailable")
      }
    },
  )

  /** Who has come in, or why not. */
  async function comeBack(
    request: FastifyRequest,
    reply: FastifyReply,
    at: IdentityProvider,
  ): Promise<Entered | SignInFault> {
    const errand = openErrand(readCookie(context, request, COOKIE))
    dropCookie(context, reply, COOKIE)
    if (errand === null || errand.state !== stateIn(request.query)) return "not_begun"
    if ((await people.tryFrom(originOf(request))) !== null) return "too_often"
    const query = request.url.includes("?") ? request.url.slice(request.url.indexOf("?")) : ""
    const back = await asking(() => at.return(publicUrl() + CALLBACK + query, errand))
    if (back === null) return "identity_provider"
    if (back.kind === "refused") {
      const { fault, error } = back
      log.info({ fault, error }, "somebody who came back from the identity provider was not let in")
      return fault
    }
    const came = await people.admit(back.person, visitOf(context, request))
    return came.kind === "entered" ? came : faultOf(came)
  }

  /** A browser has come here by itself, so that what went wrong has to be told on a page. */
  function backToSignIn(reply: FastifyReply, fault: SignInFault): FastifyReply {
    return reply.redirect(`${publicUrl()}/sign-in?error=${fault}`, 302)
  }

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

  /** Asks the provider something; null where it does not answer as it should. */
  async function asking<T>(ask: () => Promise<T>): Promise<T | null> {
    try {
      return await ask()
    } catch (error) {
      if (!(error instanceof ProviderFault)) throw error
      log.warn({ err: error }, "the identity provider cannot be used")
      return null
    }
  }
}

/** What the provider gives back as it was sent there. */
function stateIn(query: unknown): unknown {
  return typeof query === "object" && query !== null && "state" in query ? query.state : undefined
}

/** What of the refusals can meet somebody whom an identity provider vouches for. */
function faultOf(refusal: Refusal): SignInFault {
  switch (refusal.kind) {
    case "nowhere":
    case "disabled":
    case "uninvited":
    case "another":
    case "too_often":
      return refusal.kind
    case "wrong":
    case "ended":
    case "token":
    case "owned":
    case "missing":
      throw new Error(`Nobody whom an identity provider vouches for is refused as ${refusal.kind}.`)
  }
}
