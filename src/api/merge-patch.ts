/** JSON merge patch (RFC 7396) on plain values. */

/** What a patch makes of a value: objects are merged, null takes a member away, anything else replaces. */
export function mergePatch(target: unknown, patch: unknown): unknown {
  if (patch === undefined) return target
  if (!isObject(patch)) return patch
  const merged = new Map(Object.entries(isObject(target) ? target : {}))
  for (const [key, value] of Object.entries(patch)) {
    if (value === null) merged.delete(key)
    else merged.set(key, mergePatch(merged.get(key), value))
  }
  // From entries: a member called `__proto__` stays a member.
  return Object.fromEntries(merged)
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value)
}
