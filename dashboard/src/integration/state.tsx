/** Whether an integration is on, off or paused: a badge with its shape and word. */
import { Group } from "@mantine/core"
import { IconBan, IconPlayerPause, IconPlugConnected } from "@tabler/icons-react"
import { Badge } from "../parts/status.tsx"
import type { Integration } from "./data.ts"

export function StateBadge({
  integration,
}: {
  readonly integration: Pick<Integration, "enabled" | "paused" | "disabled">
}) {
  const { enabled, paused, disabled } = integration
  if (!enabled) {
    const isOwn = disabled?.by === "person"
    return <Badge look={{ word: isOwn ? "Off" : "Switched off", colour: isOwn ? "grey" : "red", icon: IconBan }} />
  }
  return (
    <Group gap={4} component="span" display="inline-flex">
      <Badge
        look={
          paused
            ? { word: "Paused", colour: "amber", icon: IconPlayerPause }
            : { word: "On", colour: "plain", icon: IconPlugConnected }
        }
      />
    </Group>
  )
}
