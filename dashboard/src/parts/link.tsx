/** A link within the dashboard whose place, parameters and filters the compiler checks; its text alone where a portal has no such page. */
import { Anchor, type AnchorProps } from "@mantine/core"
import { createLink } from "@tanstack/react-router"
import type { ComponentPropsWithRef } from "react"
import { portal, portalTabs } from "../portal.ts"

export const LinkTo = createLink(Leading)

function Leading(props: AnchorProps & Omit<ComponentPropsWithRef<"a">, keyof AnchorProps>) {
  return leads(props.href) ? <Anchor<"a"> {...props} /> : <span className={props.className}>{props.children}</span>
}

/** Whether an address is one that is shown here. */
function leads(href: string | undefined): boolean {
  if (portal === null || href === undefined) return true
  const { pathname, searchParams } = new URL(href, window.location.origin)
  const tab = searchParams.get("tab") ?? "overview"
  const page = pathname.slice(portal.base.length)
  return (
    /^\/(events|integrations|reasons)(\/|$)/.test(page) &&
    (!page.startsWith("/integrations/") || portalTabs.includes(tab))
  )
}
