/** Names in place of ids: of people, API keys, integrations and the project, as far as whoever looks may see them. */
import { useQuery } from "@tanstack/react-query"
import { given } from "waybill-sdk"
import { sessionQuery, waybill } from "../waybill.ts"
import { useMay } from "./access.tsx"
import { useIntegrations } from "./filters.tsx"

/** By id, as far as they are still there. `actors`: who can have done something. */
export function useKnownNames(): {
  readonly all: ReadonlyMap<string, string>
  readonly actors: ReadonlyMap<string, string>
} {
  const enabled = useMay()("admin")
  const { data: session } = useQuery(sessionQuery)
  const people = useQuery({
    queryKey: ["people", "names"],
    queryFn: () => given(waybill.GET("/v1/people", { params: { query: { limit: 200 } } })),
    staleTime: 60_000,
    enabled,
  })
  const keys = useQuery({
    queryKey: ["api-keys", "names"],
    queryFn: () => given(waybill.GET("/v1/api-keys", { params: { query: { limit: 200 } } })),
    staleTime: 60_000,
    enabled,
  })
  const integrations = useIntegrations()
  const actors = [...(people.data?.data ?? []), ...(keys.data?.data ?? []), ...(session ? [session.person] : [])]
  const named = (each: { readonly id: string; readonly name: string }) => [each.id, each.name] as const
  return {
    actors: new Map(actors.map(named)),
    all: new Map([...actors, ...integrations, ...(session?.projects ?? [])].map(named)),
  }
}
