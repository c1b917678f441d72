/** What revisions changed, as it is written in the API's answer: parsed, the numbers of a filter would be rounded. */
import { elementsOf, memberText } from "../parts/json-parts.ts"

/** The JSON texts of a change's two values. */
export interface ChangeText {
  readonly from: string
  readonly to: string
}

/** Those of each change of each revision on a page, in its order. */
export function changeTextsOf(page: string): ChangeText[][] {
  const revisions = elementsOf(memberText(page, "data") ?? "[]") ?? []
  return revisions.map(revision =>
    (elementsOf(memberText(revision, "changes") ?? "[]") ?? []).map(change => ({
      from: memberText(change, "from") ?? "null",
      to: memberText(change, "to") ?? "null",
    })),
  )
}
