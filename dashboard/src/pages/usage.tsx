/** How much went through this project in a time: events by type, and deliveries by integration. */
import { Anchor, Group, Select, Stack, Table, Text, Title } from "@mantine/core"
import { useQuery } from "@tanstack/react-query"
import { Link } from "@tanstack/react-router"
import dayjs from "dayjs"
import { lazy, Suspense, useMemo, useState } from "react"
import { given } from "waybill-sdk"
import { Guarded, useMay } from "../parts/access.tsx"
import { FilterTimes } from "../parts/filters.tsx"
import { LinkTo } from "../parts/link.tsx"
import { Moment } from "../parts/moment.tsx"
import { Answered, Empty, Lines, Page } from "../parts/page.tsx"
import { useProject } from "../parts/project.ts"
import { useFilters } from "../parts/search.ts"
import { type Answer, waybill } from "../waybill.ts"

const Spark = lazy(() => import("../parts/spark.tsx").then(({ Spark: component }) => ({ default: component })))

type UsageView = Answer<"/v1/usage">

/** Stretches up to now, in hours. */
const stretches = [
  { value: "1", label: "The last hour" },
  { value: "24", label: "The last 24 hours" },
  { value: "168", label: "The last 7 days" },
  { value: "720", label: "The last 30 days" },
] as const
/** So many types are shown at first. */
const SHOWN = 50
/** Each small chart is a question of its own. */
const MOST_SPARKS = 25

export function Usage() {
  return (
    <Guarded scope="integrations:read" title="Usage">
      <Counted />
    </Guarded>
  )
}

function Counted() {
  const filters = useFilters()
  const { hours = "720", from, to } = filters.search
  const isOwn = from !== undefined || to !== undefined
  const query = useQuery({
    queryKey: ["usage", hours, from, to],
    queryFn: () => given(waybill.GET("/v1/usage", { params: { query: rangeOf(hours, from, to) } })),
    refetchInterval: 60_000,
  })
  return (
    <Page title="Usage" lead="What came in and what went out, counted by the hour; tests are not counted.">
      <Quota />
      <Group align="flex-end" gap="sm" role="search" aria-label="The time that is counted">
        <Select
          label="Time"
          data={[...stretches]}
          value={isOwn ? null : hours}
          placeholder="As it is set here"
          allowDeselect={false}
          onChange={value => value !== null && filters.replace({ hours: value })}
          w={180}
        />
        <FilterTimes filters={filters} />
      </Group>
      <Answered query={query} loading={<Lines count={6} />}>
        {usage => (
          <Stack gap="xl">
            <Text size="sm" role="status">
              From <Moment at={usage.from} style="full" /> to <Moment at={usage.to} style="full" />:{" "}
              <b>{counted(usage.total.events, "event")}</b> with {sized(usage.total.bytes)} of payloads
              {usage.total.refused > 0 && (
                <>
                  , and{" "}
                  <Anchor component={Link} to="/rejections" size="sm">
                    {counted(usage.total.refused, "refusal")}
                  </Anchor>
                </>
              )}
              .
            </Text>
            <Types usage={usage} />
            <Integrations usage={usage} />
          </Stack>
        )}
      </Answered>
    </Page>
  )
}

function rangeOf(hours: string, from: string | undefined, to: string | undefined) {
  if (from !== undefined || to !== undefined) return { ...(from && { from }), ...(to && { to }) }
  const known = stretches.find(({ value }) => value === hours)?.value ?? "720"
  return { from: dayjs().subtract(Number(known), "hour").toISOString() }
}

function counted(count: number, what: string): string {
  return `${count.toLocaleString()} ${count === 1 ? what : `${what}s`}`
}

function sized(bytes: number): string {
  if (bytes < 10_000) return counted(bytes, "byte")
  if (bytes < 10_000_000) return `${Math.round(bytes / 1_000).toLocaleString()} kB`
  return `${Math.round(bytes / 1_000_000).toLocaleString()} MB`
}

function Quota() {
  const may = useMay()
  const { data } = useProject()
  if (data === undefined) return null
  const { max_requests_per_minute: most, payload_days: days } = data.project
  return (
    <Text size="sm">
      Keys of this project may make{" "}
      {most === null ? "any number of requests" : `${most.toLocaleString()} requests a minute together`}. Payloads are
      kept for {days === 1 ? "1 day" : `${days} days`}.{" "}
      {may("admin") && (
        <Anchor component={Link} to="/settings" size="sm">
          Change that in the settings
        </Anchor>
      )}
    </Text>
  )
}

function Types({ usage: { types, types_left_out: leftOut, from, to, total } }: { readonly usage: UsageView }) {
  const may = useMay()
  const [isWhole, setWhole] = useState(false)
  const shown = useMemo(() => (isWhole ? types : types.slice(0, SHOWN)), [types, isWhole])
  return (
    <Stack gap="xs">
      <Title order={2} size="h4">
        Events by type
      </Title>
      {types.length === 0 ? (
        <Empty title="Nothing came in">
          No event was received in that time. Choose a longer one above, or look at what was{" "}
          <Anchor component={Link} to="/rejections" size="sm">
            refused
          </Anchor>
          .
        </Empty>
      ) : (
        <Table.ScrollContainer minWidth={420}>
          <Table aria-label="Events by type">
            <Table.Thead>
              <Table.Tr>
                <Table.Th>Type</Table.Th>
                <Table.Th ta="right">Events</Table.Th>
                <Table.Th ta="right">Share</Table.Th>
                <Table.Th ta="right">Payloads</Table.Th>
              </Table.Tr>
            </Table.Thead>
            <Table.Tbody>
              {shown.map(({ type, events, bytes }) => (
                <Table.Tr key={type}>
                  <Table.Td className="wrap-anywhere">
                    {may("events:read") ? (
                      <LinkTo
                        to="/events"
                        search={{ type, from, ...(Date.parse(to) < Date.now() && { to }) }}
                        size="sm"
                      >
                        {type}
                      </LinkTo>
                    ) : (
                      type
                    )}
                  </Table.Td>
                  <Table.Td ta="right">{events.toLocaleString()}</Table.Td>
                  <Table.Td ta="right">{((100 * events) / total.events).toFixed(1)} %</Table.Td>
                  <Table.Td ta="right">{sized(bytes)}</Table.Td>
                </Table.Tr>
              ))}
            </Table.Tbody>
          </Table>
        </Table.ScrollContainer>
      )}
      {shown.length < types.length && (
        <Anchor component="button" type="button" size="sm" w="fit-content" onClick={() => setWhole(true)}>
          Show all {types.length} types
        </Anchor>
      )}
      {leftOut > 0 && (
        <Text size="sm" c="dimmed">
          {counted(leftOut, "rarer type")} are left out here; the sum above has them.
        </Text>
      )}
    </Stack>
  )
}

const columns = [
  ["routed", "Events for it"],
  ["withheld", "Not sent"],
  ["success", "Successes"],
  ["error", "Errors"],
  ["skipped", "Skipped"],
] as const

function Integrations({ usage: { integrations } }: { readonly usage: UsageView }) {
  const sum = (name: (typeof columns)[number][0]) => integrations.reduce((all, each) => all + each[name], 0)
  return (
    <Stack gap="xs">
      <Title order={2} size="h4">
        Deliveries by integration
      </Title>
      <Text size="sm" c="dimmed">
        Events count by when they were received, attempts (successes and errors) by when they were made: one event may
        take several. Skipped: held back while an endpoint rests.
      </Text>
      {integrations.length === 0 ? (
        <Empty title="There is no integration">
          Events are stored all the same.{" "}
          <Anchor component={Link} to="/integrations/new" size="sm">
            Set one up
          </Anchor>{" "}
          to send them on.
        </Empty>
      ) : (
        <Table.ScrollContainer minWidth={820}>
          <Table aria-label="Deliveries by integration">
            <Table.Thead>
              <Table.Tr>
                <Table.Th>Integration</Table.Th>
                <Table.Th>{integrations.length <= MOST_SPARKS && "Last 30 days"}</Table.Th>
                {columns.map(([name, label]) => (
                  <Table.Th key={name} ta="right">
                    {label}
                  </Table.Th>
                ))}
              </Table.Tr>
            </Table.Thead>
            <Table.Tbody>
              {integrations.map(({ integration: { id, name, removed }, ...counts }) => (
                <Table.Tr key={id}>
                  <Table.Td maw={260} className="wrap-anywhere">
                    {removed ? (
                      `${name ?? id} (removed)`
                    ) : (
                      <Anchor component={Link} to={`/integrations/${id}`}>
                        {name ?? id}
                      </Anchor>
                    )}
                  </Table.Td>
                  <Table.Td w={200}>
                    {integrations.length <= MOST_SPARKS && (
                      <Suspense fallback={null}>
                        <Spark integration={id} name={name ?? id} />
                      </Suspense>
                    )}
                  </Table.Td>
                  {columns.map(([column]) => (
                    <Table.Td key={column} ta="right">
                      {counts[column].toLocaleString()}
                    </Table.Td>
                  ))}
                </Table.Tr>
              ))}
            </Table.Tbody>
            <Table.Tfoot>
              <Table.Tr>
                <Table.Th>All {integrations.length}</Table.Th>
                <Table.Td />
                {columns.map(([name]) => (
                  <Table.Th key={name} ta="right">
                    {sum(name).toLocaleString()}
                  </Table.Th>
                ))}
              </Table.Tr>
            </Table.Tfoot>
          </Table>
        </Table.ScrollContainer>
      )}
    </Stack>
  )
}
