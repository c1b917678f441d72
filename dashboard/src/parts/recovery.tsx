/** What pages of recoveries share. */
import { Group, Progress, Text } from "@mantine/core"
import { type Answer, queries, waybill } from "../waybill.ts"
import { lasting } from "./moment.tsx"

export type Recovery = Answer<"/v1/recoveries">["data"][number]

export const recoveryStates = {
  running: { colour: "plain", word: "Running" },
  paused: { colour: "amber", word: "Paused" },
  done: { colour: "green", word: "Done" },
  canceled: { colour: "grey", word: "Canceled" },
} as const

/** What it picks, by how an event stands at an integration. */
export const pickedStatuses = {
  failed: "Failed: no automatic try was left",
  skipped: "Skipped: failed because the endpoint rested at each try",
  withheld: "Not sent, for a reason that someone has to act on",
  missing: "Never had it: the integration was made later, or was off",
  delivered: "Delivered already: they are sent again",
} as const

/** How much of the time range has been looked at. */
export function Share({ recovery }: { readonly recovery: Recovery }) {
  const { share_done: share, estimated_end_at: end } = recovery.progress
  const percent = recovery.state === "done" ? 100 : Math.floor(share * 100)
  return (
    <Group gap="xs" wrap="nowrap">
      <Progress
        value={percent}
        w={90}
        aria-label="How much of the time has been looked at"
        animated={recovery.state === "running"}
      />
      <Text size="xs">
        {percent} %
        {end !== null && Date.parse(end) > Date.now() + 1_000 && `, ${lasting(Date.parse(end) - Date.now())} left`}
      </Text>
    </Group>
  )
}

export async function act(id: string, action: "pause" | "resume" | "cancel"): Promise<void> {
  await waybill.POST(`/v1/recoveries/{id}/${action}`, { params: { path: { id } } })
  await queries.invalidateQueries({ queryKey: ["recoveries"] })
}
