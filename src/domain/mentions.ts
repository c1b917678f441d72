/** Whether a text names somebody: an id within it, as a word of its own, as it is or as JSON writes it. */

/** Letters and digits of any script, and what ids are joined with: next to one of these an id is part of a longer word. */
const PART_OF_A_WORD = /[\p{L}\p{N}_]/u

export function mentions(text: string, id: string): boolean {
  const forms = new Set([id, JSON.stringify(id).slice(1, -1)])
  return [...forms].some(form => standsAlone(text, form))
}

function standsAlone(text: string, form: string): boolean {
  for (let at = text.indexOf(form); at >= 0; at = text.indexOf(form, at + 1)) {
    const [before, after] = [text.slice(0, at).at(-1) ?? "", text.slice(at + form.length).at(0) ?? ""]
    if (!PART_OF_A_WORD.test(before) && !PART_OF_A_WORD.test(after)) return true
  }
  return false
}
