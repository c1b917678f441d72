/** How often signing in is tried: so many times of one account and from one address in a quarter of an hour, on all processes together. */
import {
  emailKey,
  networkOf,
  RESETS_OF_ACCOUNT,
  SIGN_IN_WINDOW_MS,
  TRIES_FROM_ADDRESS,
  TRIES_OF_ACCOUNT,
} from "../domain/person.ts"
import type { Origin } from "../store/changes.ts"
import { countTry, forgetTries, takeTryBack } from "../store/sign-in-limits.ts"
import type { Store } from "../store/store.ts"
import { hashToken } from "../store/token.ts"

/** No further try is looked at for so long, whether it would be right or not. */
export interface TooOften {
  readonly kind: "too_often"
  readonly retryAfterSeconds: number
}

export class Tries {
  readonly #store: Pick<Store, "db" | "now">

  constructor(store: Pick<Store, "db" | "now">) {
    this.#store = store
  }

  /** Counts a try of an account before it is made; null where it may be made. Whether there is such an account makes no difference. */
  async of(email: string, from: Origin): Promise<TooOften | null> {
    const ofAddress = await this.from(from)
    return ofAddress ?? this.#count(subjectOf("account", emailKey(email)), TRIES_OF_ACCOUNT)
  }

  /** The same where no account is named. */
  from({ address }: Origin): Promise<TooOften | null> {
    return this.#count(subjectOf("address", networkOf(address)), TRIES_FROM_ADDRESS)
  }

  /** Counts a wish for a new password: on its own, so that whoever is kept from trying can still have one. */
  async ofReset(email: string, from: Origin): Promise<TooOften | null> {
    const ofAddress = await this.from(from)
    return ofAddress ?? this.#count(subjectOf("reset", emailKey(email)), RESETS_OF_ACCOUNT)
  }

  /** Forgets the tries of an account, whose password is another one now. */
  async forget(email: string): Promise<void> {
    await forgetTries(this.#store.db, subjectOf("account", emailKey(email)))
  }

  /** The try was right. */
  async succeeded(email: string, from: Origin): Promise<void> {
    await this.cameIn(from)
    await this.forget(email)
  }

  /** The same where no account was named. */
  async cameIn({ address }: Origin): Promise<void> {
    await takeTryBack(this.#store.db, subjectOf("address", networkOf(address)))
  }

  async #count(subject: string, most: number): Promise<TooOften | null> {
    const { db, now } = this.#store
    const at = now()
    const { tries, since } = await countTry(db, subject, at)
    if (tries <= most) return null
    return { kind: "too_often", retryAfterSeconds: Math.max(1, Math.ceil((since + SIGN_IN_WINDOW_MS - at) / 1_000)) }
  }
}

/** What tries are counted by: not the address itself, which would be there for anybody who reads the database. */
function subjectOf(kind: "account" | "address" | "reset", text: string): string {
  return hashToken(`${kind} ${text}`)
}
