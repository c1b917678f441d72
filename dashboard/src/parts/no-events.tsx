/** What stands in place of events where there are none: how to send one, or what was refused as it came. */
import { Alert, Anchor, Stack, Text } from "@mantine/core"
import { portal } from "../portal.ts"
import type { Search } from "../router.tsx"
import { CodeBlock } from "./code.tsx"
import { Empty } from "./page.tsx"
import { Rejected } from "./rejected.tsx"

/** No event fits the filters of the feed. */
export function NothingFits({ search, clear }: { readonly search: Search; readonly clear: () => void }) {
  const { from, to, ...rest } = search
  const texts = Object.entries(rest).flatMap(([name, value]) =>
    name.endsWith("record") || name.endsWith("_id") || name === "type" ? [value.replace(/\*$/, "")] : [],
  )
  return (
    <Stack gap="lg">
      <Empty title="No event fits">
        None of the events of the last 30 days fits these filters.{" "}
        <Anchor component="button" type="button" size="sm" onClick={clear}>
          Clear the filters
        </Anchor>{" "}
        to see all.{portal === null && " What was refused as it came never became an event:"}
      </Empty>
      {portal === null && <Rejected from={from} to={to} texts={texts} />}
    </Stack>
  )
}

/** No event has come yet. */
export function NoEvents() {
  // Who looks into a portal sends nothing to Waybill.
  if (portal !== null) {
    return <Empty title="No events yet">Nothing came in the last 30 days. What comes shows up here by itself.</Empty>
  }
  return <HowToSendOne />
}

function HowToSendOne() {
  const line = `curl -sS ${window.location.origin}/v1/events \\
  -H "Authorization: Bearer $WAYBILL_API_KEY" \\
  -H "Content-Type: application/json" \\
  -d '{"type":"order.created","data":{"order":1842,"total":12.5}}'`
  return (
    <Stack gap="lg">
      <Empty title="No events yet">Nothing came in the last 30 days. Send one, and it shows up here by itself:</Empty>
      <CodeBlock text={line} label="How to send an event" />
      <Alert variant="light" color="gray">
        <Text size="sm">Sent some already? A request that was refused never became an event.</Text>
      </Alert>
      <Rejected from={undefined} to={undefined} texts={[]} />
    </Stack>
  )
}
