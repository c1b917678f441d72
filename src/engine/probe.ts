/** Whether the database can be written now: the question behind /readyz, with a time limit of its own. */
import type { Log } from "../log.ts"
import { writeProbe } from "../store/probe.ts"
import type { Store } from "../store/store.ts"

/** A database that takes longer than this cannot take events either. */
const LIMIT_MS = 2_000

/**
 * Makes the question. Each asking writes one row, since that reading works says nothing about a full or read-only disk;
 * who asks while another asks gets the same answer, so that a question which needs no key cannot be made a load.
 */
export function makeProbe(store: Store, log: Log): () => Promise<boolean> {
  let underWay: Promise<boolean> | undefined
  return () => {
    underWay ??= isWritable(store, log).finally(() => {
      underWay = undefined
    })
    return underWay
  }
}

async function isWritable(store: Store, log: Log): Promise<boolean> {
  // A small row may still fit while events are refused, because the disk is full but for what was kept free.
  if (store.ballast.isSpent) return false
  let timer: NodeJS.Timeout | undefined
  try {
    const late = new Promise<never>((_resolve, reject) => {
      timer = setTimeout(() => reject(new Error(`The database took longer than ${LIMIT_MS} ms.`)), LIMIT_MS)
    })
    await Promise.race([writeProbe(store.db, store.now()), late])
    return true
  } catch (error) {
    log.warn({ err: error }, "the database cannot be written")
    return false
  } finally {
    clearTimeout(timer)
  }
}
