/**
 * Addresses of a Waybill as people type them into settings, which paths are put behind: in links, in requests, in what a
 * browser is told. They are used as they are meant, not as they are written, and no password in one is ever shown.
 */

/** What is wrong with such an address, as the end of a sentence without a word of its password; undefined where nothing is. */
export function baseUrlFault(value: string, example: string): string | undefined {
  const url = URL.parse(value)
  if (url === null || !/^https?:$/.test(url.protocol)) return `must be an http or https URL such as ${example}`
  if (holdsUser(url)) return `must hold no user and no password (what stands before @): write it as ${example}`
  // Of the whole, since `search` and `hash` are empty also where the sign alone is there.
  return /[?#]/.test(url.href)
    ? `must end before any ? or #, since paths are put behind it: write it as ${example}`
    : undefined
}

/** One that has no fault, as it is used: scheme and host in small letters, without spaces around it or a slash at its end. */
export function baseUrl(value: string): string {
  return new URL(value).href.replace(/\/+$/, "")
}

/** Whether a URL names a user or a password. */
export function holdsUser({ username, password }: URL): boolean {
  return username !== "" || password !== ""
}

/** Whether a text that was to be a URL may hold a password: what is refused is shown only where it does not. */
export function mayHoldPassword(value: string): boolean {
  return value.includes("@")
}
