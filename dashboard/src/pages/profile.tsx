/** A profile: the events of one customer, newest first. */
import { Anchor, Button, Group, Stack, Table, Text } from "@mantine/core"
import { useInfiniteQuery } from "@tanstack/react-query"
import { Link, useParams } from "@tanstack/react-router"
import { given } from "waybill-sdk"
import { Guarded, useMay } from "../parts/access.tsx"
import { visible } from "../parts/code.tsx"
import { Copied } from "../parts/copied.tsx"
import { Erase, Erasure } from "../parts/erasure.tsx"
import { Moment } from "../parts/moment.tsx"
import { More } from "../parts/more.tsx"
import { Answered, Empty, Page } from "../parts/page.tsx"
import { useFilters } from "../parts/search.ts"
import { StatusBadge } from "../parts/status.tsx"
import { waybill } from "../waybill.ts"

export function ProfilePage() {
  const { id } = useParams({ from: "/signed-in/profiles/$id" })
  return (
    <Guarded scope="events:read" title="Profile">
      <One id={id} />
    </Guarded>
  )
}

function One({ id }: { readonly id: string }) {
  const may = useMay()
  const { search, set } = useFilters()
  const { erasure } = search
  const query = useInfiniteQuery({
    queryKey: ["events", "profile", id],
    queryFn: ({ pageParam }) =>
      given(
        waybill.GET("/v1/events", { params: { query: { profile_id: id, ...(pageParam && { cursor: pageParam }) } } }),
      ),
    initialPageParam: "",
    getNextPageParam: last => last.next_cursor,
    refetchInterval: 10_000,
  })
  const events = query.data?.pages.flatMap(({ data }) => data) ?? []
  const found = (name: "app" | "device_id" | "source") => [
    ...new Set(events.flatMap(event => (event[name] === null ? [] : [event[name]]))),
  ]
  const facts = [
    ["Apps", found("app")],
    ["Devices", found("device_id")],
    ["Sources", found("source")],
  ] as const
  return (
    <Page
      title={visible(id)}
      lead="A profile: what your systems call one customer. Its events of the last 30 days."
      actions={
        <>
          <Button component={Link} to={`/events?profile_id=${encodeURIComponent(id)}`} variant="default">
            Filter its events
          </Button>
          {may("admin") && <Erase profile={id} begun={erasing => set({ erasure: erasing }, "quietly")} />}
        </>
      }
    >
      {may("admin") && erasure !== undefined && <Erasure id={erasure} />}
      <Answered query={query}>
        {({ pages }) =>
          events.length === 0 ? (
            <Empty title="No events of this profile">
              None of the last 30 days is kept here with <code>profile_id</code> {visible(id)}. See that it is spelt as
              senders spell it, capital letters too.
              {pages.at(-1)?.searched_back_to && (
                <More query={query} what="events" searchedBackTo={pages.at(-1)?.searched_back_to} hasFound={false} />
              )}
            </Empty>
          ) : (
            <Stack>
              <Group gap="lg">
                <Copied text={id} />
                {facts.map(
                  ([label, values]) =>
                    values.length > 0 && (
                      <Text size="sm" key={label} className="wrap-anywhere">
                        <b>{label}:</b> {values.slice(0, 5).map(visible).join(", ")}
                        {values.length > 5 && ` and ${values.length - 5} more`}
                      </Text>
                    ),
                )}
              </Group>
              <Table.ScrollContainer minWidth={680}>
                <Table aria-label="Events of the profile, newest first">
                  <Table.Thead>
                    <Table.Tr>
                      <Table.Th>Received</Table.Th>
                      <Table.Th>Type</Table.Th>
                      <Table.Th>Source record</Table.Th>
                      <Table.Th>App</Table.Th>
                      <Table.Th>Status</Table.Th>
                    </Table.Tr>
                  </Table.Thead>
                  <Table.Tbody>
                    {events.map(event => (
                      <Table.Tr key={event.id}>
                        <Table.Td>
                          <Moment at={event.received_at} />
                        </Table.Td>
                        <Table.Td>
                          <Anchor component={Link} to={`/events/${event.id}`} className="wrap-anywhere">
                            {event.type}
                          </Anchor>
                        </Table.Td>
                        <Table.Td className="wrap-anywhere">
                          {event.source_record === null ? "–" : visible(event.source_record)}
                        </Table.Td>
                        <Table.Td>{event.app ?? "–"}</Table.Td>
                        <Table.Td>
                          <StatusBadge status={event.status} />
                        </Table.Td>
                      </Table.Tr>
                    ))}
                  </Table.Tbody>
                </Table>
              </Table.ScrollContainer>
              <More query={query} what="events" searchedBackTo={pages.at(-1)?.searched_back_to} />
            </Stack>
          )
        }
      </Answered>
    </Page>
  )
}
