/**
 * Whether a browser's request comes from a page of this Waybill's own (API-9). Cookies go along with requests that other
 * sites' pages make; browsers say where a request comes from in headers that no page can write.
 */

export interface Provenance {
  readonly method: string
  /** `Sec-Fetch-Site`, `Origin` and `Host` as they came. */
  readonly site: string | undefined
  readonly origin: string | undefined
  readonly host: string | undefined
  /** Where others reach this Waybill; behind a proxy that is not the `Host` that arrives. */
  readonly publicUrl: string
}

const harmless: ReadonlySet<string> = new Set(["GET", "HEAD", "OPTIONS"])

/** Whether a request of this method changes nothing. */
export function isHarmless(method: string): boolean {
  return harmless.has(method)
}

/**
 * Why a request that came with a cookie is refused, as a sentence; null where it is not. `Sec-Fetch-Site` decides where a
 * browser sends it, as all have since 2023. For older ones `Origin` has to name this very place. `isBare`: what carries
 * neither header is let through, for requests without a cookie, which no browser can be tricked into.
 */
export function crossSiteFault(request: Provenance, isBare = false): string | null {
  const { method, site, origin, host, publicUrl } = request
  if (isHarmless(method)) return null
  if (site !== undefined) {
    // `none`: a person typed it, and no page had a hand in it.
    if (site === "same-origin" || site === "none") return null
    return `It was made by a page of another site (Sec-Fetch-Site: ${site === "same-site" || site === "cross-site" ? site : "unknown"}).`
  }
  if (origin === undefined) {
    return isBare
      ? null
      : "It says neither by Sec-Fetch-Site nor by Origin which page made it. Send an API key instead of a cookie."
  }
  if (origin !== "null" && (origin === URL.parse(publicUrl)?.origin || URL.parse(origin)?.host === host)) return null
  return "It was made by a page of another origin than this one (Origin)."
}
