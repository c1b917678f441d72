/** The lines of ordering keys as they should be: lists in memory, against which a test holds what the store made of them. */

/** A delivery as far as its line goes. `in front` and `behind` wait; what is `over` stands in no line. */
export type Place = "in front" | "sending" | "blocking" | "behind" | "over"

export interface Member {
  readonly lane: number
  readonly event: number
  readonly key: string
  place: Place
  /** It blocked its line when a recovery had it wait again. */
  wasBlocking?: boolean
}

export class LineModel {
  readonly members: Member[] = []

  accept(lane: number, event: number, key: string): void {
    const place = this.line(lane, key).length === 0 ? "in front" : "behind"
    this.members.push({ lane, event, key, place })
  }

  find(lane: number, event: number): Member {
    const member = this.members.find(one => one.lane === lane && one.event === event)
    if (member === undefined) throw new Error(`${event} was never accepted.`)
    return member
  }

  line(lane: number, key: string): Member[] {
    return this.members.filter(one => one.lane === lane && one.key === key && one.place !== "over")
  }

  /** It goes out of its line; gives the event whose turn it is now. */
  end(member: Member): number | null {
    member.place = "over"
    const line = this.line(member.lane, member.key)
    if (line.some(one => one.place !== "behind")) return null
    const next = line.sort((a, b) => a.event - b.event)[0]
    if (next === undefined) return null
    next.place = "in front"
    return next.event
  }

  /** It waits again, whatever it did: where another is in front, behind. */
  comeBack(member: Member): void {
    const others = this.line(member.lane, member.key).filter(one => one !== member)
    member.place = others.some(one => one.place !== "behind") ? "behind" : "in front"
  }

  /** Who stands where, as text: `2001 a: sending 12 | 13 14`. */
  picture(): string[] {
    const lines = Map.groupBy(
      this.members.filter(one => one.place !== "over"),
      one => `${one.lane} ${one.key}`,
    )
    return [...lines]
      .map(([name, line]) => {
        const front = line.filter(one => one.place !== "behind").map(one => `${one.place} ${one.event}`)
        const behind = line.filter(one => one.place === "behind").map(one => one.event)
        return `${name}: ${front.join(", ")} | ${behind.sort((a, b) => a - b).join(" ")}`
      })
      .sort()
  }
}
