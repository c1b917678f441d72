/** Lists in answers of the API, which to a test that looks into them are JSON like everything else. */
import type { Json } from "./program.ts"

/** The members of a JSON list; none where it is no list. */
export function items(list: Json | undefined): Json[] {
  return Array.isArray(list) ? (list as Json[]) : []
}
