/** Asks endpoints to show that they are there and listen, and keeps what they answered. */
import { withoutEchoes } from "../domain/echoed-secrets.ts"
import { type Environment, environments } from "../domain/event.ts"
import type { Exchange, OutboundRequest } from "../domain/exchange.ts"
import { formatId, type IntegrationId } from "../domain/id.ts"
import type { VerificationState } from "../domain/integration.ts"
import { describeReason } from "../domain/reason.ts"
import type { Database } from "../store/database.ts"
import { type IntegrationRecord, saveVerdict, saveVerification, type Verification } from "../store/integrations.ts"
import type { Store } from "../store/store.ts"
import type { Transport } from "../transport/http.ts"
import type { WatchfulAftermath } from "./aftermath.ts"
import type { Changes } from "./changes.ts"
import { type Directory, goLive, type LiveIntegration, signingKeysAt } from "./directory.ts"
import type { Engine } from "./engine.ts"
import { type Operational, referTo } from "./operational.ts"

export interface VerifierParts {
  readonly store: Store
  readonly directory: Directory
  readonly engine: Engine
  readonly transport: Transport
  readonly changes: Changes
  readonly operational: Operational
  readonly aftermath: Pick<WatchfulAftermath, "beginAnew">
  readonly userAgent: string
}

export class Verifier {
  readonly #parts: VerifierParts

  constructor(parts: VerifierParts) {
    this.#parts = parts
  }

  /**
   * Keeps where each endpoint of a record stands that is being saved, before any request: verified ones stay so unless
   * their URL, headers or credentials changed; all others wait for the request that `verify` sends. In the transaction
   * of the save, or a new address would for a moment pass as verified.
   */
  async stand(tx: Database, record: IntegrationRecord): Promise<void> {
    const live = goLive(record)
    for (const environment of environments) {
      const standing = this.#standing(live, environment)
      if (standing !== undefined) await saveVerification(tx, record.id, environment, standing)
    }
  }

  /** The environments whose endpoint has not passed yet. */
  outstanding(record: IntegrationRecord): readonly Environment[] {
    return environments.filter(environment => {
      const state = record.verification[environment]?.state
      return state === "pending" || state === "failed"
    })
  }

  /**
   * Sends the verifying requests of these environments, all at once, and keeps what came of them, unless the endpoint was
   * changed while it was being asked. What the endpoint answers is nobody's doing: whose change asked it stands before it
   * in the audit log.
   */
  async verify(id: IntegrationId, which: readonly Environment[]): Promise<void> {
    const { directory, engine, changes, operational, aftermath } = this.#parts
    const live = directory.integration(id)
    if (live === undefined) return
    let hasPassed = false
    const found = await Promise.all(
      which.map(async environment => [environment, await this.#ask(live, environment)] as const),
    )
    await changes.inTransaction(async (tx, note, tell) => {
      for (const [environment, verification] of found) {
        if (verification === undefined || !(await saveVerdict(tx, id, environment, verification))) continue
        await note({
          project: live.record.project,
          kind: verification.state === "verified" ? "verification.passed" : "verification.failed",
          subject: formatId("int", id),
          by: { kind: "waybill", id: "verification" },
          facts: { environment, message: verification.message },
        })
        await tell({ emits: [operational.event(live, tidingsOf(live, environment, verification), { environment })] })
        hasPassed ||= verification.state === "verified"
      }
    })
    if (hasPassed) await aftermath.beginAnew(id)
    await directory.reload(id)
    engine.refresh(id)
  }

  #standing(live: LiveIntegration, environment: Environment): Verification | undefined {
    const { connector, settings, record } = live
    const before = record.verification[environment]
    const { verification } = connector
    const endpoint =
      verification?.fingerprint(settings, environment, text => this.#parts.store.seal.keyedHash(text)) ?? null
    const rule = verification?.rule(settings) ?? "none"
    if (!connector.environments(settings).includes(environment)) {
      return before === undefined ? undefined : standing("not_required", rule, "")
    }
    if (rule === "none" || endpoint === null) return standing("not_required", rule, endpoint ?? "")
    if (before?.state === "verified" && before.endpoint === endpoint) return { ...before, rule }
    return standing("pending", rule, endpoint)
  }

  async #ask(live: LiveIntegration, environment: Environment): Promise<Verification | undefined> {
    const { connector, settings, record, integration } = live
    const { store, transport, userAgent } = this.#parts
    const { verification } = connector
    if (verification === undefined) return undefined
    const rule = verification.rule(settings)
    const signingKeys = signingKeysAt(record, store.now())
    const message = { id: formatId("evt", store.ids.next()), integration: record.id, signingKeys }
    const build = verification.request(settings, environment, message)
    if (build === null) return undefined
    const endpoint = verification.fingerprint(settings, environment, text => store.seal.keyedHash(text)) ?? ""
    const checkedAt = store.now()
    if (build.kind !== "send") {
      const text = "No request can be formed from these settings."
      return { state: "failed", rule, endpoint, checkedAt, message: text, answer: null }
    }
    const request: OutboundRequest = {
      ...build.request,
      headers: [...build.request.headers, { name: "user-agent", value: userAgent }],
    }
    const { policy } = integration
    const sent = await transport.send(request, {
      deadlineMs: policy.timeoutMs,
      keepBytes: policy.keepResponseBytes,
      connections: policy.maxConcurrent,
    })
    const exchange = withoutEchoes(sent)
    const verdict = verification.verdict(rule, exchange)
    return {
      state: verdict.passed ? "verified" : "failed",
      rule,
      endpoint,
      checkedAt,
      message: verdict.passed ? null : verdict.message,
      answer: JSON.stringify(answerOf(exchange)),
    }
  }
}

function tidingsOf(live: LiveIntegration, environment: Environment, { state, rule, message }: Verification) {
  const data = { integration: referTo(live), environment, rule }
  if (state === "verified") return { type: "waybill.integration.verified", data } as const
  const { advice } = describeReason({ code: "not_verified", facts: {} }, { status: "withheld", nextAt: null })
  return { type: "waybill.verification.failed", data: { ...data, message: message ?? "", advice } } as const
}

function standing(state: VerificationState, rule: string, endpoint: string): Verification {
  return { state, rule, endpoint, checkedAt: null, message: null, answer: null }
}

/** What came back, as it is kept and shown: status, headers, body as text. */
function answerOf(exchange: Exchange): Readonly<Record<string, unknown>> {
  if (exchange.kind === "broken") {
    return {
      status: null,
      error: exchange.message,
      class: exchange.class,
      phase: exchange.phase,
      took_ms: exchange.timings.totalMs,
    }
  }
  const { answer } = exchange
  return {
    status: answer.status,
    headers: answer.headers,
    body: Buffer.from(answer.body).toString("utf8"),
    truncated: answer.truncated,
    incomplete: answer.incomplete,
    took_ms: exchange.timings.totalMs,
  }
}
