/** The name that someone may have meant: a message that says "did you mean" saves a look into the documentation. */

/** Longer names are not slips of the finger. */
const MAX_LENGTH = 64

/**
 * The one of `known` that differs from `name` in the fewest characters, or null where none comes near: at most two slips,
 * or one in three characters. Small and capital letters and the separators `_`, `-`, `.` and space count as the same.
 */
export function nearest(name: string, known: readonly string[]): string | null {
  if (name.length > MAX_LENGTH) return null
  const meant = bare(name)
  let best: string | null = null
  let least = Math.max(2, Math.floor(meant.length / 3)) + 1
  for (const candidate of known) {
    const distance = editDistance(meant, bare(candidate))
    // A name of two letters is within two slips of any other.
    if (distance < least && distance < candidate.length) {
      best = candidate
      least = distance
    }
  }
  return best
}

function bare(name: string): string {
  return name.toLowerCase().replace(/[-_. ]/g, "")
}

/** How many characters have to be put in, taken out or changed to turn one text into the other (Levenshtein). */
function editDistance(from: string, to: string): number {
  let row = Array.from({ length: to.length + 1 }, (_, i) => i)
  for (let i = 1; i <= from.length; i++) {
    const next = [i]
    for (let j = 1; j <= to.length; j++) {
      const changed = (row[j - 1] ?? 0) + (from[i - 1] === to[j - 1] ? 0 : 1)
      next.push(Math.min(changed, (row[j] ?? 0) + 1, (next[j - 1] ?? 0) + 1))
    }
    row = next
  }
  return row[to.length] ?? 0
}
