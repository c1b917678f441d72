/** Whether an endpoint has shown that it is there and listens: what came of its `POST {}`, held against the rule. */
import type { Answer, Exchange } from "../domain/exchange.ts"
import { jsonFault } from "../domain/json-spans.ts"
import type { Verdict, VerificationRule } from "./connector.ts"
import { decodeUtf8 } from "./destination-record.ts"

/**
 * The verdict of a rule. `status` asks for a 2xx, whatever the policy calls success; `json` also for a body that is JSON,
 * of any content type and value. A body that was cut off or is longer than what was kept is not JSON as far as can be
 * told, so it does not pass; `status` does not look at it.
 */
export function verdictOfVerification(rule: VerificationRule, exchange: Exchange): Verdict {
  if (rule === "none") return { passed: true }
  if (exchange.kind === "broken") {
    return { passed: false, missed: "answer", message: `No answer came: ${exchange.message.replace(/\.$/, "")}.` }
  }
  const { answer } = exchange
  if (answer.status < 200 || answer.status > 299) {
    const message = `The endpoint answered ${answer.status}; verification asks for a status from 200 to 299.`
    return { passed: false, missed: "status", message }
  }
  const fault = rule === "json" ? bodyFault(answer) : null
  if (fault === null) return { passed: true }
  const advice = 'Answer with a short JSON body such as {}, or set verification to "status".'
  return { passed: false, missed: "json", message: `The endpoint answered ${answer.status}, but ${fault}. ${advice}` }
}

/** Why a body does not pass as JSON, as the middle of a sentence; null where it does. */
function bodyFault({ body, truncated, incomplete }: Answer): string | null {
  if (truncated)
    return `its body is longer than the ${body.length} bytes that are kept, so it cannot be read to its end`
  if (incomplete) return "its body was cut off before its end"
  if (body.length === 0) return "with an empty body"
  const text = decodeUtf8(body)
  if (text === null) return "its body is no UTF-8, so it is no JSON"
  const fault = jsonFault(text, Number.POSITIVE_INFINITY)
  return fault === null ? null : `its body is no JSON (${fault.message})`
}
