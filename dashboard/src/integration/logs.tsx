/** The last errors and the last successes, each with its event, its request and its answer. */
import { Accordion, Group, Stack, Text, Title } from "@mantine/core"
import { useQuery } from "@tanstack/react-query"
import { given } from "waybill-sdk"
import { lasting, Moment } from "../parts/moment.tsx"
import { Answered, Empty } from "../parts/page.tsx"
import { IdLink } from "../parts/place.tsx"
import { ReasonText } from "../parts/reason.tsx"
import { ColourBadge } from "../parts/status.tsx"
import { type Answer, waybill } from "../waybill.ts"
import type { Tagged } from "./data.ts"
import { Exchange } from "./exchange.tsx"

type Entry = Answer<"/v1/integrations/{id}/logs">["errors"][number]

export function IntegrationLogs({ integration: { id } }: Tagged) {
  const query = useQuery({
    queryKey: ["integration", id, "logs"],
    queryFn: () => given(waybill.GET("/v1/integrations/{id}/logs", { params: { path: { id }, query: { limit: 20 } } })),
  })
  return (
    <Answered query={query}>
      {({ errors, successes }) =>
        errors.length + successes.length === 0 ? (
          <Empty title="Nothing was sent lately">
            The last successes and errors stand here, whole, as soon as something goes out. Send a test event to see
            what its endpoint says; tests are shown on their event.
          </Empty>
        ) : (
          <Stack gap="xl">
            <Entries title="Last errors" entries={errors} none="No errors are kept. Nothing to do." />
            <Entries title="Last successes" entries={successes} none="Nothing has got through lately." />
          </Stack>
        )
      }
    </Answered>
  )
}

function Entries({
  title,
  entries,
  none,
}: {
  readonly title: string
  readonly entries: readonly Entry[]
  readonly none: string
}) {
  return (
    <Stack gap="xs">
      <Title order={2} size="h4">
        {title}
      </Title>
      {entries.length === 0 && (
        <Text size="sm" c="dimmed">
          {none}
        </Text>
      )}
      <Accordion variant="separated" order={3}>
        {entries.map(entry => (
          <Accordion.Item key={entry.attempt.id} value={entry.attempt.id}>
            <Accordion.Control>
              <Group gap="xs">
                <ColourBadge
                  colour={entry.attempt.outcome === "success" ? "green" : "red"}
                  word={
                    entry.attempt.status === null
                      ? (entry.attempt.error?.class ?? "No answer")
                      : String(entry.attempt.status)
                  }
                />
                <Text size="sm" fw={600}>
                  {entry.event.type}
                </Text>
                <Text size="sm" c="dimmed">
                  {new Date(entry.attempt.started_at).toLocaleString()}
                </Text>
                {entry.error_message !== null && (
                  <Text size="sm" className="wrap-anywhere">
                    {entry.error_message}
                  </Text>
                )}
              </Group>
            </Accordion.Control>
            <Accordion.Panel>
              <Whole entry={entry} />
            </Accordion.Panel>
          </Accordion.Item>
        ))}
      </Accordion>
    </Stack>
  )
}

function Whole({ entry: { attempt, event, delivery } }: { readonly entry: Entry }) {
  return (
    <Stack>
      <Text size="sm" component="div" className="linked">
        Event <IdLink id={event.id} />, attempt {attempt.number} of {delivery},{" "}
        <Moment at={attempt.started_at} style="full" />
        {attempt.timings !== null && `, ${lasting(attempt.timings.total_ms)}`}.
      </Text>
      {attempt.reason !== null && <ReasonText reason={attempt.reason} />}
      <Exchange attempt={attempt} />
    </Stack>
  )
}
