/** Saving a change of an integration: a merge patch, held to what was read, so that nobody undoes unseen what others did. */
import { notifications } from "@mantine/notifications"
import { useMutation } from "@tanstack/react-query"
import { given, WaybillProblem } from "waybill-sdk"
import { waybill } from "../waybill.ts"
import { type Faults, faultsOf, type Json, noFaults, renew, type Tagged, useFocusOnFault } from "./data.ts"

/** What a save needs to know, and what came of it. */
export interface Saving {
  /** As JSON text where its numbers have to keep all of their digits. */
  readonly save: (patch: Json | string) => void
  readonly isPending: boolean
  readonly isDone: boolean
  readonly error: Error | null
  readonly faults: Faults
  readonly reset: () => void
}

export function useSave({ integration: { id }, tag }: Tagged, onSaved?: () => void): Saving {
  const work = useMutation({
    mutationFn: (patch: Json | string) =>
      given(
        waybill.PATCH("/v1/integrations/{id}", {
          params: { path: { id }, ...(tag !== null && { header: { "if-match": tag } }) },
          body: patch as never,
          bodySerializer: body => (typeof body === "string" ? body : JSON.stringify(body)),
          headers: { "content-type": "application/json" },
        }),
      ),
    onSuccess: async () => {
      await renew(id)
      notifications.show({ message: "Saved. It holds for what goes out from now on." })
      onSaved?.()
    },
  })
  useFocusOnFault(work.error)
  return {
    save: patch => work.mutate(patch),
    isPending: work.isPending,
    isDone: work.isSuccess,
    error: work.error,
    faults: work.error === null ? noFaults : faultsOf(work.error),
    reset: work.reset,
  }
}

/** Whether somebody else changed it since it was read. */
export function isStale(error: Error | null): boolean {
  return error instanceof WaybillProblem && error.status === 412
}
