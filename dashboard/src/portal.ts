/**
 * Whether this page is a portal: pages of one app in a frame of its owner's site, for whoever holds a token. The token
 * comes behind the `#` of the address, which no server is told, and is taken out of it at once. It goes along with each
 * request as a bearer token, never as a cookie. In the session storage of this tab it stays for a reload: only Waybill's
 * own pages read that, it ends with the tab, and what is in it ends by itself within hours.
 */

/** What the site that frames a portal is told, and what it may answer with. */
type Message =
  | { readonly type: "waybill:token-expiring" | "waybill:token-expired" }
  | { readonly type: "waybill:token"; readonly token: string }

export interface Portal {
  /** Where its pages begin: `/portal/prj_…`. */
  readonly base: string
  /** Light or dark where the site that frames it says so; else as the system has it. */
  readonly scheme: "light" | "dark" | undefined
  readonly token: () => string | undefined
  /** Tells the site that frames it, and nobody else. */
  readonly tell: (type: Exclude<Message["type"], "waybill:token">) => void
  /** Hears of each further token that the site gives, until it is told to stop. */
  readonly onToken: (hear: () => void) => () => void
}

/** Pages of the dashboard that a portal has, as their routes are called. */
export const portalRoutes: readonly string[] = [
  "/signed-in/events",
  "/signed-in/events/$id",
  "/signed-in/integrations",
  "/signed-in/integrations/$id",
  "/signed-in/reasons/$code",
]

/** Tabs of an integration that a portal shows. */
export const portalTabs: readonly string[] = ["overview", "events", "history", "logs", "failures"]

/** How often, and after how long, a token is tried that the site gave, while no answer comes. */
const [TRIES, TRIED_AGAIN_MS] = [5, 3_000]

/** Null where this page is the dashboard itself. */
export const portal: Portal | null = openPortal(window.location)

function openPortal({ pathname, search, hash }: Location): Portal | null {
  const base = /^\/portal\/[^/]+/.exec(pathname)?.[0]
  if (base === undefined) return null
  const kept = `waybill ${base}`
  const given = new URLSearchParams(hash.slice(1))
  // Before anything else: what stands in the address is copied, bookmarked and shown.
  if (given.has("token")) window.history.replaceState(null, "", pathname + search)
  let [token, scheme] = [given.get("token"), given.get("scheme")]
  if (token === null) [token = null, scheme = null] = (stored(kept) ?? "").split(" ").map(text => text || null)
  else store(kept, [token, scheme].join(" "))
  const hearers = new Set<() => void>()
  let latest = ""
  window.addEventListener("message", ({ source, origin, data }: MessageEvent<unknown>) => {
    if (source !== window.parent || !framers().includes(origin) || !isToken(data)) return
    latest = data.token
    // The one that is good stays until the next has shown that it is too.
    void opens(data.token).then(isGood => {
      // Another has come meanwhile.
      if (!isGood || latest !== data.token) return
      token = data.token
      store(kept, [token, scheme].join(" "))
      for (const hear of hearers) hear()
    })
  })
  return {
    base,
    scheme: scheme === "light" || scheme === "dark" ? scheme : undefined,
    token: () => token ?? undefined,
    tell(type) {
      if (window.parent === window) return
      // The browser hands it over only where the frame is held by that origin.
      for (const origin of heldBy()) window.parent.postMessage({ type } satisfies Message, origin)
    },
    onToken(hear) {
      hearers.add(hear)
      return () => hearers.delete(hear)
    },
  }
}

/** Origins that may frame this portal, as the server wrote them into the page. */
function framers(): readonly string[] {
  const text = document.querySelector<HTMLMetaElement>('meta[name="frame-origins"]')?.content ?? ""
  return text.split(" ").filter(origin => origin !== "")
}

/** The one of them that does, where the browser says which. */
function heldBy(): readonly string[] {
  const holder = window.location.ancestorOrigins?.[0]
  return holder === undefined ? framers() : framers().filter(origin => origin === holder)
}

/** Whether a token opens a portal; asked again where no answer comes. */
async function opens(token: string): Promise<boolean> {
  for (let tries = 1; ; tries++) {
    const answer = await fetch("/v1/portal", {
      headers: { authorization: `Bearer ${token}` },
      credentials: "omit",
    }).catch(() => undefined)
    const mayPass = answer === undefined || answer.status === 429 || answer.status >= 500
    if (!mayPass || tries === TRIES) return answer?.ok === true
    await new Promise(resolve => setTimeout(resolve, TRIED_AGAIN_MS))
  }
}

function isToken(data: unknown): data is Extract<Message, { type: "waybill:token" }> {
  return (
    typeof data === "object" &&
    data !== null &&
    "type" in data &&
    data.type === "waybill:token" &&
    "token" in data &&
    typeof data.token === "string" &&
    /^wb_pt_\w+$/.test(data.token)
  )
}

/** A browser may refuse frames any storage: then a reload needs another token. */
function stored(name: string): string | null {
  try {
    return window.sessionStorage.getItem(name)
  } catch {
    return null
  }
}

function store(name: string, text: string): void {
  try {
    window.sessionStorage.setItem(name, text)
  } catch {
    // It is kept in memory all the same.
  }
}
