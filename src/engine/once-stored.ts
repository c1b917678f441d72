/** Work that cannot be given up because the store is away for a while: it is done once the store is there again. */
import { StoreUnavailable } from "../store/database.ts"

/** How long to wait before asking again a store that could not be written. */
export const STORE_RETRY_MS = 1_000

/** Tries it until the store is there, for as long as `isRunning`; whatever else it fails with is thrown. */
export async function onceStored<T>(work: () => Promise<T>, isRunning: () => boolean): Promise<T> {
  for (;;) {
    try {
      return await work()
    } catch (error) {
      if (!(error instanceof StoreUnavailable) || !isRunning()) throw error
      await new Promise(resolve => setTimeout(resolve, STORE_RETRY_MS))
    }
  }
}
