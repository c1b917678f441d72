/** What stands in the address of a page, as its filters. */
import { useNavigate, useRouterState } from "@tanstack/react-router"
import type { Search } from "../router.tsx"

/** The filters in the address, and a function that changes some of them; undefined or "" takes one away. */
export function useFilters(): [Search, (changes: Readonly<Record<string, string | null | undefined>>) => void] {
  const navigate = useNavigate()
  const search = useRouterState({ select: state => state.location.search }) as Search
  const change = (changes: Readonly<Record<string, string | null | undefined>>): void => {
    const next = Object.entries({ ...search, ...changes }).filter(([, value]) => value !== undefined && value !== null)
    void navigate({ to: ".", search: Object.fromEntries(next) as Search, replace: true })
  }
  return [search, change]
}
