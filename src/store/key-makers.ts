/**
 * Who stands behind an API key: keys make keys, so the one who counts is found by following them back, over whatever
 * projects they are of. A key may do no more than whoever is at the beginning.
 */
import { type KeyId, type PersonId, parseId } from "../domain/id.ts"
import { sql } from "./database.ts"
import type { ApiKey } from "./keys.ts"
import type { Reader } from "./reader.ts"

export type Maker =
  /** Whoever runs the program: the first key of a database is made by its start. */
  | { readonly kind: "operator" }
  | { readonly kind: "person"; readonly person: PersonId }
  /** One of the keys in between is gone with its project. */
  | { readonly kind: "unknown" }

/** A key that was rotated every day for years has a long row of those before it; a longer one is not followed. */
const MOST_KEYS = 5_000

/** Who made a key, or the key that made it, and so on. Primary key, for each of them. */
export async function makerOf(db: Reader, key: Pick<ApiKey, "createdBy">): Promise<Maker> {
  let { createdBy } = key
  for (let i = 0; i < MOST_KEYS; i++) {
    if (createdBy === null) return { kind: "operator" }
    const person = parseId("per", createdBy)
    if (person !== undefined) return { kind: "person", person }
    const id: KeyId | undefined = parseId("key", createdBy)
    if (id === undefined) break
    const [row] = await db.query<{ created_by: string | null }>(sql`select created_by from api_key where id = ${id}`)
    if (row === undefined) break
    createdBy = row.created_by
  }
  return { kind: "unknown" }
}
