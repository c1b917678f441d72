/** JSON pointers (RFC 6901), with which every message about a document says where, and settings name a part of one. */

/** The pointer to one step below another: a member by its key, an element by its position. */
export function pointerTo(parent: string, step: string | number): string {
  return `${parent}/${String(step).replaceAll("~", "~0").replaceAll("/", "~1")}`
}

/** The keys that a pointer leads through, none for the whole document (""); null where the text is no pointer. */
export function parsePointer(pointer: string): readonly string[] | null {
  if (pointer === "") return []
  if (!pointer.startsWith("/") || /~(?![01])/.test(pointer)) return null
  // In this order: `~01` stands for `~1`, not for a slash.
  return pointer
    .slice(1)
    .split("/")
    .map(key => key.replaceAll("~1", "/").replaceAll("~0", "~"))
}
