/** The event feed: what comes in as it comes, the last 30 days behind it, and what became of each event at every integration. */
import { Button, Collapse, Group, SimpleGrid, Stack, Text, VisuallyHidden } from "@mantine/core"
import { useDisclosure, useThrottledValue } from "@mantine/hooks"
import { IconArrowUp, IconFilter, IconPlayerPause, IconPlayerPlay, IconRefresh } from "@tabler/icons-react"
import { useInfiniteQuery, useQuery } from "@tanstack/react-query"
import { type ReactNode, useCallback, useEffect, useMemo, useRef, useState, useSyncExternalStore } from "react"
import { flushSync } from "react-dom"
import { given } from "waybill-sdk"
import { EventTable } from "../parts/event-table.tsx"
import { Feed, type FeedEvent, type FeedState, type FilteredBy } from "../parts/feed.ts"
import {
  ActiveFilters,
  FilterSelect,
  FilterSuggest,
  FilterText,
  FilterTimes,
  SavedViews,
  useIntegrations,
  useNames,
  useReasons,
} from "../parts/filters.tsx"
import { FindById } from "../parts/find-by-id.tsx"
import { More } from "../parts/more.tsx"
import { NoEvents, NothingFits } from "../parts/no-events.tsx"
import { Answered, Empty, Lines, Page } from "../parts/page.tsx"
import { reasonsQuery } from "../parts/reasons-query.ts"
import { type Filters, useFilters } from "../parts/search.ts"
import { Badge } from "../parts/status.tsx"
import { portal } from "../portal.ts"
import type { Search } from "../router.tsx"
import { lookOf } from "../status.ts"
import { type Answer, waybill } from "../waybill.ts"

/** An event of which something can still change is read again so often, as long as anything comes. */
const REFRESH_MS = 3_000
const PAGE = 50

const labels = {
  from: "From",
  to: "Before",
  status: "Status",
  type: "Type",
  integration: "Integration",
  reason: "Reason",
  app: "App",
  environment: "Environment",
  profile_id: "Profile",
  device_id: "Device",
  source_record: "Source record",
  destination_record: "Destination record",
  external_id: "Own id",
} as const

const statuses = ["received", "processing", "delivered", "retrying", "failed"].map(value => ({
  value,
  label: lookOf(value).word,
}))
const environments = [
  { value: "production", label: "Production" },
  { value: "sandbox", label: "Sandbox" },
]
const views: readonly { readonly name: string; readonly search: Search }[] = [
  { name: "All events", search: {} },
  { name: "Needs someone", search: { status: "failed" } },
  { name: "Still being tried", search: { status: "retrying" } },
  { name: "Sandbox", search: { environment: "sandbox" } },
]

/** Filters that the stream knows itself. */
const streamed = ["type", "app", "environment", "profile_id", "device_id", "integration"]

export function Events() {
  const filters = useFilters()
  const search = useMemo(() => knownOf(filters.search), [filters.search])
  // Another search is another feed.
  return (
    <Page title="Events" lead="What came in, newest first, and what became of it at each integration.">
      <Stack gap="sm">
        <FilterBar filters={filters} />
        <FeedOf key={JSON.stringify(search)} search={search} filters={filters} />
      </Stack>
    </Page>
  )
}

/** What the page knows; an address may hold anything. */
function knownOf(search: Search): Search {
  return Object.fromEntries(Object.entries(search).filter(([name]) => name in labels))
}

function FilterBar({ filters }: { readonly filters: Filters }) {
  const { search } = filters
  const [isOpen, { toggle }] = useDisclosure(false)
  const set = Object.keys(search).length
  const integrations = useIntegrations()
  const { types, apps } = useNames()
  const reasons = useReasons()
  const titleOf = (code: string) => reasons.find(each => each.value === code)?.label ?? code
  const nameOf = (id: string) => integrations.find(each => each.id === id)?.name ?? id
  const timeOf = (text: string) => new Date(text).toLocaleString()
  return (
    <Stack gap="sm" component="search">
      <FindById filters={filters}>
        <Button
          variant="default"
          leftSection={<IconFilter size={16} aria-hidden />}
          onClick={toggle}
          aria-expanded={isOpen}
        >
          {set > 0 ? `Filters (${set})` : "Filters"}
        </Button>
        <SavedViews page="events" filters={filters} builtIn={views} />
      </FindById>
      <Collapse expanded={isOpen}>
        <SimpleGrid cols={{ base: 1, xs: 2, md: 3, lg: 6 }} spacing="xs" verticalSpacing="xs">
          <FilterSelect filters={filters} name="status" label={labels.status} data={statuses} />
          <FilterSuggest
            filters={filters}
            name="type"
            label={labels.type}
            data={types}
            placeholder="Any, or a beginning with *"
          />
          <FilterSelect
            filters={filters}
            name="integration"
            label={labels.integration}
            data={integrations.map(({ id, name }) => ({ value: id, label: name }))}
            searchable
          />
          <FilterSelect filters={filters} name="reason" label={labels.reason} data={reasons} searchable />
          <FilterTimes filters={filters} />
          <FilterSelect filters={filters} name="environment" label={labels.environment} data={environments} />
          {portal === null && (
            <FilterSuggest filters={filters} name="app" label={labels.app} data={apps} placeholder="Any" />
          )}
          <FilterText filters={filters} name="profile_id" label={labels.profile_id} placeholder="Any" />
          <FilterText filters={filters} name="device_id" label={labels.device_id} placeholder="Any" />
          <FilterText filters={filters} name="source_record" label={labels.source_record} placeholder="Any" />
          <FilterText filters={filters} name="destination_record" label={labels.destination_record} placeholder="Any" />
          <FilterText filters={filters} name="external_id" label={labels.external_id} placeholder="Any" />
        </SimpleGrid>
      </Collapse>
      <ActiveFilters
        filters={filters}
        labels={labels}
        shown={{ integration: nameOf, from: timeOf, to: timeOf, status: value => lookOf(value).word, reason: titleOf }}
      />
    </Stack>
  )
}

function feedEventOf(event: Answer<"/v1/events">["data"][number]): FeedEvent {
  return { ...event, outcomes: event.outcomes ?? [], outcomes_left_out: event.outcomes_left_out ?? 0 }
}

function FeedOf({ search, filters }: { readonly search: Search; readonly filters: Filters }) {
  const query = useInfiniteQuery({
    queryKey: ["events", "feed", search],
    queryFn: ({ pageParam }) =>
      given(
        waybill.GET("/v1/events", {
          params: { query: { ...search, outcomes: true, limit: PAGE, ...(pageParam && { cursor: pageParam }) } },
        }),
      ),
    initialPageParam: "",
    getNextPageParam: last => last.next_cursor,
    // The stream brings what changes.
    refetchOnWindowFocus: false,
  })
  const older = useMemo(() => query.data?.pages.flatMap(({ data }) => data.map(feedEventOf)) ?? [], [query.data])
  const live = useLiveFeed(search, older, query.refetch)
  return (
    <Answered query={query} loading={<Lines count={12} height={34} />}>
      {({ pages }) => (
        <Shown
          live={live}
          older={older}
          search={search}
          isFiltered={Object.keys(filters.search).length > 0}
          more={
            <More
              query={query}
              what="events"
              searchedBackTo={pages.at(-1)?.searched_back_to}
              hasFound={older.length > 0}
            />
          }
          hasMore={query.hasNextPage}
          clear={() => filters.replace({})}
        />
      )}
    </Answered>
  )
}

interface Live {
  readonly feed: Feed
  readonly state: FeedState
  /** Why nothing comes by itself; undefined where it does. */
  readonly off: string | undefined
  /** Reads the list anew. */
  readonly restart: () => void
}

function useLiveFeed(search: Search, older: readonly FeedEvent[], refetch: () => unknown): Live {
  const [feed] = useState(() => new Feed())
  const state = useSyncExternalStore(feed.subscribe, feed.state)
  const integrations = useIntegrations()
  const reasons = useQuery(reasonsQuery)
  const off =
    search["to"] !== undefined
      ? "The search ends in the past, so nothing new can come."
      : search["destination_record"] !== undefined
        ? "A destination record is known only once an event has arrived: search again to see new ones."
        : search["reason"] !== undefined
          ? "A reason is known only once an event has been tried: search again to see new ones."
          : undefined
  const byId = useMemo(() => new Map(older.map(event => [event.id, event])), [older])
  const names = useMemo(() => new Map(integrations.map(({ id, name }) => [id, name])), [integrations])
  useEffect(
    () =>
      feed.know({
        find: id => byId.get(id),
        nameOf: id => names.get(id) ?? null,
        colourOf: code => reasons.data?.data.find(each => each.code === code)?.colour_failed,
        fits: event => fits(event, search),
      }),
    [feed, byId, names, reasons.data, search],
  )
  const restart = useCallback(() => {
    feed.restart()
    void refetch()
  }, [feed, refetch])
  useEffect(() => {
    if (off !== undefined) return
    const ended = new AbortController()
    const query = Object.fromEntries(Object.entries(search).filter(([name]) => streamed.includes(name)))
    void feed.run(query, ended.signal, restart)
    return () => ended.abort()
  }, [feed, off, search, restart])
  return { feed, state, off, restart }
}

/** Whether what the stream brought fits those filters that the stream does not know. */
function fits(event: FilteredBy, search: Search): boolean {
  const { status, source_record: record, external_id: own, from } = search
  return (
    (status === undefined || event.status === status) &&
    (record === undefined || event.source_record === record) &&
    (own === undefined || event.external_id === own) &&
    (from === undefined || Date.parse(event.received_at) >= Date.parse(from))
  )
}

function Shown({
  live: { feed, state, off, restart },
  older,
  search,
  isFiltered,
  more,
  hasMore,
  clear,
}: {
  readonly live: Live
  readonly older: readonly FeedEvent[]
  readonly search: Search
  readonly isFiltered: boolean
  readonly more: ReactNode
  /** Not all of the 30 days has been searched. */
  readonly hasMore: boolean
  readonly clear: () => void
}) {
  const frame = useRef<HTMLElement>(null)
  const [isPaused, setPaused] = useState(false)
  const [isReading, setReading] = useState(false)
  const [isAtTop, setAtTop] = useState(true)
  const arrived = useMemo(() => state.arrived.filter(event => fits(event, search)), [state.arrived, search])
  const hold = isPaused ? "all" : isReading || !isAtTop ? "new" : "none"
  useEffect(() => feed.hold(hold), [feed, hold])

  const events = useMemo(() => {
    if (state.hasGap) return arrived
    const known = new Set(arrived.map(({ id }) => id))
    return [...arrived, ...older.filter(({ id }) => !known.has(id)).map(event => state.changed.get(event.id) ?? event)]
  }, [arrived, older, state.changed, state.hasGap])

  useFresh(feed, search, events, frame)

  const showNew = () => {
    // Drawn before it scrolls: the virtual list else keeps its place among the rows that come in above.
    flushSync(() => {
      setPaused(false)
      setReading(false)
      setAtTop(true)
    })
    feed.hold("none")
    frame.current?.scrollTo({ top: 0 })
  }
  const { waiting } = state
  // A hundred times a minute would be no help to who listens.
  const toldWaiting = useThrottledValue(waiting, 5_000)
  return (
    <Stack gap="xs">
      <Group gap="xs" mih={34}>
        <LiveState state={state} off={off} isPaused={isPaused} />
        <VisuallyHidden role="status">{toldWaiting > 0 && `${toldWaiting} new events are held back`}</VisuallyHidden>
        {off !== undefined && search["to"] === undefined && (
          <Button size="xs" variant="default" onClick={restart} leftSection={<IconRefresh size={14} aria-hidden />}>
            Search again
          </Button>
        )}
        {off === undefined && (
          <Button
            size="xs"
            variant="default"
            onClick={() => setPaused(!isPaused)}
            leftSection={
              isPaused ? <IconPlayerPlay size={14} aria-hidden /> : <IconPlayerPause size={14} aria-hidden />
            }
          >
            {isPaused ? "Resume" : "Pause"}
          </Button>
        )}
        {waiting > 0 && (
          <Button size="xs" onClick={showNew} leftSection={<IconArrowUp size={14} aria-hidden />}>
            {waiting.toLocaleString()} new {waiting === 1 ? "event" : "events"}
          </Button>
        )}
      </Group>
      {events.length === 0 ? (
        hasMore ? (
          <Empty title="Nothing so far">Not everything has been searched yet: below stands how far back.</Empty>
        ) : isFiltered ? (
          <NothingFits search={search} clear={clear} />
        ) : (
          <NoEvents />
        )
      ) : (
        <EventTable frame={frame} events={events} onReading={setReading} onTop={setAtTop} />
      )}
      {state.hasGap ? (
        <Group gap="sm">
          <Button variant="default" onClick={restart}>
            Read the list anew
          </Button>
          <Text size="sm" c="dimmed">
            More came than this page keeps. The list has all of them.
          </Text>
        </Group>
      ) : (
        more
      )}
    </Stack>
  )
}

/** What is on the screen is read again while it changes: for the reasons and records that the stream does not carry. */
function useFresh(
  feed: Feed,
  search: Search,
  events: readonly FeedEvent[],
  frame: { readonly current: HTMLElement | null },
): void {
  const shown = useRef(events)
  shown.current = events
  useEffect(() => {
    const timer = setInterval(() => {
      if (document.hidden || !feed.takeChanged()) return
      const first = frame.current?.querySelector<HTMLElement>("[data-event]")?.dataset["event"]
      const at = shown.current.find(({ id }) => id === first)?.received_at
      if (at === undefined) return
      // An event may have moved out of the filter by its status; it stays where it stands.
      const { status: _, to: __, cursor: ___, ...rest } = search
      const to = new Date(Date.parse(at) + 1).toISOString()
      given(waybill.GET("/v1/events", { params: { query: { ...rest, to, outcomes: true, limit: PAGE } } })).then(
        ({ data }) => feed.refresh(data.map(feedEventOf)),
        // It is asked again with the next change; that the connection is gone, the stream says.
        () => undefined,
      )
    }, REFRESH_MS)
    return () => clearInterval(timer)
  }, [feed, search, frame])
}

function LiveState({
  state: { connection, problem },
  off,
  isPaused,
}: {
  readonly state: FeedState
  readonly off: string | undefined
  readonly isPaused: boolean
}) {
  const live = lookOf(connection === "open" ? "delivered" : "retrying")
  return (
    <Group gap="xs" role="status">
      {off !== undefined ? (
        <Text size="sm" c="dimmed">
          {off}
        </Text>
      ) : isPaused ? (
        <Badge look={{ word: "Paused", colour: "plain", icon: IconPlayerPause }} />
      ) : connection === "open" ? (
        <Badge look={{ ...live, word: "Live" }} />
      ) : connection === "connecting" ? (
        <Badge look={{ ...live, word: "Connecting" }} />
      ) : (
        <>
          <Badge look={{ ...live, word: connection === "closed" ? "Not live" : "Connecting again" }} />
          {problem !== null && <Text size="sm">{problem.message}</Text>}
        </>
      )}
    </Group>
  )
}
