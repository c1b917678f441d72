/** Deliveries: each event on its way to each integration, found by where it stands, why, and where it went. */
import { SimpleGrid, Stack, Table, Text } from "@mantine/core"
import { useInfiniteQuery } from "@tanstack/react-query"
import { given } from "waybill-sdk"
import {
  ActiveFilters,
  FilterSelect,
  FilterText,
  FilterTimes,
  SavedViews,
  useIntegrations,
  useReasons,
} from "../parts/filters.tsx"
import { LinkTo } from "../parts/link.tsx"
import { Moment } from "../parts/moment.tsx"
import { More } from "../parts/more.tsx"
import { Answered, Empty, Lines, Page } from "../parts/page.tsx"
import { Reason } from "../parts/reason.tsx"
import { useFilters } from "../parts/search.ts"
import { StatusBadge } from "../parts/status.tsx"
import type { Search } from "../router.tsx"
import { lookOf } from "../status.ts"
import { type Answer, waybill } from "../waybill.ts"

type Delivery = Answer<"/v1/deliveries">["data"][number]

const REFRESH_MS = 10_000

const labels = {
  from: "From",
  to: "Before",
  status: "Status",
  reason: "Reason",
  integration: "Integration",
  event: "Event",
  destination_record: "Destination record",
  recovery: "Recovery",
  ordering_key: "Ordering key",
} as const

const statuses = ["pending", "sending", "delivered", "retrying", "skipped", "failed", "withheld"].map(value => ({
  value,
  label: lookOf(value).word,
}))
const views: readonly { readonly name: string; readonly search: Search }[] = [
  { name: "All deliveries", search: {} },
  { name: "Failed", search: { status: "failed" } },
  { name: "Still being tried", search: { status: "retrying" } },
  { name: "Waiting for a resting endpoint", search: { status: "skipped" } },
]

export function Deliveries() {
  const filters = useFilters()
  const integrations = useIntegrations()
  const search: Search = Object.fromEntries(Object.entries(filters.search).filter(([name]) => name in labels))
  const query = useInfiniteQuery({
    queryKey: ["deliveries", search],
    queryFn: ({ pageParam }) =>
      given(
        waybill.GET("/v1/deliveries", { params: { query: { ...search, ...(pageParam && { cursor: pageParam }) } } }),
      ),
    initialPageParam: "",
    getNextPageParam: last => last.next_cursor,
    refetchInterval: REFRESH_MS,
  })
  const reasons = useReasons()
  const titleOf = (code: string) => reasons.find(each => each.value === code)?.label ?? code
  const nameOf = (id: string) => integrations.find(each => each.id === id)?.name ?? id
  const timeOf = (text: string) => new Date(text).toLocaleString()
  return (
    <Page
      title="Deliveries"
      lead="Each event on its way to each integration, those of the newest events first."
      actions={<SavedViews page="deliveries" filters={filters} builtIn={views} />}
    >
      <Stack gap="sm" component="search">
        <SimpleGrid cols={{ base: 2, md: 4 }} spacing="xs" verticalSpacing="xs">
          <FilterSelect filters={filters} name="status" label={labels.status} data={statuses} />
          <FilterSelect
            filters={filters}
            name="integration"
            label={labels.integration}
            data={integrations.map(({ id, name }) => ({ value: id, label: name }))}
            searchable
          />
          <FilterSelect filters={filters} name="reason" label={labels.reason} data={reasons} searchable />
          <FilterText
            filters={filters}
            name="destination_record"
            label={labels.destination_record}
            placeholder="As the receiver named it"
          />
          <FilterTimes filters={filters} />
          <FilterText filters={filters} name="recovery" label={labels.recovery} placeholder="rec_…" />
          <FilterText filters={filters} name="ordering_key" label={labels.ordering_key} placeholder="Any" />
        </SimpleGrid>
        <ActiveFilters
          filters={filters}
          labels={labels}
          shown={{
            integration: nameOf,
            from: timeOf,
            to: timeOf,
            status: value => lookOf(value).word,
            reason: titleOf,
          }}
        />
      </Stack>
      <Answered query={query} loading={<Lines count={10} height={34} />}>
        {({ pages }) => {
          const deliveries = pages.flatMap(({ data }) => data)
          return (
            <Stack gap="sm">
              {deliveries.length === 0 ? (
                <Nothing search={search} hasMore={query.hasNextPage} />
              ) : (
                <DeliveryTable deliveries={deliveries} />
              )}
              <More
                query={query}
                what="deliveries"
                searchedBackTo={pages.at(-1)?.searched_back_to}
                hasFound={deliveries.length > 0}
              />
            </Stack>
          )
        }}
      </Answered>
    </Page>
  )
}

function DeliveryTable({ deliveries }: { readonly deliveries: readonly Delivery[] }) {
  return (
    <Table.ScrollContainer minWidth={860}>
      <Table aria-label="Deliveries" fz="sm">
        <Table.Thead>
          <Table.Tr>
            <Table.Th>Event received</Table.Th>
            <Table.Th>Type</Table.Th>
            <Table.Th>Integration</Table.Th>
            <Table.Th>Status</Table.Th>
            <Table.Th>Why</Table.Th>
            <Table.Th>Attempts</Table.Th>
            <Table.Th>Next attempt</Table.Th>
            <Table.Th>Destination record</Table.Th>
          </Table.Tr>
        </Table.Thead>
        <Table.Tbody>
          {deliveries.map(({ id, event, integration, status, reason, ...delivery }) => (
            <Table.Tr key={id}>
              <Table.Td>
                <Moment at={event.received_at} />
              </Table.Td>
              <Table.Td className="wrap-anywhere">
                <LinkTo to="/events/$id" params={{ id: event.id }} search={{ delivery: id }} size="sm" fw={600}>
                  {event.type}
                </LinkTo>
                {event.environment === "sandbox" && (
                  <Text span size="xs" c="dimmed">
                    {" "}
                    Sandbox
                  </Text>
                )}
              </Table.Td>
              <Table.Td className="wrap-anywhere">
                {integration.name ?? integration.id}
                {integration.removed && " (removed)"}
              </Table.Td>
              <Table.Td>
                <StatusBadge status={status} />
              </Table.Td>
              <Table.Td>{reason === null ? "–" : <Reason reason={reason} />}</Table.Td>
              <Table.Td>{delivery.attempt_count}</Table.Td>
              <Table.Td>
                <Moment at={delivery.next_attempt_at} />
              </Table.Td>
              <Table.Td className="wrap-anywhere">{delivery.destination_record ?? "–"}</Table.Td>
            </Table.Tr>
          ))}
        </Table.Tbody>
      </Table>
    </Table.ScrollContainer>
  )
}

function Nothing({ search, hasMore }: { readonly search: Search; readonly hasMore: boolean }) {
  if (hasMore) {
    return <Empty title="Nothing so far">Not everything has been searched yet: below stands how far back.</Empty>
  }
  if (Object.keys(search).length === 0) {
    return (
      <Empty title="No deliveries yet">
        Nothing was sent in the last 30 days.{" "}
        <LinkTo to="/events" size="sm">
          See whether events came in
        </LinkTo>
        .
      </Empty>
    )
  }
  return (
    <Empty title="No delivery fits">
      Take a filter away.{" "}
      {search["status"] === "withheld"
        ? "An event that a rule kept from an integration altogether has no delivery there: the event itself says why."
        : ""}{" "}
      <LinkTo to="/events" size="sm">
        Search events instead
      </LinkTo>
      .
    </Empty>
  )
}
