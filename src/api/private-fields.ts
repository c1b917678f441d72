/** Private fields as they are set, and what is said where the data that held them is no longer there whole. */
import { Type } from "typebox"
import { MAX_PRIVATE_FIELDS } from "../domain/private-fields.ts"
import { Problem } from "./problem.ts"
import { timeText } from "./schemas.ts"

/** The list of them in a body. */
export const PrivateFieldList = Type.Optional(
  Type.Array(
    Type.String({
      maxLength: 500,
      // RFC 6901, without NUL and half characters, which no engine keeps.
      pattern: "^(?:/(?:[^/~\\u0000\\ud800-\\udfff]|~[01])*)*$",
      "x-hint": "must be a JSON pointer into `data`, such as /customer/email",
      examples: ["/customer/email", "/orders/*/card"],
    }),
    {
      maxItems: MAX_PRIVATE_FIELDS,
      uniqueItems: true,
      description:
        "JSON pointers into `data`; `*` stands for every element of a list and every member of an object, an empty one for all of it. For events that are accepted from then on.",
    },
  ),
)

/** The problem of an event, or several, whose data is no longer there whole. `what`: such as `this event`. */
export function maskedProblem(what: string, maskedAt: number): Problem {
  const at = timeText(maskedAt)
  const detail = `The private fields of ${what} were masked at ${at}, as no delivery was open any more, so there is nothing whole left to send. Have the source send it again.`
  return new Problem("payload_expired", detail, { extra: { masked_at: at } })
}
