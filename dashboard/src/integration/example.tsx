/** An event that fires the integration, to be sent from a terminal or a program. */
import { Stack, Tabs, Text, Title } from "@mantine/core"
import { useQuery } from "@tanstack/react-query"
import { useMay } from "../parts/access.tsx"
import { CodeBlock } from "../parts/code.tsx"
import { CopyText } from "../parts/copied.tsx"
import { environmentsOf, eventTypesQuery, type Integration, lastEventsQuery, nameOfType } from "./data.ts"

export function Example({ integration }: { readonly integration: Integration }) {
  const may = useMay()
  const types = useQuery(eventTypesQuery)
  const last = useQuery({ ...lastEventsQuery, enabled: may("events:read") })
  if (types.data === undefined) return null
  const known = types.data.data.filter(({ reserved }) => !reserved)
  const names = [...known.map(({ name }) => name), ...(last.data?.data.map(({ type }) => type) ?? []), "order_paid"]
  const type = names.find(name => nameOfType(integration.events, name).on)
  const environment = environmentsOf(integration)[0] ?? "production"
  if (type === undefined) {
    return (
      <Text size="sm" c="dimmed">
        No event type is switched on here, so that no event fires it.
      </Text>
    )
  }
  const data = known.find(({ name }) => name === type)?.examples[0] ?? { plan: "pro", amount: 9.99 }
  const event = {
    type,
    ...(environment === "sandbox" ? { environment } : {}),
    ...(integration.apps[0] === undefined ? {} : { app: integration.apps[0] }),
    data,
  }
  const json = JSON.stringify(event, null, 2)
  const curl = `curl -X POST ${location.origin}/v1/events \\
  -H "Authorization: Bearer $WAYBILL_API_KEY" \\
  -H "Content-Type: application/json" \\
  -d '${json.replaceAll("'", `'\\''`)}'`
  const code = `import { createWaybill } from "waybill-sdk"

const waybill = createWaybill({ url: "${location.origin}", key: process.env.WAYBILL_API_KEY })

await waybill.POST("/v1/events", {
  body: ${json.replaceAll("\n", "\n  ")},
})`
  return (
    <Stack gap="xs">
      <Title order={2} size="h4">
        An event that fires it
      </Title>
      <Text size="sm" c="dimmed">
        Needs an API key with the scope ingest in WAYBILL_API_KEY.
        {integration.filter !== null && " This integration has a filter: change the data so that it fits."}
      </Text>
      <Tabs defaultValue="curl" keepMounted={false}>
        <Tabs.List aria-label="Language of the example">
          <Tabs.Tab value="curl">curl</Tabs.Tab>
          <Tabs.Tab value="ts">TypeScript</Tabs.Tab>
        </Tabs.List>
        {[
          ["curl", curl],
          ["ts", code],
        ].map(([name = "", text = ""]) => (
          <Tabs.Panel key={name} value={name} pt="xs">
            <Stack gap="xs" align="flex-start">
              <CopyText text={text} label="Copy" />
              <div className="full-width">
                <CodeBlock text={text} label={`Example in ${name === "ts" ? "TypeScript" : "curl"}`} />
              </div>
            </Stack>
          </Tabs.Panel>
        ))}
      </Tabs>
    </Stack>
  )
}
