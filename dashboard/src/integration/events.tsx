/** The last events and what became of each here, live; those that were not sent in their own colour. */
import { Button, Group, Stack, Table, Text } from "@mantine/core"
import { IconPlayerPause, IconPlayerPlay } from "@tabler/icons-react"
import { useInfiniteQuery } from "@tanstack/react-query"
import { useState } from "react"
import { given } from "waybill-sdk"
import { Moment } from "../parts/moment.tsx"
import { More } from "../parts/more.tsx"
import { Answered, Empty } from "../parts/page.tsx"
import { IdLink } from "../parts/place.tsx"
import { Reason } from "../parts/reason.tsx"
import { StatusBadge } from "../parts/status.tsx"
import { type Answer, waybill } from "../waybill.ts"
import type { Tagged } from "./data.ts"

type Here = Answer<"/v1/integrations/{id}/events">["data"][number]

export function IntegrationEvents({ integration: { id } }: Tagged) {
  const [isPaused, setPaused] = useState(false)
  const query = useInfiniteQuery({
    // Another key: what reads everything of the integration again leaves it alone.
    queryKey: isPaused ? ["integration-paused", id, "events"] : ["integration", id, "events"],
    queryFn: ({ pageParam }) =>
      given(
        waybill.GET("/v1/integrations/{id}/events", {
          params: { path: { id }, query: { limit: 50, ...(pageParam && { cursor: pageParam }) } },
        }),
      ),
    initialPageParam: "",
    getNextPageParam: last => last.next_cursor,
    placeholderData: before => before,
    ...(isPaused && { refetchOnWindowFocus: false, staleTime: Number.POSITIVE_INFINITY }),
  })
  return (
    <Stack>
      <Group justify="space-between">
        <Text size="sm" c="dimmed" role="status">
          {isPaused ? "Paused: what comes in now is not shown." : "Live: new events come in at the top."}
        </Text>
        <Button
          variant="default"
          size="xs"
          leftSection={isPaused ? <IconPlayerPlay size={15} /> : <IconPlayerPause size={15} />}
          onClick={() => setPaused(!isPaused)}
        >
          {isPaused ? "Go on" : "Pause"}
        </Button>
      </Group>
      <Answered query={query}>
        {({ pages }) => {
          const all = pages.flatMap(({ data }) => data)
          if (all.length === 0) {
            return (
              <Empty title="No event has come here yet">
                Send one with the example on the overview, or a test event. Events that came in while it was off are not
                listed.
              </Empty>
            )
          }
          return (
            <>
              <Table.ScrollContainer minWidth={720}>
                <Table aria-label="Last events">
                  <Table.Thead>
                    <Table.Tr>
                      <Table.Th>Received</Table.Th>
                      <Table.Th>Type</Table.Th>
                      <Table.Th>Source record</Table.Th>
                      <Table.Th>Destination record</Table.Th>
                      <Table.Th>Environment</Table.Th>
                      <Table.Th>Here</Table.Th>
                    </Table.Tr>
                  </Table.Thead>
                  <Table.Tbody>
                    {all.map(here => (
                      <Row key={here.event.id} here={here} />
                    ))}
                  </Table.Tbody>
                </Table>
              </Table.ScrollContainer>
              <More query={query} what="events" searchedBackTo={pages.at(-1)?.searched_back_to} />
            </>
          )
        }}
      </Answered>
    </Stack>
  )
}

function Row({ here: { event, delivery, withheld } }: { readonly here: Here }) {
  return (
    <Table.Tr>
      <Table.Td>
        <Moment at={event.received_at} />
      </Table.Td>
      <Table.Td>
        <IdLink id={event.id} name={event.type} />
        {event.test && " (test)"}
      </Table.Td>
      <Table.Td className="wrap-anywhere">{event.source_record ?? "–"}</Table.Td>
      <Table.Td className="wrap-anywhere">{delivery?.destination_record ?? "–"}</Table.Td>
      <Table.Td>{event.environment}</Table.Td>
      <Table.Td>
        <Group gap="xs">
          {delivery !== null && <StatusBadge status={delivery.status} />}
          {withheld !== null && <Reason reason={withheld} />}
          {delivery?.reason != null && <Reason reason={delivery.reason} />}
        </Group>
      </Table.Td>
    </Table.Tr>
  )
}
