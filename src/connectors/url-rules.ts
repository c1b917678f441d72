/** What a URL in the settings of an integration has to be; where it leads is judged apart, as the operator decides that. */

export const MAX_URL_CHARACTERS = 8_192

/** Why a URL cannot be used as it was typed, as a sentence; null where it can. */
export function urlFault(text: string): string | null {
  if (text.includes("{{")) return "Templates such as {{variable}} are not built yet; give the URL as it is."
  // The URL parser would drop or mend these in silence.
  if (/[\s\u0000-\u001f\u007f]/.test(text)) {
    return "The URL holds a space, a line break or another control character. Take it out, or write %20 for a space."
  }
  if (!/^https?:\/\//i.test(text)) return "Waybill sends to http and https URLs. Begin the URL with https://."
  const url = URL.parse(text)
  if (url === null) return "This is no URL. Write it in full: https://crm.example/hook."
  if (url.username !== "" || url.password !== "" || /^https?:\/\/[^/?#]*@/i.test(text)) {
    return "The URL holds a user name or password. Put them into auth, or the Authorization value, instead."
  }
  if (text.includes("#")) return "The part of the URL from # on is never sent. Leave it out."
  return url.href.length > MAX_URL_CHARACTERS
    ? "With its special characters encoded, the URL is longer than 8 KiB."
    : null
}
