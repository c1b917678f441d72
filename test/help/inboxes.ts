/** Inboxes, as their tests make them and look at them. */
import { items } from "./items.ts"
import type { Json, Program } from "./program.ts"

/** Signs what is sent to those that this makes. */
export const secret = `whsec_${Buffer.alloc(32, 7).toString("base64")}`

/** Makes an inbox that answers like this; gives its id. */
export async function makeInbox(program: Program, answer: object = {}, more: object = {}): Promise<string> {
  const made = await program.call("POST", "/v1/integrations", {
    ...{ name: "an inbox", connector: "inbox", secret },
    config: { answer },
    ...more,
  })
  return String(made.id)
}

/** What an inbox shows that it got, the newest first. */
export async function requestsOf(program: Program, inbox: string): Promise<Json[]> {
  return items((await program.call("GET", `/v1/integrations/${inbox}/inbox?limit=200`)).data)
}

/** Where it takes requests. */
export async function urlOf(program: Program, inbox: string): Promise<string> {
  return String((await program.call("GET", `/v1/integrations/${inbox}/inbox`)).url)
}

/** Headers by their names in small letters. */
export function headersOf(request: Json | undefined): Map<string, unknown> {
  return new Map(items(request?.headers).map(({ name, value }) => [String(name).toLowerCase(), value]))
}
