/** One event: what came in, its journey, and what became of it at each integration. */
import { Accordion, Alert, Grid, Group, SimpleGrid, Stack, Text, Timeline, Title } from "@mantine/core"
import { IconArrowsSplit2, IconClock, IconInbox } from "@tabler/icons-react"
import { useQuery } from "@tanstack/react-query"
import { useNavigate, useParams, useSearch } from "@tanstack/react-router"
import { type ReactNode, useState } from "react"
import { useKnownNames } from "../parts/actors.tsx"
import { outcomeWord } from "../parts/attempt.tsx"
import { Payload, visible } from "../parts/code.tsx"
import { Copied, CopyText } from "../parts/copied.tsx"
import { curlOf } from "../parts/curl.ts"
import { DeliveryDetail, refreshMs } from "../parts/delivery.tsx"
import { eventQuery, type FullEvent } from "../parts/event-query.ts"
import { LinkTo } from "../parts/link.tsx"
import { lasting, Moment } from "../parts/moment.tsx"
import { Answered, Empty, Page } from "../parts/page.tsx"
import { IdLink } from "../parts/place.tsx"
import { ReasonText } from "../parts/reason.tsx"
import { ReplayMenu } from "../parts/replay.tsx"
import { ColourBadge, StatusBadge } from "../parts/status.tsx"
import { portal } from "../portal.ts"
import { iconsOfColours, textColours } from "../status.ts"

export function EventPage() {
  const { id } = useParams({ from: "/signed-in/events/$id" })
  const query = useQuery({
    ...eventQuery(id),
    refetchInterval: ({ state }) => refreshMs(state.data?.deliveries.map(({ status }) => status) ?? []),
  })
  const event = query.data
  return (
    <Page
      title={event?.type ?? "Event"}
      lead={
        <Group gap="xs">
          <Copied text={id} />
          {event !== undefined && (
            <span aria-live="polite">
              <StatusBadge status={event.status} />
            </span>
          )}
        </Group>
      }
      actions={
        event !== undefined &&
        portal === null && (
          <>
            <EventCurl event={event} />
            <ReplayMenu event={event} />
          </>
        )
      }
    >
      <Answered query={query}>
        {found => (
          <Stack gap="xl">
            <Facts event={found} />
            <Grid gap="xl">
              <Grid.Col span={{ base: 12, lg: 8 }}>
                <Stack gap="xl">
                  <Section title="At each integration">
                    <Deliveries event={found} />
                  </Section>
                  <Section title="What came in">
                    <CameIn event={found} />
                  </Section>
                </Stack>
              </Grid.Col>
              <Grid.Col span={{ base: 12, lg: 4 }}>
                <Section title="Journey">
                  <Journey event={found} />
                </Section>
              </Grid.Col>
            </Grid>
          </Stack>
        )}
      </Answered>
    </Page>
  )
}

function Section({ title, children }: { readonly title: string; readonly children: ReactNode }) {
  return (
    <Stack gap="sm" component="section" aria-label={title}>
      <Title order={2} size="h4">
        {title}
      </Title>
      {children}
    </Stack>
  )
}

function Facts({ event }: { readonly event: FullEvent }) {
  const { all } = useKnownNames()
  const facts: readonly (readonly [label: string, value: ReactNode])[] = [
    ["Received", <Moment key="r" at={event.received_at} style="full" />],
    ["Happened", <Moment key="o" at={event.occurred_at} style="full" />],
    ["Environment", event.environment === "sandbox" ? "Sandbox" : "Production"],
    ["App", event.app],
    ["Source", event.source === "api" ? "API" : event.source],
    ["Profile", portal === null ? profileLink(event.profile_id) : filterLink("profile_id", event.profile_id)],
    ["Device", filterLink("device_id", event.device_id)],
    ["Source record", filterLink("source_record", event.source_record)],
    ["Own id", event.external_id === null ? null : <Copied key="x" text={event.external_id} />],
    ["Ordering key", event.ordering_key],
    [
      "API key",
      portal === null && event.key !== null ? (
        <IdLink key="k" id={event.key} name={all.get(event.key) ?? event.key} />
      ) : null,
    ],
  ]
  const kind = event.test
    ? "A test: it was made to try an integration out, and is counted nowhere."
    : event.historical
      ? "Imported history: it was delivered nowhere."
      : undefined
  return (
    <Stack gap="sm">
      {kind !== undefined && <Alert variant="light">{kind}</Alert>}
      <SimpleGrid component="dl" cols={{ base: 2, sm: 3, lg: 6 }} spacing="md" verticalSpacing="sm" m={0}>
        {facts.map(([label, value]) =>
          value === null || value === undefined ? null : (
            <div key={label}>
              <Text component="dt" size="xs" c="dimmed">
                {label}
              </Text>
              <Text component="dd" size="sm" m={0} className="wrap-anywhere">
                {value}
              </Text>
            </div>
          ),
        )}
      </SimpleGrid>
    </Stack>
  )
}

/** Leads to the page of the profile. */
function profileLink(id: string | null): ReactNode {
  if (id === null) return null
  return (
    <LinkTo to="/profiles/$id" params={{ id }} size="sm">
      {visible(id)}
    </LinkTo>
  )
}

/** Leads to all events of the same value. */
function filterLink(name: string, value: string | null): ReactNode {
  if (value === null) return null
  return (
    <LinkTo to="/events" search={{ [name]: value }} size="sm">
      {value}
    </LinkTo>
  )
}

function Deliveries({ event }: { readonly event: FullEvent }) {
  const { delivery: asked } = useSearch({ from: "/signed-in/events/$id" })
  const navigate = useNavigate()
  // The first that needs someone is open until somebody chooses, and stays so when it is mended: one is reading it.
  const [chosen, setChosen] = useState<string | null>()
  const [opened, setOpened] = useState<string>()
  const needs =
    event.deliveries.find(({ reason }) => reason?.colour === "red") ??
    event.deliveries.find(({ status }) => status === "retrying") ??
    event.deliveries.find(({ status }) => status === "skipped") ??
    (event.deliveries.length === 1 ? event.deliveries[0] : undefined)
  if (opened === undefined && needs !== undefined) setOpened(needs.id)
  const open = chosen === undefined ? (asked ?? opened ?? null) : chosen
  const choose = (id: string | null) => {
    setChosen(id)
    void navigate({ to: ".", search: id === null ? {} : { delivery: id }, replace: true, resetScroll: false })
  }
  const { deliveries, withheld } = event
  if (deliveries.length + withheld.length === 0) {
    return (
      <Empty title="It went nowhere">
        {event.historical
          ? "Imported history is kept, and delivered nowhere."
          : portal !== null
            ? "None of the integrations shown here was there, or wanted it, when it came."
            : "There was no integration when it came. Set one up, then replay it from here."}
      </Empty>
    )
  }
  return (
    <Accordion variant="separated" value={open} onChange={choose} order={3}>
      {deliveries.map(({ id, integration, status, reason, destination_record: record }) => (
        <Accordion.Item key={id} value={id}>
          <Accordion.Control>
            <Group gap="sm">
              <Text fw={600} className="wrap-anywhere">
                {integration.name ?? integration.id}
                {integration.removed && " (removed)"}
              </Text>
              <StatusBadge status={status} />
              {reason !== null && (
                <Text size="sm" c={textColours[reason.colour]}>
                  {reason.title}
                </Text>
              )}
              {record !== null && (
                <Text size="sm" c="dimmed" className="wrap-anywhere">
                  as {record}
                </Text>
              )}
            </Group>
          </Accordion.Control>
          <Accordion.Panel>{open === id && <DeliveryDetail id={id} event={event.id} />}</Accordion.Panel>
        </Accordion.Item>
      ))}
      {withheld.map(({ integration, reason }) => (
        <Accordion.Item key={integration.id} value={integration.id}>
          <Accordion.Control>
            <Group gap="sm">
              <Text fw={600} className="wrap-anywhere">
                {integration.name ?? integration.id}
                {integration.removed && " (removed)"}
              </Text>
              <ColourBadge colour={reason.colour} word="Not sent" />
              <Text size="sm" c={textColours[reason.colour]}>
                {reason.title}
              </Text>
            </Group>
          </Accordion.Control>
          <Accordion.Panel>
            <ReasonText reason={reason} />
          </Accordion.Panel>
        </Accordion.Item>
      ))}
    </Accordion>
  )
}

function CameIn({ event }: { readonly event: FullEvent }) {
  return (
    <Stack gap="sm">
      {event.payload_masked && (
        <Alert variant="light" color="gray">
          Values of private fields read “[private]” here. The integrations got them whole.
        </Alert>
      )}
      <EventPayload event={event} />
      {event.cloud_event !== null && (
        <Stack gap={4}>
          <Text size="sm">It came as a CloudEvent, with these attributes:</Text>
          <Payload
            text={JSON.stringify(event.cloud_event)}
            name={`${event.id}-cloudevent.json`}
            label="Attributes of the CloudEvent"
          />
        </Stack>
      )}
    </Stack>
  )
}

function EventPayload({ event }: { readonly event: FullEvent }) {
  if (event.payload_hidden) {
    return (
      <Text size="sm">
        The payload is hidden: reading it needs the scope <code>payloads:read</code>. Ask an admin of the project for a
        role that has it.
      </Text>
    )
  }
  if (event.payload_expired) {
    return (
      <Text size="sm">
        Payload expired on <Moment at={event.payload_expires_at} style="full" />. What is known of the event and its
        deliveries stays for 30 days; to send it again, the source has to send it anew.
      </Text>
    )
  }
  if (event.payload_encoding === null || event.payloadText === null) return <Text size="sm">It came without data.</Text>
  const isJson = event.payload_encoding === "json"
  const text = isJson ? event.payloadText : String(event.payload)
  return (
    <Stack gap={4}>
      {!isJson && (
        <Text size="sm">
          {event.payload_encoding === "text" ? "Text" : "Bytes, shown as base64"}
          {event.payload_media_type !== null && ` (${event.payload_media_type})`}
        </Text>
      )}
      <Payload text={text} name={`${event.id}.${isJson ? "json" : "txt"}`} label="Payload" />
      <Text size="xs" c="dimmed">
        {event.payload_bytes.toLocaleString()} bytes, kept until <Moment at={event.payload_expires_at} style="full" />
      </Text>
    </Stack>
  )
}

/** A curl line that sends the like again, as a new event: without its own id, which would make it a repeat. */
function EventCurl({ event }: { readonly event: FullEvent }) {
  if (event.payload_hidden || event.payload_expired || event.payload_encoding !== "json") return null
  const members = Object.entries({
    type: event.type,
    app: event.app,
    environment: event.environment,
    profile_id: event.profile_id,
    device_id: event.device_id,
    source_record: event.source_record,
    ordering_key: event.ordering_key,
  }).flatMap(([name, value]) => (value === null ? [] : [`${JSON.stringify(name)}:${JSON.stringify(value)}`]))
  const text = curlOf({
    url: `${window.location.origin}/v1/events`,
    headers: [{ name: "Content-Type", value: "application/json" }],
    body: `{${[...members, `"data":${event.payloadText}`].join(",")}}`,
  }).replace(" \\\n", ' \\\n  -H "Authorization: Bearer $WAYBILL_API_KEY" \\\n')
  return <CopyText text={text} label="Copy as curl" />
}

interface Step {
  readonly key: string
  readonly at: string
  readonly title: ReactNode
  readonly text: ReactNode
  readonly icon: ReactNode
  readonly colour: string
  readonly isPlanned?: true
}

/** So many steps of a journey are shown. */
const MOST_STEPS = 60

function Journey({ event }: { readonly event: FullEvent }) {
  const steps = stepsOf(event)
  const shown = steps.length > MOST_STEPS ? [...steps.slice(0, 2), ...steps.slice(2 - MOST_STEPS)] : steps
  const received = Date.parse(event.received_at)
  return (
    <>
      <Timeline
        bulletSize={24}
        lineWidth={2}
        active={shown.filter(({ isPlanned }) => isPlanned === undefined).length - 1}
      >
        {shown.map(({ key, at, title, text, icon, colour, isPlanned }) => (
          <Timeline.Item
            key={key}
            bullet={icon}
            color={colour}
            lineVariant={isPlanned === undefined ? "solid" : "dashed"}
            title={
              <Text size="sm" fw={600} className="wrap-anywhere">
                {title}
              </Text>
            }
          >
            <Text size="sm" component="div" className="wrap-anywhere">
              {text}
            </Text>
            <Text size="xs" c="dimmed" component="div">
              <Moment at={at} />
              {Date.parse(at) > received &&
                isPlanned === undefined &&
                `, ${lasting(Date.parse(at) - received)} after it came`}
            </Text>
          </Timeline.Item>
        ))}
      </Timeline>
      {shown.length < steps.length && (
        <Text size="sm" c="dimmed">
          {steps.length - shown.length} steps in between are left out here.
        </Text>
      )}
    </>
  )
}

const bullet = 14

function stepsOf(event: FullEvent): Step[] {
  const { deliveries, withheld } = event
  const plain = "var(--mantine-primary-color-filled)"
  const first: Step[] = [
    {
      key: "received",
      at: event.received_at,
      title: "Received",
      text: `${event.payload_bytes.toLocaleString()} bytes${event.source === "api" ? " over the API" : ` from ${event.source}`}, stored before it was answered`,
      icon: <IconInbox size={bullet} />,
      colour: plain,
    },
    {
      key: "routed",
      at: event.received_at,
      title: "Processing",
      text: `For ${count(deliveries.length, "integration")}${withheld.length > 0 ? `; not sent to ${withheld.length} by rule` : ""}`,
      icon: <IconArrowsSplit2 size={bullet} />,
      colour: plain,
    },
  ]
  const tries = deliveries.flatMap(({ integration, attempts }) =>
    attempts.map((attempt): Step => {
      const isSuccess = attempt.outcome === "success"
      const colour = isSuccess ? "green" : (attempt.reason?.colour ?? "amber")
      const Icon = iconsOfColours[colour]
      const name = integration.name ?? integration.id
      return {
        key: attempt.id,
        at: attempt.started_at,
        title: isSuccess ? `Delivered to ${name}` : `${name}: attempt ${attempt.number}`,
        text: `${outcomeWord(attempt)}${attempt.reason === null ? "" : `: ${attempt.reason.title}`}${attempt.timings === null ? "" : `, ${lasting(attempt.timings.total_ms)}`}`,
        icon: <Icon size={bullet} />,
        colour: bulletColours[colour],
      }
    }),
  )
  const planned = deliveries.flatMap(({ id, integration, next_attempt_at: at }): Step[] =>
    at === null
      ? []
      : [
          {
            key: `next-${id}`,
            at,
            title: `${integration.name ?? integration.id}: next attempt`,
            text: "By itself; nobody has to do anything",
            icon: <IconClock size={bullet} />,
            colour: "gray",
            isPlanned: true,
          },
        ],
  )
  return [...first, ...tries.toSorted(byTime), ...planned.toSorted(byTime)]
}

/** Behind a white shape, at least 3 to 1. */
const bulletColours = { green: "teal.8", amber: "orange.8", red: "red.8", plain: "blue.7", grey: "gray.7" } as const

function byTime(a: Step, b: Step): number {
  return Date.parse(a.at) - Date.parse(b.at)
}

function count(n: number, word: string): string {
  return `${n} ${word}${n === 1 ? "" : "s"}`
}
