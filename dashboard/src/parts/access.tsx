/** What whoever is signed in may do here, and what stands in place of a page that they may not see. */
import { useQuery } from "@tanstack/react-query"
import type { ReactNode } from "react"
import { given } from "waybill-sdk"
import { portal } from "../portal.ts"
import { sessionQuery, waybill } from "../waybill.ts"
import { Empty, Page } from "./page.tsx"

/** Whether the role in this project has a scope; `any` is had by everybody. */
export function useMay(): (scope: string) => boolean {
  const { data: session } = useQuery(sessionQuery)
  return scope => scope === "any" || session?.scopes.some(held => held === scope || held === "admin") === true
}

/** Roles and scopes with what they are for; they change with Waybill's version only. */
export const rolesQuery = {
  queryKey: ["roles"],
  queryFn: () => given(waybill.GET("/v1/roles")),
  staleTime: Number.POSITIVE_INFINITY,
} as const

/** A page for those who have a scope; others read who has. */
export function Guarded({
  scope,
  title,
  children,
}: {
  readonly scope: string
  readonly title: string
  readonly children: ReactNode
}) {
  const may = useMay()
  if (may(scope)) return children
  return (
    <Page title={title}>
      <Lacking scope={scope} />
    </Page>
  )
}

/** Says which role one has, and which ones would do. */
export function Lacking({ scope }: { readonly scope: string }) {
  if (portal !== null)
    return <Empty title="This view does not show it">Ask whoever gave it to you, if you need it.</Empty>
  return <RoleLacks scope={scope} />
}

function RoleLacks({ scope }: { readonly scope: string }) {
  const { data: session } = useQuery(sessionQuery)
  const { data } = useQuery(rolesQuery)
  const able = data?.roles.filter(({ scopes }) => scopes.some(held => held === scope || held === "admin")) ?? []
  return (
    <Empty title="Your role does not show this">
      You are {session?.project.role ?? "not"} in {session?.project.name ?? "this project"}, and this needs the scope{" "}
      <code>{scope}</code>. {able.length > 0 && `Roles that may see it: ${able.map(({ name }) => name).join(", ")}. `}
      Ask an owner or admin of the project for another role.
    </Empty>
  )
}
