/** The three steps to a first delivered event; each turns green as it happens, and all go away once they are done. */
import { Alert, Anchor, Button, Card, Code, Group, Stack, Text, ThemeIcon, Title } from "@mantine/core"
import { IconCheck } from "@tabler/icons-react"
import { useMutation, useQuery } from "@tanstack/react-query"
import { Link } from "@tanstack/react-router"
import { type ReactNode, useEffect, useState } from "react"
import { follow, given } from "waybill-sdk"
import { useMay } from "../parts/access.tsx"
import { CodeBlock } from "../parts/code.tsx"
import { CopyText } from "../parts/copied.tsx"
import { Once } from "../parts/once.tsx"
import { Trouble } from "../parts/page.tsx"
import { IdLink } from "../parts/place.tsx"
import { queries, waybill } from "../waybill.ts"

/** Should the stream be shut somewhere on the way. */
const REFRESH_MS = 5_000

/** How far the project is. Undefined until it is known. */
export function useFirstSteps() {
  const may = useMay()
  const { data } = useQuery({
    queryKey: ["first-steps"],
    queryFn: async () => {
      const [events, integrations, delivered, keys] = await Promise.all([
        given(waybill.GET("/v1/events", { params: { query: { limit: 1 } } })),
        given(waybill.GET("/v1/integrations", { params: { query: { limit: 1 } } })),
        given(waybill.GET("/v1/deliveries", { params: { query: { limit: 1, status: "delivered" } } })),
        may("admin") ? given(waybill.GET("/v1/api-keys", { params: { query: { limit: 100 } } })) : null,
      ])
      return {
        event: events.data[0],
        integration: integrations.data[0],
        delivered: delivered.data[0],
        hasUsedKey: keys?.data.some(({ last_event_at: sent }) => sent !== null) ?? false,
      }
    },
    enabled: may("events:read") && may("integrations:read"),
    refetchInterval: ({ state }) => (state.data?.delivered === undefined ? REFRESH_MS : false),
    // Done is done: it is not asked again on each visit.
    staleTime: ({ state }) => (state.data?.delivered === undefined ? 0 : Number.POSITIVE_INFINITY),
  })
  return data
}

type Steps = NonNullable<ReturnType<typeof useFirstSteps>>

export function FirstRun({ steps }: { readonly steps: Steps }) {
  const may = useMay()
  const make = useMutation({
    mutationFn: () => given(waybill.POST("/v1/api-keys", { body: { name: "First events", scopes: ["ingest"] } })),
    onSuccess: () => queries.invalidateQueries({ queryKey: ["api-keys"] }),
  })
  const inbox = useMutation({
    mutationFn: () =>
      given(waybill.POST("/v1/integrations", { body: { name: "First inbox", connector: "inbox", config: {} } })),
    onSuccess: () =>
      Promise.all(
        ["first-steps", "integrations", "diagnosis"].map(key => queries.invalidateQueries({ queryKey: [key] })),
      ),
  })
  useNews()
  const key = make.data?.key
  const curl = curlOf(key)
  const { event, integration, delivered } = steps
  return (
    <Stack maw={860} component="section" aria-label="First steps">
      <Stack gap={2}>
        <Title order={2} size="h4">
          Three steps to a first delivered event
        </Title>
        <Text size="sm" c="dimmed">
          Each turns green by itself as soon as it has happened.
        </Text>
      </Stack>
      <Step number={1} isDone={integration !== undefined} title="Say where events go">
        {integration === undefined ? (
          <>
            <Text size="sm">
              An integration delivers events to an endpoint of yours or of another service. To only look at what would
              be sent, make an inbox: it takes everything and shows it here.
            </Text>
            {may("integrations:write") ? (
              <Group>
                <Button component={Link} to="/integrations/new">
                  Set up an integration
                </Button>
                <Button variant="default" loading={inbox.isPending} onClick={() => inbox.mutate()}>
                  Make an inbox
                </Button>
              </Group>
            ) : (
              <Text size="sm">A developer, admin or owner of the project sets it up.</Text>
            )}
            {inbox.error !== null && <Trouble error={inbox.error} />}
          </>
        ) : (
          <Text size="sm" component="div">
            <IdLink id={integration.id} name={integration.name} /> takes them.
          </Text>
        )}
      </Step>
      <Step number={2} isDone={event !== undefined} title="Make an API key, and send an event with it">
        {event !== undefined && (
          <Text size="sm" component="div">
            The last one is <IdLink id={event.id} name={event.type} />.
          </Text>
        )}
        {key !== undefined && (
          <Once title="The key" text={key} label="Copy the key">
            It sends events and reads nothing.
          </Once>
        )}
        {(event === undefined || delivered === undefined) && (
          <>
            {key === undefined &&
              (may("admin") ? (
                <Group>
                  <Button
                    variant={event === undefined ? "filled" : "default"}
                    loading={make.isPending}
                    onClick={() => make.mutate()}
                  >
                    Make a key that sends events
                  </Button>
                  <Text size="sm" c="dimmed">
                    Or take one that you have: it belongs in place of <Code>wb_…</Code>
                  </Text>
                </Group>
              ) : (
                <Text size="sm">
                  An owner or admin makes it. It belongs in place of <Code>wb_…</Code>
                </Text>
              ))}
            {make.error !== null && <Trouble error={make.error} />}
            <Group justify="space-between">
              <Text size="sm" fw={600}>
                In a terminal
              </Text>
              <CopyText text={curl} label="Copy the line" />
            </Group>
            <CodeBlock text={curl} label="The line that sends an event" />
          </>
        )}
      </Step>
      <Step number={3} isDone={delivered !== undefined} title="See it delivered">
        {delivered !== undefined ? (
          <Text size="sm" component="div">
            <IdLink id={delivered.event.id} name={delivered.event.type} /> arrived at{" "}
            {delivered.integration.name ?? delivered.integration.id}. This Waybill works.
          </Text>
        ) : event !== undefined && integration === undefined ? (
          <Text size="sm">
            The event goes nowhere: there is no integration yet. Send another one after the first step.
          </Text>
        ) : event !== undefined ? (
          <Text size="sm">
            Nothing has arrived yet. Events that came before the integration do not go to it by themselves: send one
            more.{" "}
            <Anchor component={Link} to={`/events/${event.id}`} size="sm">
              See why the last one has not arrived
            </Anchor>
            .
          </Text>
        ) : (
          <Text size="sm">
            It goes out within a second of being sent, and stands under Events with all of its attempts.
          </Text>
        )}
      </Step>
      {delivered !== undefined && (
        <Alert color="waybill" title="All three are done">
          From here on this page says how each integration is.
        </Alert>
      )}
    </Stack>
  )
}

function curlOf(key = "wb_…"): string {
  return `curl -sS ${window.location.origin}/v1/events \\
  -H "Authorization: Bearer ${key}" \\
  --json '{"type":"order.paid","profile_id":"cus_1","data":{"amount":12.5}}'`
}

function Step({
  number,
  isDone,
  title,
  children,
}: {
  readonly number: number
  readonly isDone: boolean
  readonly title: string
  readonly children: ReactNode
}) {
  return (
    <Card withBorder>
      <Group align="flex-start" wrap="nowrap" gap="md">
        <ThemeIcon radius="xl" size={30} color={isDone ? "waybill.8" : "gray"} variant={isDone ? "filled" : "light"}>
          {isDone ? <IconCheck size={18} aria-hidden /> : <Text fw={650}>{number}</Text>}
        </ThemeIcon>
        <Stack gap="sm" className="grow">
          <Group gap="xs">
            <Title order={3} size="h5">
              {title}
            </Title>
            <Text size="sm" c={isDone ? "light-dark(#0b6b43, #6fd3a4)" : "dimmed"} role="status">
              {isDone ? "Done" : "Not yet"}
            </Text>
          </Group>
          {children}
        </Stack>
      </Group>
    </Card>
  )
}

/** Looks again as soon as something happens in the project. */
function useNews(): void {
  const [isShut, setShut] = useState(false)
  useEffect(() => {
    if (isShut) return
    const leaving = new AbortController()
    const listen = async () => {
      try {
        for await (const _ of follow({ signal: leaving.signal })) {
          await queries.invalidateQueries({ queryKey: ["first-steps"] })
        }
      } catch {
        // Refused for good: the page asks every few seconds all the same.
        setShut(true)
      }
    }
    void listen()
    return () => leaving.abort()
  }, [isShut])
}
