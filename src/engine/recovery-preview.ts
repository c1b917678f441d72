/** What a recovery would do, counted without queueing anything: in time, with how far the counting came. */
import { type IntegrationId, type ProjectId, timeOfId } from "../domain/id.ts"
import { type RecoveryAsk, walkFrom } from "../domain/recovery.ts"
import { METADATA_MS } from "../store/kept.ts"
import { lookOn } from "../store/recovery-look.ts"
import type { Store } from "../store/store.ts"
import type { Directory } from "./directory.ts"
import { countsOf, type Ruled, ruleOnAll, type Unsent } from "./recovery-rulings.ts"

export interface Preview {
  readonly found: number
  /** How many would be sent. */
  readonly send: number
  readonly unsent: readonly Unsent[]
  /** The oldest of each integration. */
  readonly sample: readonly Sample[]
  /** When the last of the payloads that have gone was due to go, ms since 1970; null where none has. */
  readonly lastExpiredAt: number | null
  /** When private fields were masked last of those whose data is no longer there whole; null where there are none. */
  readonly lastMaskedAt: number | null
  /** Set where the counting stopped for time: all that was received before is counted. */
  readonly countedTo: number | null
}

export interface Sample extends Ruled {
  readonly integration: IntegrationId
}

const SAMPLE = 10
/** Events that are looked at together: about 10 ms of the reader's time. */
const WINDOW_ROWS = 1_000

/** Counts for `budgetMs` at the most, which the integrations share. */
export async function previewRecovery(
  { store, directory, now }: { readonly store: Store; readonly directory: Directory; readonly now: () => number },
  project: ProjectId,
  ask: RecoveryAsk,
  budgetMs: number,
): Promise<Preview> {
  const sheet = new Sheet(Math.max(1, Math.floor(SAMPLE / ask.integrations.length)))
  const startedAt = performance.now()
  for (const [place, integration] of ask.integrations.entries()) {
    const live = directory.integration(integration)
    if (live === undefined) continue
    const endsAt = startedAt + (budgetMs * (place + 1)) / ask.integrations.length
    const look = {
      project,
      integration,
      recovery: 0,
      ask,
      upTo: Number.MAX_SAFE_INTEGER,
      rows: WINDOW_ROWS,
      now: now(),
    }
    let after = walkFrom(Math.max(ask.from, now() - METADATA_MS))
    for (;;) {
      const { found, reached } = await lookOn(store.reads, { ...look, after })
      sheet.add(integration, await ruleOnAll(store, ask, live, found, now()))
      if (reached === null) break
      after = reached
      if (performance.now() < endsAt) continue
      sheet.stopAt(timeOfId(reached))
      break
    }
  }
  return sheet.preview()
}

class Sheet {
  readonly #sampleOfEach: number
  readonly #sample: Sample[] = []
  readonly #unsent = new Map<string, Unsent>()
  #found = 0
  #send = 0
  #lastExpiredAt: number | null = null
  #lastMaskedAt: number | null = null
  #countedTo: number | null = null

  constructor(sampleOfEach: number) {
    this.#sampleOfEach = sampleOfEach
  }

  add(integration: IntegrationId, ruled: readonly Ruled[]): void {
    this.#found += ruled.length
    const has = this.#sample.filter(sample => sample.integration === integration).length
    const room = Math.min(this.#sampleOfEach - has, SAMPLE - this.#sample.length)
    this.#sample.push(...ruled.slice(0, Math.max(0, room)).map(each => ({ ...each, integration })))
    for (const { found, ruling } of ruled) {
      if (ruling.kind === "send") this.#send++
      if (ruling.kind !== "expired") continue
      const { maskedAt = null, payloadExpiresAt } = found
      if (maskedAt === null) this.#lastExpiredAt = Math.max(this.#lastExpiredAt ?? 0, payloadExpiresAt)
      else this.#lastMaskedAt = Math.max(this.#lastMaskedAt ?? 0, maskedAt)
    }
    for (const unsent of countsOf(ruled)) {
      const key = `${unsent.outcome}/${unsent.reason}`
      const count = (this.#unsent.get(key)?.count ?? 0) + unsent.count
      this.#unsent.set(key, { ...unsent, count })
    }
  }

  /** The counting of an integration stopped at a time. */
  stopAt(time: number): void {
    this.#countedTo = Math.min(this.#countedTo ?? Number.POSITIVE_INFINITY, time)
  }

  preview(): Preview {
    return {
      found: this.#found,
      send: this.#send,
      unsent: [...this.#unsent.values()],
      sample: this.#sample,
      lastExpiredAt: this.#lastExpiredAt,
      lastMaskedAt: this.#lastMaskedAt,
      countedTo: this.#countedTo,
    }
  }
}
