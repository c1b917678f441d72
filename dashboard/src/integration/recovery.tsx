/** Sending again what did not arrive: first counted, then sent, watched, paused and canceled. */
import {
  Button,
  Card,
  Fieldset,
  Group,
  MultiSelect,
  NumberInput,
  Progress,
  Select,
  SimpleGrid,
  Stack,
  Table,
  Text,
  Title,
} from "@mantine/core"
import { DateTimePicker } from "@mantine/dates"
import { useMutation, useQuery } from "@tanstack/react-query"
import { useState } from "react"
import { given } from "waybill-sdk"
import { useMay } from "../parts/access.tsx"
import { Confirm } from "../parts/confirm.tsx"
import { Moment } from "../parts/moment.tsx"
import { Answered, Trouble } from "../parts/page.tsx"
import { IdLink } from "../parts/place.tsx"
import { Reason } from "../parts/reason.tsx"
import { useFilters } from "../parts/search.ts"
import { ColourBadge } from "../parts/status.tsx"
import { type Answer, queries, waybill } from "../waybill.ts"
import { faultsOf, noFaults, renew, type Tagged, useFocusOnFault } from "./data.ts"

type Plan = Extract<Answer<"/v1/recoveries", "post">, { dry_run: true }>
type Recovery = Answer<"/v1/recoveries">["data"][number]

const statuses = [
  { value: "failed", label: "Failed" },
  { value: "skipped", label: "Failed while the endpoint rested" },
  { value: "withheld", label: "Not sent by rule" },
  { value: "missing", label: "Never had it (made later, or off)" },
  { value: "delivered", label: "Delivered (again)" },
] as const

const DAY_MS = 86_400_000

export function IntegrationRecovery({ integration }: Tagged) {
  const { id, enabled, name } = integration
  const { search, set } = useFilters()
  const { reason } = search
  const [from, setFrom] = useState<string | null>(() => textOf(Date.now() - (reason === undefined ? 1 : 30) * DAY_MS))
  const [to, setTo] = useState<string | null>(null)
  const [chosen, setChosen] = useState<string[]>(reason === undefined ? ["failed", "withheld"] : ["failed"])
  const [environment, setEnvironment] = useState<string | null>(null)
  const [configuration, setConfiguration] = useState<string | null>("current")
  const [rate, setRate] = useState<number | string>("")
  const ask = (dry_run: boolean) =>
    given(
      waybill.POST("/v1/recoveries", {
        body: {
          integrations: id,
          from: new Date(from ?? Date.now() - DAY_MS).toISOString(),
          ...(to !== null && { to: new Date(to).toISOString() }),
          statuses: chosen,
          ...(reason !== undefined && { reasons: [reason] }),
          ...(environment !== null && { environment }),
          ...(typeof rate === "number" && { max_per_second: rate }),
          configuration: configuration ?? "current",
          dry_run,
        } as never,
      }),
    )
  const count = useMutation({ mutationFn: async () => (await ask(true)) as Plan })
  const start = useMutation({
    mutationFn: () => ask(false),
    onSuccess: async () => {
      count.reset()
      await renewRecoveries(id)
    },
  })
  const error = start.error ?? count.error
  useFocusOnFault(error)
  const faults = error === null ? noFaults : faultsOf(error)
  const fault = (field: string) => [...faults].find(([pointer]) => pointer.startsWith(`/${field}`))?.[1]
  const touch = () => count.reset()
  return (
    <Stack gap="xl">
      <Stack gap="sm" maw={860}>
        <Title order={2} size="h4">
          Send again what did not arrive
        </Title>
        {!enabled && (
          <Text size="sm">
            It is switched off. Switch it on first (Actions, above); then what ended while it was off can be recovered.
          </Text>
        )}
        <Fieldset legend="Which">
          <Stack>
            <SimpleGrid cols={{ base: 1, sm: 2 }}>
              <DateTimePicker
                label="Received from"
                value={from}
                onChange={value => {
                  setFrom(value)
                  touch()
                }}
                error={fault("from")}
                required
              />
              <DateTimePicker
                label="To"
                description="Empty: now."
                inputWrapperOrder={["label", "input", "description", "error"]}
                clearable
                value={to}
                onChange={value => {
                  setTo(value)
                  touch()
                }}
                error={fault("to")}
              />
            </SimpleGrid>
            <MultiSelect
              label="That are"
              data={[...statuses]}
              value={chosen}
              onChange={value => {
                setChosen(value)
                touch()
              }}
              error={fault("statuses")}
            />
            {reason !== undefined && (
              <Group gap="xs">
                <Text size="sm">
                  Only for the reason <b>{reason.replaceAll("_", " ")}</b>.
                </Text>
                <Button size="compact-xs" variant="default" onClick={() => set({ reason: undefined })}>
                  For any reason
                </Button>
              </Group>
            )}
            <SimpleGrid cols={{ base: 1, sm: 3 }}>
              <Select
                label="Environment"
                placeholder="Both"
                clearable
                data={["production", "sandbox"]}
                value={environment}
                onChange={value => {
                  setEnvironment(value)
                  touch()
                }}
              />
              <Select
                label="Sent"
                allowDeselect={false}
                data={[
                  { value: "current", label: "By today's settings" },
                  { value: "original", label: "As it was then" },
                ]}
                value={configuration}
                onChange={setConfiguration}
              />
              <NumberInput
                label="A second at most"
                placeholder="Its own rate"
                value={rate}
                onChange={setRate}
                min={0.1}
                error={fault("max_per_second")}
              />
            </SimpleGrid>
          </Stack>
        </Fieldset>
        {error !== null && <Trouble error={error} />}
        <Group>
          <Button variant="default" loading={count.isPending} onClick={() => count.mutate()} disabled={!enabled}>
            Count what would be sent
          </Button>
          <Button
            loading={start.isPending}
            onClick={() => start.mutate()}
            disabled={count.data === undefined || count.data.count === 0}
          >
            {count.data === undefined ? "Send them" : `Send ${count.data.count.toLocaleString()} again`}
          </Button>
          {count.data === undefined && (
            <Text size="sm" c="dimmed">
              Count first: nothing is sent by that.
            </Text>
          )}
        </Group>
        {count.data !== undefined && <Planned plan={count.data} name={name} />}
      </Stack>
      <Recoveries id={id} />
    </Stack>
  )
}

/** In the form of the date picker, in the reader's zone. */
function textOf(ms: number): string {
  const local = new Date(ms - new Date(ms).getTimezoneOffset() * 60_000)
  return local.toISOString().slice(0, 19).replace("T", " ")
}

function Planned({ plan, name }: { readonly plan: Plan; readonly name: string }) {
  const left = [
    [plan.withheld, "not sent, as today's rules do not let them go either"],
    [plan.expired, "not sent, as their payload is no longer kept"],
    [plan.other_apps, "not sent, as they are of other apps"],
  ] as const
  return (
    <Card withBorder role="status">
      <Stack gap="xs">
        <Text fw={600}>
          {plan.count === 0
            ? `Nothing would be sent to ${name}.`
            : `${plan.count.toLocaleString()} would be sent to ${name}.`}
        </Text>
        <Text size="sm">
          {plan.found.toLocaleString()} fit what was asked for.
          {left.map(([number, words]) => (number > 0 ? ` ${number.toLocaleString()}: ${words}.` : ""))}
          {plan.counted_to !== null &&
            ` Counted up to ${new Date(plan.counted_to).toLocaleString()}; the rest is counted while it is sent.`}
        </Text>
        {plan.sample.length > 0 && (
          <Table.ScrollContainer minWidth={520}>
            <Table captionSide="top">
              <Table.Caption>The oldest of them</Table.Caption>
              <Table.Thead>
                <Table.Tr>
                  <Table.Th>Received</Table.Th>
                  <Table.Th>Event</Table.Th>
                  <Table.Th>Now</Table.Th>
                  <Table.Th>Would be</Table.Th>
                </Table.Tr>
              </Table.Thead>
              <Table.Tbody>
                {plan.sample.map(({ event, status, outcome, why }) => (
                  <Table.Tr key={event.id}>
                    <Table.Td>
                      <Moment at={event.received_at} />
                    </Table.Td>
                    <Table.Td>
                      <IdLink id={event.id} name={event.type} />
                    </Table.Td>
                    <Table.Td>{status}</Table.Td>
                    <Table.Td>
                      {outcome === "send" ? (
                        "sent"
                      ) : why === null ? (
                        outcome.replaceAll("_", " ")
                      ) : (
                        <Reason reason={why} />
                      )}
                    </Table.Td>
                  </Table.Tr>
                ))}
              </Table.Tbody>
            </Table>
          </Table.ScrollContainer>
        )}
      </Stack>
    </Card>
  )
}

const stateLooks = {
  running: ["plain", "Running"],
  paused: ["amber", "Paused"],
  done: ["green", "Done"],
  canceled: ["grey", "Canceled"],
} as const

async function renewRecoveries(id: string): Promise<void> {
  await queries.invalidateQueries({ queryKey: ["recoveries"] })
  await renew(id)
}

/** Those of this integration, the newest first. */
function Recoveries({ id }: { readonly id: string }) {
  const query = useQuery({
    queryKey: ["recoveries", "last"],
    queryFn: () => given(waybill.GET("/v1/recoveries", { params: { query: { limit: 100 } } })),
    refetchInterval: ({ state }) => (state.data?.data.some(each => each.state === "running") === true ? 1_500 : 15_000),
  })
  return (
    <Stack gap="sm">
      <Title order={2} size="h4">
        Recoveries so far
      </Title>
      <Answered query={query}>
        {({ data }) => {
          const own = data.filter(({ integrations }) => integrations.some(each => each.id === id))
          if (own.length === 0) {
            return (
              <Text size="sm" c="dimmed">
                None in the last 30 days.
              </Text>
            )
          }
          return own.map(recovery => <Running key={recovery.id} recovery={recovery} id={id} />)
        }}
      </Answered>
    </Stack>
  )
}

function Running({ recovery, id }: { readonly recovery: Recovery; readonly id: string }) {
  const may = useMay()
  const { state, progress, from, to, created_at } = recovery
  const [colour, word] = stateLooks[state]
  const path = { params: { path: { id: recovery.id } } }
  const change = useMutation({
    mutationFn: async (to: "pause" | "resume"): Promise<unknown> =>
      to === "pause"
        ? waybill.POST("/v1/recoveries/{id}/pause", path)
        : waybill.POST("/v1/recoveries/{id}/resume", path),
    onSuccess: () => renewRecoveries(id),
  })
  const isOver = state === "done" || state === "canceled"
  const share = Math.round(progress.share_done * 100)
  const counts = [
    [progress.delivered, "delivered"],
    [progress.waiting + progress.sending, "on their way"],
    [progress.retrying, "being tried again"],
    [progress.failed, "failed again"],
    [progress.withheld, "not sent by rule"],
    [progress.expired, "no longer kept"],
  ] as const
  return (
    <Card withBorder>
      <Stack gap="xs">
        <Group justify="space-between" gap="xs">
          <Group gap="xs">
            <ColourBadge colour={colour} word={word} />
            <Text size="sm">
              Events of <Moment at={from} style="full" /> to <Moment at={to} style="full" />, begun{" "}
              <Moment at={created_at} style="ago" />
            </Text>
          </Group>
          {!isOver && may("replay") && (
            <Group gap="xs">
              <Button
                size="xs"
                variant="default"
                loading={change.isPending}
                onClick={() => change.mutate(state === "paused" ? "resume" : "pause")}
              >
                {state === "paused" ? "Go on" : "Pause"}
              </Button>
              <Confirm
                size="xs"
                label="Cancel"
                title="Cancel this recovery?"
                action="Cancel it"
                run={async () => {
                  await waybill.POST("/v1/recoveries/{id}/cancel", path)
                  await renewRecoveries(id)
                }}
              >
                What is queued and not sent yet is as it was before. What has been sent stays sent.
              </Confirm>
            </Group>
          )}
        </Group>
        {change.error !== null && <Trouble error={change.error} />}
        <Progress
          value={isOver && state === "done" ? 100 : share}
          aria-label={`${share} % looked at`}
          striped={state === "running"}
        />
        <Text size="sm">
          {progress.found.toLocaleString()} found
          {counts.map(([number, words]) => (number > 0 ? `, ${number.toLocaleString()} ${words}` : ""))}.
          {progress.estimated_end_at !== null && (
            <>
              {" "}
              All looked at <Moment at={progress.estimated_end_at} style="ago" />.
            </>
          )}
        </Text>
        {progress.reasons.length > 0 && (
          <Text size="sm" c="dimmed">
            {progress.reasons.map(({ title, count: number }) => `${title}: ${number}`).join("; ")}
          </Text>
        )}
      </Stack>
    </Card>
  )
}
