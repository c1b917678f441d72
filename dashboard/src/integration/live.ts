/** Follows the stream of one integration, so that what is shown of it is read again when something happens there. */
import { useEffect, useState } from "react"
import { follow } from "waybill-sdk"
import { credential, noticeEnd, queries } from "../waybill.ts"

/** However much happens, it is read again this often at the most. */
const LEAST_MS = 1_000

/** What changes with every event and attempt; settings do not. */
const moving = ["diagnosis", "events", "logs", "failures", "history", "inbox", "itself"]

/** Whether there is a connection. */
export function useFollowed(id: string): boolean {
  const [isOpen, setOpen] = useState(false)
  useEffect(() => {
    const end = new AbortController()
    let timer: ReturnType<typeof setTimeout> | undefined
    const renewSoon = (): void => {
      timer ??= setTimeout(() => {
        timer = undefined
        for (const part of moving) void queries.invalidateQueries({ queryKey: ["integration", id, part] })
      }, LEAST_MS)
    }
    const run = async (): Promise<void> => {
      const query = { integration: id }
      const onState = (state: unknown) => setOpen(state === "open")
      for await (const _ of follow({ ...credential, query, signal: end.signal, onState })) renewSoon()
    }
    run().catch((error: unknown) => {
      setOpen(false)
      noticeEnd(error)
    })
    return () => {
      end.abort()
      clearTimeout(timer)
    }
  }, [id])
  return isOpen
}
