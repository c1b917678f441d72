/** All reasons in words: to filter by one, and for the page of each. */
import { given } from "waybill-sdk"
import { type Answer, waybill } from "../waybill.ts"

export type KnownReason = Answer<"/v1/reasons">["data"][number]

export const reasonsQuery = {
  queryKey: ["reasons"],
  queryFn: () => given(waybill.GET("/v1/reasons")),
  // They change with Waybill's version only.
  staleTime: Number.POSITIVE_INFINITY,
} as const
