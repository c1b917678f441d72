/** The answers that an inbox gives in turn, as a person writes them: `500, 500, 200`. */

/** More would be a load test, which an inbox is not for. */
const MAX_ANSWERS = 100

/** The statuses in a script, in turn; where it cannot be read, a sentence that says why. */
export function parseScript(
  text: string,
): { readonly kind: "statuses"; readonly statuses: readonly number[] } | { kind: "fault"; message: string } {
  const parts = text.split(",").map(part => part.trim())
  if (parts.length > MAX_ANSWERS) return fault(`A script has at most ${MAX_ANSWERS} answers, this one ${parts.length}.`)
  for (const part of parts) {
    const isStatus = /^\d{3}$/.test(part) && isFinalStatus(Number(part))
    const shown = part.length > 20 ? `${part.slice(0, 20)}…` : part
    if (!isStatus) return fault(`"${shown}" is no status from 200 to 599; write the answers like "500, 500, 200".`)
  }
  return { kind: "statuses", statuses: parts.map(Number) }
}

/** Whether a status can end an answer. Those below 200 only announce one, and a client goes on waiting after them. */
function isFinalStatus(status: number): boolean {
  return status >= 200 && status <= 599
}

/** The status of a turn, the first one being 1. After the last turn its status stays. */
export function statusOfTurn(statuses: readonly number[], turn: number): number | undefined {
  return statuses[Math.min(turn, statuses.length) - 1]
}

function fault(message: string): { kind: "fault"; message: string } {
  return { kind: "fault", message }
}
