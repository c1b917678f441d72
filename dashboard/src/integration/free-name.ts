/** Names that somebody adds to a map of headers: none stands there twice, because the later would take the value of the other. */

/** What is wrong with a name that is to be added to those there; null where nothing is. Headers know no case (RFC 9110, 5.1). */
export function faultOfName(name: string, names: readonly string[]): string | null {
  const same = names.find(each => each.toLowerCase() === name.toLowerCase())
  if (same === undefined) return null
  return `${same} is there already. Change its value above, or remove it first; a name counts in whatever case it is written.`
}
