/**
 * Who of several processes sends for which lane: each weighs every process for it, and the heaviest that has room has it
 * (rendezvous hashing with bounded loads). All come to the same answer without a word; where a process comes or goes little
 * more than its own lanes move, and nobody has more than one lane above its share.
 */

/** The name of the process that has each of these. Those that belong together, as under one budget, bear one name. */
export function shareOut(lanes: readonly string[], processes: readonly string[]): ReadonlyMap<string, string> {
  const sizes = new Map<string, number>()
  for (const lane of lanes) sizes.set(lane, (sizes.get(lane) ?? 0) + 1)
  const room = new Map(processes.map(name => [name, Math.ceil(lanes.length / processes.length)]))
  const owners = new Map<string, string>()
  // In the same order everywhere, whatever the order in which they were made.
  for (const [lane, size] of [...sizes].sort(([a], [b]) => weightOf(a) - weightOf(b) || (a < b ? -1 : 1))) {
    const owner = heaviest(lane, processes, name => (room.get(name) ?? 0) > 0)
    if (owner === undefined) continue
    owners.set(lane, owner)
    room.set(owner, (room.get(owner) ?? 0) - size)
  }
  return owners
}

/** Where several lanes in one have taken more than their share there may be no room left: then it does not count. */
function heaviest(lane: string, processes: readonly string[], hasRoom: (name: string) => boolean): string | undefined {
  const roomy = processes.filter(hasRoom)
  let owner: string | undefined
  let most = -1
  for (const name of roomy.length > 0 ? roomy : processes) {
    const weight = weightOf(`${lane} ${name}`)
    if (weight > most || (weight === most && owner !== undefined && name < owner)) {
      owner = name
      most = weight
    }
  }
  return owner
}

/** 32 bits that each bit of the text has an even chance to turn: FNV-1a, then the end of MurmurHash3. */
function weightOf(text: string): number {
  let hash = 0x811c9dc5
  for (let i = 0; i < text.length; i++) hash = Math.imul(hash ^ text.charCodeAt(i), 0x01000193)
  hash ^= hash >>> 16
  hash = Math.imul(hash, 0x85ebca6b)
  hash ^= hash >>> 13
  hash = Math.imul(hash, 0xc2b2ae35)
  return (hash ^ (hash >>> 16)) >>> 0
}

/** The lanes of one of these processes, by its name: those of a group together, those of what was removed (null) each alone. */
export function lanesOf<Lane extends number>(
  groups: readonly (readonly [lane: Lane, group: string | null])[],
  names: readonly string[],
  name: string,
): ReadonlySet<Lane> {
  const owners = shareOut(
    groups.flatMap(([, group]) => group ?? []),
    names,
  )
  // In what was removed there is hardly ever anything to do: it takes no part of anybody's share.
  const ownersOfRemoved = shareOut(
    groups.flatMap(([lane, group]) => (group === null ? [String(lane)] : [])),
    names,
  )
  const ownerOf = (lane: Lane, group: string | null) =>
    group === null ? ownersOfRemoved.get(String(lane)) : owners.get(group)
  return new Set(groups.flatMap(([lane, group]) => (ownerOf(lane, group) === name ? [lane] : [])))
}
