/** JSON values that `JSON.stringify` writes with every number as it came, also where it has 20 digits or reads 1.0. */
import { type ExactJson, isExactList, isExactNumber, isExactObject } from "../domain/exact-json.ts"

declare global {
  interface JSON {
    /** What `JSON.stringify` puts in as it is: the text of a number, a string, true, false or null. */
    rawJSON(text: string): unknown
  }
}

/** A value to stand in an answer among others. */
export function written(value: ExactJson): unknown {
  if (isExactNumber(value)) return JSON.rawJSON(value.number)
  if (isExactList(value)) return value.map(written)
  if (isExactObject(value)) return Object.fromEntries([...value].map(([key, member]) => [key, written(member)]))
  return value
}
