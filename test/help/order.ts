/** Whether what came to a receiver came in order, key by key. */
import type { Receipt } from "./receiver.ts"

/** What came out of its order: an older event after a newer one, or one before the one in front of it was accepted. */
export function disorderIn(receipts: readonly Receipt[]): string[] {
  const byKey = Map.groupBy(
    receipts.toSorted((a, b) => a.at - b.at),
    receipt => receipt.key,
  )
  return [...byKey].flatMap(([key, requests]) =>
    requests.flatMap((request, i) => {
      const before = requests[i - 1]
      if (before === undefined || before.webhookId === request.webhookId) return []
      // Ids sort as the events were accepted.
      if (request.webhookId < before.webhookId) return [`${key}: ${request.webhookId} came after ${before.webhookId}`]
      const isDone = before.status !== null && before.status <= 299
      return isDone ? [] : [`${key}: ${request.webhookId} came before ${before.webhookId} was accepted`]
    }),
  )
}
