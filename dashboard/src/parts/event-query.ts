/** One event with all that became of it, as the event page and whatever explains a status read it. */
import { given } from "waybill-sdk"
import { type Answer, waybill } from "../waybill.ts"

/** An event; its payload also as the text that came, since parsing would change numbers such as 1.0. */
export type FullEvent = Answer<"/v1/events/{id}"> & { readonly payloadText: string | null }

export function eventQuery(id: string) {
  return {
    queryKey: ["event", id],
    queryFn: async (): Promise<FullEvent> => {
      const text = await given(waybill.GET("/v1/events/{id}", { params: { path: { id } }, parseAs: "text" }))
      const event = JSON.parse(text) as Answer<"/v1/events/{id}">
      return { ...event, payloadText: memberText(text, "payload") }
    },
  } as const
}

/** The text of one member of a JSON object, as it stands there; null where it has none of that name. */
export function memberText(text: string, name: string): string | null {
  const tokens = /"(?:[^"\\]|\\.)*"|[[\]{},:]|[^\s[\]{},:"]+/g
  let depth = 0
  let start = -1
  let isWanted = false
  let isKey = true
  for (let token = tokens.exec(text); token !== null; token = tokens.exec(text)) {
    const [found] = token
    if (found === "}" || found === "]") depth--
    const isEnd = (depth === 1 && found === ",") || depth === 0
    if (isEnd && start >= 0) return text.slice(start, token.index).trim()
    if (found === "{" || found === "[") depth++
    if (depth !== 1) continue
    if (found === ",") isKey = true
    else if (found === ":") {
      isKey = false
      if (isWanted) start = tokens.lastIndex
    } else if (isKey) isWanted = found === JSON.stringify(name)
  }
  return null
}
