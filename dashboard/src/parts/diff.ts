/** What is another after than before, of two JSON values, leaf by leaf. */

export interface Difference {
  /** A JSON pointer; "" for the whole. */
  readonly pointer: string
  readonly before: string | undefined
  readonly after: string | undefined
}

/** Undefined where a value was not there. */
export function differences(before: unknown, after: unknown, pointer = ""): Difference[] {
  if (isObject(before) && isObject(after)) {
    const names = [...new Set([...Object.keys(before), ...Object.keys(after)])]
    return names.flatMap(name =>
      differences(before[name], after[name], `${pointer}/${name.replaceAll("~", "~0").replaceAll("/", "~1")}`),
    )
  }
  const [old, now] = [textOf(before), textOf(after)]
  return old === now ? [] : [{ pointer, before: old, after: now }]
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value)
}

function textOf(value: unknown): string | undefined {
  return value === undefined || value === null ? undefined : JSON.stringify(value)
}
