/**
 * Sentences of the API name the call that helps; on a page the link that does the same stands in its place. The table of
 * those calls: a new one in a sentence needs its row here (test/dashboard-words.test.ts).
 */

/** A stretch of a sentence: as it stands there, or as a link. */
export type Piece = string | (Place & { readonly words: string })

/** A page of the dashboard with its filters. */
interface Place {
  readonly to: string
  readonly search?: Readonly<Record<string, string>>
}

/** What the sentence is about, for the page that it leads to. */
export interface About {
  /** `int_…` */
  readonly integration?: string | undefined
  /** Since when, RFC 3339. */
  readonly since?: string | null | undefined
}

interface Row {
  readonly call: RegExp
  /** Before the words, where the sentence says “with” before the call. */
  readonly by: "with" | "on"
  readonly words: string
  readonly place: (id: string, about: About) => Place
}

const id = "[\\w.…<>{}-]+"
const row = (call: string, by: Row["by"], words: string, place: Row["place"]): Row => ({
  call: new RegExp(`^${call}$`),
  by,
  words,
  place,
})

const rows: readonly Row[] = [
  row("POST /v1/recoveries", "with", "a recovery", (_, { integration, since }) => ({
    to: "/recoveries/new",
    search: { ...(integration && { integration }), ...(since && { from: since }) },
  })),
  row(`POST /v1/recoveries/(${id})/cancel`, "with", "the button on its page", () => ({ to: "/recoveries" })),
  row(`POST /v1/deliveries/(${id})/retry`, "with", "“Retry now”", known => ({ to: `/deliveries/${known}` })),
  row(`POST /v1/deliveries/(${id})/release`, "with", "“Let those behind it go on”", known => ({
    to: `/deliveries/${known}`,
  })),
  row(`POST /v1/integrations/(${id})/enable`, "on", "its page", known => ({ to: `/integrations/${known}` })),
  row("GET /v1/rejections", "on", "the page of rejected requests", () => ({ to: "/rejections" })),
  row("GET /v1/api-keys", "on", "the page of API keys", () => ({ to: "/api-keys" })),
  row("GET /v1/diagnosis", "on", "the overview", () => ({ to: "/" })),
  row("GET /v1/status", "on", "the page of Waybill's status", () => ({ to: "/status" })),
  row("GET /v1/events", "on", "the page of events", () => ({ to: "/events" })),
  row("GET /v1/sessions?", "on", "the page of your account", () => ({ to: "/account" })),
  row("POST /v1/session", "with", "your password", () => ({ to: "/sign-in" })),
  row("POST /v1/apps", "on", "the page of apps", () => ({ to: "/apps" })),
  row(`PUT /v1/event-types/(${id})`, "on", "the page of event types", () => ({ to: "/event-types" })),
  row("POST /v1/invitations", "on", "the page of people", () => ({ to: "/people" })),
  row(`(?:PATCH|DELETE) /v1/people/(${id})`, "on", "the page of people", () => ({ to: "/people" })),
  row("POST /v1/projects", "with", "“Make a further project” in the menu of projects", () => ({ to: "/" })),
]

const call = /(\bwith )?`?((?:GET|POST|PUT|PATCH|DELETE) \/[\w/.…<>{}-]*[\w…>}])`?/g

/** A sentence with links in place of the calls; a call that no page does stays as it is. */
export function piecesOf(text: string, about: About = {}): Piece[] {
  const pieces: Piece[] = []
  let end = 0
  for (const match of text.matchAll(call)) {
    const [whole, by = "", asked = ""] = match
    const found = rows.find(each => each.call.test(asked))
    if (found === undefined) continue
    const [, known = ""] = found.call.exec(asked) ?? []
    const before = text.slice(end, match.index)
    const isFirst = by === "" && /(^|[.:?!] )$/.test(text.slice(0, match.index))
    const words = isFirst ? found.words.charAt(0).toUpperCase() + found.words.slice(1) : found.words
    pieces.push(by === "" ? before : `${before}${found.by} `, { words, ...found.place(known, about) })
    end = match.index + whole.length
  }
  return [...pieces, text.slice(end)].filter(piece => piece !== "")
}
