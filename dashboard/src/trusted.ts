/**
 * What may become markup: nothing. The page's policy has the browser refuse every text that is written as HTML unless it
 * passes here (`require-trusted-types-for 'script'`); Mantine writes its styles so, which hold no `<`.
 */
interface Policies {
  createPolicy(name: string, rules: { createHTML(text: string): string }): unknown
}

const { trustedTypes } = window as { readonly trustedTypes?: Policies }

trustedTypes?.createPolicy("default", {
  createHTML(text) {
    if (text.includes("<")) throw new TypeError("This page never writes markup from text.")
    return text
  },
})
