/** The box for ids, on whatever page one is: what it finds stands in the feed, or on a page of its own. */
import { useNavigate } from "@tanstack/react-router"
import type { Search } from "../router.tsx"
import { FindById } from "./find-by-id.tsx"

export default function FindAnywhere() {
  const navigate = useNavigate()
  const replace = (search: Readonly<Record<string, string | undefined>>) =>
    void navigate({ to: "/events", search: search as Search })
  return <FindById filters={{ search: {}, set: replace, replace }} />
}
