/** Where an attempt went, in full: of its URL the host and the path are kept, the rest is known by the integration's endpoints. */

export interface Address {
  readonly url: string
  /** No endpoint of today has this host, so that its scheme is not known. */
  readonly isGuessed: boolean
  /** The endpoint's URL has a query, which is not kept: it may hold a secret. */
  readonly hasQuery: boolean
}

/** `kept` is host and path; `config` the settings of the integration, null where they are not known. Undefined: it makes no URL. */
export function addressOf(kept: string | null, config: unknown): Address | undefined {
  if (kept === null) return undefined
  const endpoints = endpointsOf(config)
  const same = endpoints.find(({ host, pathname }) => host + pathname === kept)
  const alike = same ?? endpoints.find(({ host }) => kept.startsWith(`${host}/`))
  // A machine's own address is seldom one with TLS.
  const scheme = alike?.protocol ?? (/^(localhost|127\.|\[::1\])/.test(kept) ? "http:" : "https:")
  const url = `${scheme}//${kept}`
  if (!URL.canParse(url)) return undefined
  return { url, isGuessed: alike === undefined, hasQuery: same !== undefined && same.search !== "" }
}

function endpointsOf(config: unknown): readonly URL[] {
  const { production, sandbox } = (config ?? {}) as Readonly<Record<string, { readonly url?: unknown } | undefined>>
  return [production?.url, sandbox?.url].flatMap(url => {
    const read = typeof url === "string" ? URL.parse(url) : null
    return read === null ? [] : [read]
  })
}
