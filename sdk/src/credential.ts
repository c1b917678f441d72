/** What a request shows of who makes it: a key, or the cookie of whoever is signed in to the page. */

/** A credential, or what gives it anew for each request: one that lasts for a while is another later on. */
export type Key = string | (() => string | undefined)

export function currentKey(key: Key | undefined): string | undefined {
  return typeof key === "function" ? key() : key
}

/** Whoever has a key needs no cookie, and sends none. */
export function credentialsWith(key: Key | undefined): "same-origin" | "omit" {
  return key === undefined ? "same-origin" : "omit"
}
