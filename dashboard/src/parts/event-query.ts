/** One event with all that became of it, as the event page and whatever explains a status read it. */
import { given } from "waybill-sdk"
import { type Answer, waybill } from "../waybill.ts"
import { memberText } from "./json-parts.ts"

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
