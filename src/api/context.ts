/** What handlers work with. main.ts makes it once. */
import type { WatchfulAftermath } from "../engine/aftermath.ts"
import type { Changes } from "../engine/changes.ts"
import type { Deliver } from "../engine/deliver.ts"
import type { Directory } from "../engine/directory.ts"
import type { Engine } from "../engine/engine.ts"
import type { Feed } from "../engine/feed.ts"
import type { IdentityProvider } from "../engine/identity-provider.ts"
import type { Inboxes } from "../engine/inboxes.ts"
import type { Intake } from "../engine/intake.ts"
import type { Keeper } from "../engine/keeper.ts"
import type { Keyring } from "../engine/keyring.ts"
import type { Members } from "../engine/members.ts"
import type { Metrics } from "../engine/metrics.ts"
import type { Notifier } from "../engine/notifier.ts"
import type { Operational } from "../engine/operational.ts"
import type { PasswordResets } from "../engine/password-resets.ts"
import type { People } from "../engine/people.ts"
import type { Recoverer } from "../engine/recover.ts"
import type { Rejections } from "../engine/rejections.ts"
import type { Remover } from "../engine/remover.ts"
import type { Verifier } from "../engine/verifier.ts"
import type { Log } from "../log.ts"
import type { Store } from "../store/store.ts"
import type { EgressRules } from "../transport/guard.ts"
import type { Cursors } from "./cursor.ts"
import type { Rates } from "./rate-limit.ts"
import type { Repeats } from "./repeats.ts"

/** Between its start and its end. `stopping` begins with the signal: requests are still taken for a while. */
export type Phase = "starting" | "running" | "stopping"

export interface Context {
  readonly store: Store
  readonly directory: Directory
  readonly engine: Engine
  readonly intake: Intake
  readonly changes: Changes
  readonly repeats: Repeats
  readonly rejections: Rejections
  readonly inboxes: Inboxes
  readonly feed: Feed
  readonly keyring: Keyring
  readonly people: People
  readonly members: Members
  readonly passwordResets: PasswordResets
  /** Where people sign in with OpenID Connect; null where the operator has named none. */
  readonly identityProvider: IdentityProvider | null
  readonly rates: Rates
  readonly verifier: Verifier
  readonly recoverer: Recoverer
  readonly remover: Remover
  readonly keeper: Keeper
  readonly aftermath: WatchfulAftermath
  readonly operational: Operational
  readonly notifier: Notifier
  readonly deliver: Deliver
  readonly metrics: Metrics
  readonly cursors: Cursors
  readonly egress: EgressRules
  readonly log: Log
  readonly now: () => number
  readonly version: string
  /** Name of this process, as attempts record it. */
  readonly process: string
  /** Where others reach this server, without a slash at its end. */
  readonly publicUrl: () => string
  readonly startedAt: number
  readonly phase: () => Phase
  /** The greatest delay of the event loop since this was last asked, in ms. */
  readonly loopLagMs: () => number
}

declare module "fastify" {
  interface FastifyRequest {
    /** The JSON text of a body, where exact numbers matter. */
    bodyText: string | null
  }
}
