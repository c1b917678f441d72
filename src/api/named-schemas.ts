/**
 * The shapes that many operations share, by the names under which the OpenAPI document has them: programs that are made from it
 * name their types so, and each stands in it once.
 */
import type { TSchema } from "typebox"
import { KeyView } from "./api-key-schemas.ts"
import { AttemptView, FullAttemptView } from "./attempt-view.ts"
import { DeliveryView, IntegrationName } from "./delivery-view.ts"
import { DiagnosisView, VerdictView } from "./diagnosis.ts"
import { EventSummaryView } from "./event-view.ts"
import { FailureView } from "./failures.ts"
import { AcceptedView, BatchView } from "./ingest.ts"
import { EventBody } from "./ingest-schemas.ts"
import { IntegrationView, PolicyOut, VerificationView } from "./integration-schemas.ts"
import { ProtectionView } from "./protection-view.ts"
import { ReasonView } from "./reasons.ts"
import { FullRecoveryView, RecoveryView } from "./recovery-view.ts"
import { ProblemSchema } from "./schemas.ts"
import { SessionView } from "./session-view.ts"

/** Asked for, not there at once: the files of these schemas come round to this one. */
const namedSchemas = (): Readonly<Record<string, TSchema>> => ({
  NewEvent: EventBody,
  AcceptedEvent: AcceptedView,
  AcceptedBatch: BatchView,
  Event: EventSummaryView,
  Delivery: DeliveryView,
  Reason: ReasonView,
  Attempt: AttemptView,
  AttemptWithExchange: FullAttemptView,
  Integration: IntegrationView,
  IntegrationName,
  Policy: PolicyOut,
  Verification: VerificationView,
  Protection: ProtectionView,
  Diagnosis: DiagnosisView,
  Verdict: VerdictView,
  Failure: FailureView,
  Recovery: RecoveryView,
  RecoveryInFull: FullRecoveryView,
  ApiKey: KeyView,
  Session: SessionView,
  Problem: ProblemSchema,
})

/** The schemas themselves, for `components/schemas`: each points to those that stand in it. */
export function schemasByName(): Readonly<Record<string, object>> {
  return Object.fromEntries(
    Object.entries(namedSchemas()).map(([name, schema]) => [name, membersNamed(plain(schema) as object)]),
  )
}

/** A part of the document in which each schema that has a name is pointed to in place of being written out. */
export function withNames(part: unknown): unknown {
  if (typeof part !== "object" || part === null) return part
  const name = isShape(part) ? nameByText().get(JSON.stringify(part)) : undefined
  return name === undefined ? membersNamed(part) : { $ref: `#/components/schemas/${name}` }
}

function membersNamed<T extends object>(part: T): T {
  const members = Array.isArray(part)
    ? part.map(withNames)
    : Object.fromEntries(Object.entries(part).map(([key, value]) => [key, withNames(value)]))
  return members as T
}

function isShape(part: object): boolean {
  return "properties" in part
}

let texts: ReadonlyMap<string, string> | undefined

function nameByText(): ReadonlyMap<string, string> {
  texts ??= new Map(Object.entries(namedSchemas()).map(([name, schema]) => [JSON.stringify(plain(schema)), name]))
  return texts
}

/** A schema of the sources as the generator of the document writes it: each constant as a list of one. */
function plain(schema: TSchema): unknown {
  return JSON.parse(JSON.stringify(schema), (_key, value: unknown) =>
    typeof value === "object" && value !== null && Object.hasOwn(value, "const")
      ? Object.fromEntries(Object.entries(value).map(([key, of]) => (key === "const" ? ["enum", [of]] : [key, of])))
      : value,
  )
}
