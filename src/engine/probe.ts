/** Whether the database can be written now: the question behind /readyz, with a time limit of its own. */
import type { Log } from "../log.ts"
import { StoreUnavailable } from "../store/database.ts"
import type { Store } from "../store/store.ts"
import { troubleOf } from "../store/trouble.ts"

/** A database that takes longer than this cannot take events either. */
const LIMIT_MS = 2_000

/**
 * Makes the question: what keeps events from being stored, in a sentence; null where nothing does. Each asking writes, since
 * that reading works says nothing about a full or read-only disk; who asks while another asks gets the same answer, so that
 * a question which needs no key cannot be made a load.
 */
export function makeProbe(store: Store, log: Log): () => Promise<string | null> {
  let underWay: Promise<string | null> | undefined
  return () => {
    underWay ??= trouble(store, log).finally(() => {
      underWay = undefined
    })
    return underWay
  }
}

async function trouble(store: Store, log: Log): Promise<string | null> {
  let timer: NodeJS.Timeout | undefined
  try {
    const late = new Promise<never>((_resolve, reject) => {
      const error = new Error(`The database took longer than ${LIMIT_MS} ms: timeout.`)
      timer = setTimeout(() => reject(new StoreUnavailable("unavailable", error)), LIMIT_MS)
    })
    await Promise.race([store.probe(), late])
    return null
  } catch (error) {
    log.warn({ err: error }, "the database cannot be written")
    return troubleOf(error)
  } finally {
    clearTimeout(timer)
  }
}
