/**
 * Secrets that the other side sends back: a place to try requests out answers with all of their headers. What was sent with a
 * request to prove who sends it is masked in its answer before anything is made of that: who may read answers may not
 * therefore read secrets (API-44).
 */
import type { Exchange } from "./exchange.ts"
import { secretParts } from "./normalise-message.ts"
import { formsOf, maskAnswer, maskText } from "./private-exchange.ts"

/** Stands in their place. */
const SECRET = "{secret}"
/** Shorter values are hardly secrets, and cannot be told from words. */
const MIN_CHARACTERS = 8

/** The exchange without the secrets of its own request. */
export function withoutEchoes(exchange: Exchange): Exchange {
  const parts = exchange.sentHeaders.flatMap(({ value, secret }) => (secret === true ? secretParts(value) : []))
  const texts = [...new Set(parts.filter(part => part.length >= MIN_CHARACTERS).flatMap(formsOf))]
  if (texts.length === 0) return exchange
  texts.sort((a, b) => b.length - a.length)
  return exchange.kind === "broken"
    ? { ...exchange, message: maskText(exchange.message, texts, SECRET) }
    : { ...exchange, answer: maskAnswer(exchange.answer, texts, SECRET) }
}
