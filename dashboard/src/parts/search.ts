/** The filters of a page, as they stand in its address. */
import { useNavigate, useSearch } from "@tanstack/react-router"
import type { Search } from "../router.tsx"

export interface Filters {
  readonly search: Search
  /** Sets some of them; undefined or an empty text takes one away. `quietly`: with each key, so that going back skips it. */
  readonly set: (values: Readonly<Record<string, string | undefined>>, how?: "quietly") => void
  /** Sets all of them anew. */
  readonly replace: (values: Search) => void
}

/** The filters of the page that is open. */
export function useFilters(): Filters {
  const search: Search = useSearch({ strict: false })
  const navigate = useNavigate()
  const go = (values: Readonly<Record<string, string | undefined>>, how?: "quietly") =>
    void navigate({ to: ".", search: () => values, resetScroll: false, replace: how === "quietly" })
  return { search, set: (values, how) => go({ ...search, ...values }, how), replace: go }
}
