/** Ids as links to where what they name is shown. */
import { Anchor } from "@mantine/core"
import { Link } from "@tanstack/react-router"

/** The address of the page that shows what an id names; undefined where none does. */
export function placeOf(id: string): string | undefined {
  switch (/^([a-z]{3})_/.exec(id)?.[1]) {
    case "evt":
      return `/events/${id}`
    case "int":
      return `/integrations/${id}`
    case "rec":
      return `/recoveries/${id}`
    case "key":
      return "/api-keys"
    case "per":
    case "inv":
      return "/people"
    case "rej":
      return "/rejections"
    case "app":
      return "/apps"
    case "prj":
      return "/settings"
    case "chg":
      return "/audit-log"
    default:
      return undefined
  }
}

export function IdLink({ id, name = id }: { readonly id: string; readonly name?: string }) {
  const to = placeOf(id)
  if (to === undefined) return <span className="wrap-anywhere">{name}</span>
  return (
    <Anchor component={Link} to={to} size="sm" className="wrap-anywhere">
      {name}
    </Anchor>
  )
}
