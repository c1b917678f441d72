/** What a receiver finds when it checks the signature of a request: valid, or the rule of Standard Webhooks that was missed. */

export type SignatureVerdict =
  | { readonly kind: "valid" }
  | { readonly kind: "header_missing"; readonly header: string }
  | { readonly kind: "timestamp_unreadable" }
  | { readonly kind: "timestamp_too_old" | "timestamp_too_new"; readonly bySeconds: number }
  | { readonly kind: "no_match" }
  | { readonly kind: "not_signed" }
  /** Nothing can be said: only the beginning of the body was kept, or the keys cannot be opened. */
  | { readonly kind: "not_checked"; readonly why: "truncated" | "no_key" }

/** All kinds, for schemas. */
export const verdictKinds = [
  "valid",
  "header_missing",
  "timestamp_unreadable",
  "timestamp_too_old",
  "timestamp_too_new",
  "no_match",
  "not_signed",
  "not_checked",
] as const satisfies readonly SignatureVerdict["kind"][]

/** The verdict in a sentence, with what to do where something was missed. */
export function describeVerdict(verdict: SignatureVerdict): string {
  switch (verdict.kind) {
    case "valid":
      return "The signature is valid."
    case "header_missing":
      return `The header ${verdict.header} is missing: something on the way took it out, or the request is not Waybill's.`
    case "timestamp_unreadable":
      return "The header webhook-timestamp is no number of seconds since 1970."
    case "timestamp_too_old":
      return `The header webhook-timestamp is ${verdict.bySeconds} s old; 300 s are allowed. It was kept back on the way, or was sent a second time.`
    case "timestamp_too_new":
      return `The header webhook-timestamp is ${verdict.bySeconds} s ahead; 300 s are allowed. The clocks of sender and receiver differ.`
    case "no_match":
      return "No signature of the request fits a key of this integration: the body was changed on the way, or another secret signed it."
    case "not_signed":
      return "This integration signs nothing: its signature.scheme is none."
    case "not_checked":
      return verdict.why === "truncated"
        ? "The body is longer than what is kept of it, so that its signature could not be checked."
        : "The signing keys of this integration cannot be opened, so that the signature could not be checked."
  }
}
