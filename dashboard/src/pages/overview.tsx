/** How things stand: who needs somebody, who does not, and what changed lately. */
import { Anchor, Card, Group, Select, SimpleGrid, Stack, Table, Text } from "@mantine/core"
import { useInfiniteQuery, useQuery } from "@tanstack/react-query"
import { Link, useNavigate, useSearch } from "@tanstack/react-router"
import { lazy, Suspense, useEffect, useState } from "react"
import { given } from "waybill-sdk"
import { FirstRun, useFirstSteps } from "../overview/first-run.tsx"
import { Guarded, useMay } from "../parts/access.tsx"
import { Moment } from "../parts/moment.tsx"
import { More } from "../parts/more.tsx"
import { Answered, Empty, Page } from "../parts/page.tsx"
import { Badge, ColourBadge } from "../parts/status.tsx"
import { restingLook } from "../status.ts"
import { type Answer, waybill } from "../waybill.ts"

type Diagnosis = Answer<"/v1/diagnosis">["data"][number]

// Charts are half of the code of this page: they come after what it says.
const Spark = lazy(() => import("../parts/spark.tsx").then(({ Spark: component }) => ({ default: component })))

import { Sentence } from "../parts/sentence.tsx"

/** How often it looks again. */
const REFRESH_MS = 10_000

export function Overview() {
  return (
    <Guarded scope="integrations:read" title="Overview">
      <Standing />
    </Guarded>
  )
}

function Standing() {
  const query = useInfiniteQuery({
    queryKey: ["diagnosis"],
    queryFn: ({ pageParam }) =>
      given(
        waybill.GET("/v1/diagnosis", { params: { query: { limit: 50, ...(pageParam && { cursor: pageParam }) } } }),
      ),
    initialPageParam: "",
    getNextPageParam: last => last.next_cursor,
    refetchInterval: REFRESH_MS,
  })
  // The sentence at the top is about all of them, so all are read, a page after the other.
  const { hasNextPage, isFetchingNextPage, isError, fetchNextPage } = query
  useEffect(() => {
    if (hasNextPage && !isFetchingNextPage && !isError) void fetchNextPage()
  }, [hasNextPage, isFetchingNextPage, isError, fetchNextPage])
  const { app } = useSearch({ from: "/signed-in/" })
  const isOfApp = useAppsOfIntegrations(app)
  const steps = useFirstSteps()
  // The steps stay until one leaves, so that the last one is seen to turn green.
  const [wasBegun, setBegun] = useState(false)
  const isFirst = steps !== undefined && (steps.integration === undefined || steps.delivered === undefined)
  if (isFirst && !wasBegun) setBegun(true)
  const first = steps !== undefined && (isFirst || wasBegun) ? <FirstRun steps={steps} /> : null
  return (
    <Page title="Overview" lead="What needs someone, and what does not." actions={<AppFilter app={app} />}>
      <Answered query={query}>
        {({ pages }) => {
          const all = pages.flatMap(({ data }) => data)
          const shown = all.filter(({ integration }) => isOfApp(integration.id))
          return (
            <Stack gap="lg">
              {all.length === 0 ? (
                first === null && <NoIntegrations />
              ) : shown.length === 0 ? (
                <Empty title={`No integration takes events of ${app}`}>
                  Integrations are limited to some apps in their own settings. Choose another app above, or all.
                </Empty>
              ) : (
                <Needs diagnoses={shown} hasMore={query.hasNextPage} />
              )}
              {/* Always in the same place: the key that was made there is shown this once. */}
              {first}
              {shown.length > 0 && <Integrations diagnoses={shown} />}
              <More query={query} what="integrations" />
            </Stack>
          )
        }}
      </Answered>
    </Page>
  )
}

/** Whether an integration takes events of an app; of any where none is named, and as long as it is not known. */
function useAppsOfIntegrations(app: string | undefined): (id: string) => boolean {
  const { data } = useQuery({
    queryKey: ["integrations", "all"],
    queryFn: () => given(waybill.GET("/v1/integrations", { params: { query: { limit: 200 } } })),
    enabled: app !== undefined,
  })
  if (app === undefined || data === undefined) return () => true
  const apps = new Map(data.data.map(integration => [integration.id, integration.apps]))
  return id => {
    const own = apps.get(id)
    return own === undefined || own.length === 0 || own.includes(app)
  }
}

function AppFilter({ app }: { readonly app: string | undefined }) {
  const may = useMay()
  const navigate = useNavigate()
  const { data } = useQuery({
    queryKey: ["apps", "names"],
    queryFn: () => given(waybill.GET("/v1/apps", { params: { query: { limit: 200 } } })),
    enabled: may("events:read"),
  })
  const names = data?.data.map(({ name }) => name) ?? []
  // One app is all of them.
  if (names.length < 2 && app === undefined) return null
  return (
    <Select
      aria-label="Integrations that take events of an app"
      placeholder="All apps"
      clearable
      searchable
      w={180}
      data={app !== undefined && !names.includes(app) ? [...names, app] : names}
      value={app ?? null}
      onChange={value => void navigate({ to: "/", search: value === null ? {} : { app: value } })}
    />
  )
}

/** In a sentence, then one card for each that needs someone. */
function Needs({ diagnoses, hasMore }: { readonly diagnoses: readonly Diagnosis[]; readonly hasMore: boolean }) {
  const may = useMay()
  const red = diagnoses.filter(({ verdict }) => verdict.colour === "red")
  const amber = diagnoses.filter(({ verdict }) => verdict.colour === "amber")
  const grey = diagnoses.filter(({ verdict }) => verdict.colour === "grey")
  const rest = diagnoses.length - red.length - amber.length - grey.length
  const among = hasMore ? " of those shown" : ""
  return (
    <Stack gap="sm">
      <Text role="status" size="lg" fw={600}>
        {red.length === 0
          ? `Nothing${among} needs you.`
          : `${count(red.length, "integration")}${among} ${red.length === 1 ? "needs" : "need"} someone.`}{" "}
        <Text span c="dimmed" fw={400}>
          {amber.length > 0 && `${count(amber.length, "integration")}${among}: have a look. `}
          {rest > 0 && `${rest === diagnoses.length ? "All" : rest} in order. `}
          {grey.length > 0 && `${grey.length} with nothing to do.`}
        </Text>
      </Text>
      <SimpleGrid cols={{ base: 1, md: red.length > 1 ? 2 : 1 }}>
        {red.map(({ integration, verdict }) => (
          <Card key={integration.id} withBorder padding="md">
            <Stack gap={6}>
              <Group justify="space-between" gap="xs">
                <Anchor component={Link} to={`/integrations/${integration.id}`} fw={650}>
                  {integration.name ?? integration.id}
                </Anchor>
                <ColourBadge colour={verdict.colour} word={verdict.title} />
              </Group>
              <Text size="sm">{verdict.what}</Text>
              <Text size="sm">
                <b>What to do:</b>{" "}
                <Sentence text={verdict.advice} about={{ integration: integration.id, since: verdict.since }} />
              </Text>
              {may("replay") && verdict.since !== null && (
                <Text size="sm">
                  Once it is mended:{" "}
                  <Anchor
                    component={Link}
                    to={`/recoveries/new?integration=${integration.id}&from=${encodeURIComponent(verdict.since)}`}
                    size="sm"
                  >
                    send again what has failed since
                  </Anchor>
                  .
                </Text>
              )}
              {verdict.since !== null && (
                <Text size="xs" c="dimmed">
                  Since <Moment at={verdict.since} style="full" />
                </Text>
              )}
            </Stack>
          </Card>
        ))}
      </SimpleGrid>
    </Stack>
  )
}

const order = { red: 0, amber: 1, plain: 2, grey: 3 } as const

function Integrations({ diagnoses }: { readonly diagnoses: readonly Diagnosis[] }) {
  const sorted = diagnoses.toSorted((a, b) => order[a.verdict.colour] - order[b.verdict.colour])
  return (
    <Table.ScrollContainer minWidth={820}>
      <Table aria-label="Integrations">
        <Table.Thead>
          <Table.Tr>
            <Table.Th>Integration</Table.Th>
            <Table.Th>How it is</Table.Th>
            <Table.Th>Last 30 days</Table.Th>
            <Table.Th>Oldest waiting event</Table.Th>
            <Table.Th>Last change</Table.Th>
          </Table.Tr>
        </Table.Thead>
        <Table.Tbody>
          {sorted.map(({ integration, verdict, resting, oldest_waiting: oldest, last_change: last }) => (
            <Table.Tr key={integration.id}>
              <Table.Td>
                <Anchor component={Link} to={`/integrations/${integration.id}`} className="wrap-anywhere">
                  {integration.name ?? integration.id}
                </Anchor>
              </Table.Td>
              <Table.Td>
                <Group gap={6}>
                  <ColourBadge colour={verdict.colour === "plain" ? "green" : verdict.colour} word={verdict.title} />
                  {resting === true && <Badge look={restingLook} />}
                </Group>
              </Table.Td>
              <Table.Td w={210}>
                <Suspense fallback={null}>
                  <Spark integration={integration.id} name={integration.name ?? integration.id} />
                </Suspense>
              </Table.Td>
              <Table.Td>
                {oldest === null ? (
                  <Text size="sm" c="dimmed">
                    Nothing waits
                  </Text>
                ) : (
                  <Text size="sm">
                    <Anchor component={Link} to={`/events/${oldest.event}`} size="sm">
                      An event
                    </Anchor>{" "}
                    of <Moment at={oldest.received_at} style="ago" />
                  </Text>
                )}
              </Table.Td>
              <Table.Td>
                <LastChange change={last} />
              </Table.Td>
            </Table.Tr>
          ))}
        </Table.Tbody>
      </Table>
    </Table.ScrollContainer>
  )
}

function LastChange({ change }: { readonly change: Diagnosis["last_change"] }) {
  if (change === null) {
    return (
      <Text size="sm" c="dimmed">
        None today
      </Text>
    )
  }
  const { at, kind, by, touches } = change
  const done = kind.replace("integration.", "").replaceAll("_", " ")
  return (
    <Text size="sm" className="wrap-anywhere">
      {touches.length === 0 || touches.includes("switch") ? done : touches.join(", ")} <Moment at={at} style="ago" />
      {by.name !== null && ` by ${by.name}`}
    </Text>
  )
}

function NoIntegrations() {
  const { data } = useQuery({
    queryKey: ["events", "any"],
    queryFn: () => given(waybill.GET("/v1/events", { params: { query: { limit: 1 } } })),
  })
  return (
    <Empty title="No integrations yet">
      {data !== undefined && data.data.length > 0
        ? "Events arrive, and go nowhere. "
        : "No events have come yet either. "}
      <Anchor component={Link} to="/integrations/new">
        Set up an integration
      </Anchor>{" "}
      to have events delivered.
    </Empty>
  )
}

function count(n: number, word: string): string {
  return `${n} ${word}${n === 1 ? "" : "s"}`
}
