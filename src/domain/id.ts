/**
 * Ids: one integer in the store, a prefix and eleven characters at the border.
 *
 * An id is 53 bits, so that it is an exact JavaScript number: milliseconds since 2024 (41 bits, until 2093) and a
 * counter within the millisecond (12 bits). All kinds draw from one counter, so ids of events, attempts and changes
 * stand in the order in which they were committed: the stream's position is simply the last id that it showed.
 * Ids are not secrets: what keeps tenants apart is the project in every query, not that an id is hard to guess.
 */

/** The kinds of id that have a text form, by their prefix. */
export type IdKind =
  | "evt"
  | "att"
  | "int"
  | "prj"
  | "app"
  | "src"
  | "key"
  | "rej"
  | "job"
  | "chg"
  | "req"
  | "rec"
  | "grp"
  | "per"
  | "inv"
  | "ses"
  | "ers"

/** An id of one kind; a plain number at run time, so that an event's id cannot be passed for an integration's. */
export type Id<Kind extends IdKind = IdKind> = number & { readonly kind?: Kind }
export type EventId = Id<"evt">
export type AttemptId = Id<"att">
export type IntegrationId = Id<"int">
export type ProjectId = Id<"prj">
export type AppId = Id<"app">
export type KeyId = Id<"key">
export type RecoveryId = Id<"rec">
export type PersonId = Id<"per">
export type InvitationId = Id<"inv">
export type SessionId = Id<"ses">

/** A delivery is named by what it is: one event on its way to one integration. */
export interface DeliveryId {
  readonly event: EventId
  readonly integration: IntegrationId
}

/** 2024-01-01T00:00:00Z in ms: ids count from here. */
const EPOCH_MS = 1_704_067_200_000
const PER_MS = 4096
const LETTERS = "0123456789abcdefghjkmnpqrstvwxyz"
const LENGTH = 11

/** The text of an id: `evt_` and eleven Crockford base32 characters, which sort as the ids do. */
export function formatId(kind: IdKind, id: number): string {
  return `${kind}_${encode(id)}`
}

/** The id in a text such as `evt_01j…`, or undefined where the text is no id of that kind. */
export function parseId<Kind extends IdKind>(kind: Kind, text: string): Id<Kind> | undefined {
  if (text.length !== kind.length + 1 + LENGTH || !text.startsWith(kind) || text[kind.length] !== "_") return undefined
  return decode(text.slice(kind.length + 1))
}

/** The text of a delivery's id: `dlv_`, then the event's and the integration's characters. */
export function formatDeliveryId(id: DeliveryId): string {
  return `dlv_${encode(id.event)}${encode(id.integration)}`
}

/** The delivery that a text such as `dlv_…` names, or undefined. */
export function parseDeliveryId(text: string): DeliveryId | undefined {
  if (text.length !== 4 + 2 * LENGTH || !text.startsWith("dlv_")) return undefined
  const event = decode(text.slice(4, 4 + LENGTH))
  const integration = decode(text.slice(4 + LENGTH))
  return event === undefined || integration === undefined ? undefined : { event, integration }
}

/** The time of an id in ms since 1970. */
export function timeOfId(id: number): number {
  return Math.floor(id / PER_MS) + EPOCH_MS
}

/** The smallest id that can have been made at a time (ms since 1970): the bound of a search by time. */
export function firstIdAt(timeMs: number): number {
  return Math.max(0, Math.floor(timeMs) - EPOCH_MS) * PER_MS
}

/** Makes ids: each greater than all before it, also when the clock goes back or the millisecond is used up. */
export class Ids {
  #last: number
  readonly #now: () => number
  #share: IdShare

  constructor(now: () => number, greatestSoFar: number, share: IdShare = { from: 0, size: PER_MS }) {
    this.#now = now
    this.#last = greatestSoFar
    this.#share = share
  }

  next(): number {
    const { from, size } = this.#share
    const earliest = firstIdAt(this.#now()) + from
    let id = earliest > this.#last ? earliest : this.#last + 1
    const within = id % PER_MS
    if (within < from) id += from - within
    else if (within >= from + size) id += PER_MS - within + from
    this.#last = id
    return id
  }

  /** Makes ids of another part of each millisecond from now on. */
  takeShare(share: IdShare): void {
    this.#share = share
  }

  /** Sees to it that all ids from now on are greater than this one. */
  passOver(id: number): void {
    this.#last = Math.max(this.#last, id)
  }

  /** The greatest id made so far. */
  get last(): number {
    return this.#last
  }
}

/** What part of each millisecond's ids one process makes, where several make them. */
export interface IdShare {
  readonly from: number
  readonly size: number
}

/** Processes that can make ids at a time, each of them 32 in a millisecond before it runs ahead of the clock. */
export const SHARES = 128

/** The share of a process by its number. */
export function idShareOf(process: number): IdShare {
  const size = PER_MS / SHARES
  return { from: (process % SHARES) * size, size }
}

function encode(id: number): string {
  let text = ""
  // Two halves, because bit operations see 32 bits only.
  let low = id % 2 ** 25
  let high = Math.floor(id / 2 ** 25)
  for (let i = 0; i < 5; i++, low >>>= 5) text = LETTERS[low & 31] + text
  for (let i = 0; i < 6; i++, high >>>= 5) text = LETTERS[high & 31] + text
  return text
}

function decode(text: string): number | undefined {
  let id = 0
  for (const letter of text) {
    const digit = LETTERS.indexOf(letter)
    if (digit < 0) return undefined
    id = id * 32 + digit
  }
  return Number.isSafeInteger(id) ? id : undefined
}
