/** One delivery in full: why it stands where it stands, what can be done, its attempts and those that are planned. */
import { Accordion, Button, Group, Paper, Stack, Table, Text } from "@mantine/core"
import { IconRefresh } from "@tabler/icons-react"
import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query"
import { useState } from "react"
import { given } from "waybill-sdk"
import { portal } from "../portal.ts"
import { type Answer, waybill } from "../waybill.ts"
import { useMay } from "./access.tsx"
import { AttemptDetail, outcomeWord } from "./attempt.tsx"
import { LinkTo } from "./link.tsx"
import { lasting, Moment } from "./moment.tsx"
import { Answered, Trouble } from "./page.tsx"
import { ReasonText } from "./reason.tsx"
import { ColourBadge } from "./status.tsx"
import { tell } from "./tell.tsx"

type FullDelivery = Answer<"/v1/deliveries/{id}">

/** How soon something that is under way is asked for again; undefined: by itself nothing changes soon. */
export function refreshMs(statuses: readonly string[]): number {
  if (statuses.some(status => status === "pending" || status === "sending")) return 1_000
  if (statuses.some(status => status === "retrying" || status === "skipped")) return 3_000
  return 15_000
}

/** Tries a delivery again now. */
export function useRetry(event: string) {
  const cache = useQueryClient()
  return useMutation({
    mutationFn: (id: string) => given(waybill.POST("/v1/deliveries/{id}/retry", { params: { path: { id } } })),
    onSuccess: delivery => {
      const name = delivery.integration.name ?? "the integration"
      tell("It is tried again now", `With today's settings of ${name}. What comes of it shows up here.`)
    },
    onSettled: async (_, __, id) => {
      await cache.invalidateQueries({ queryKey: ["event", event] })
      await cache.invalidateQueries({ queryKey: ["delivery", id] })
    },
  })
}

export function DeliveryDetail({ id, event }: { readonly id: string; readonly event: string }) {
  const query = useQuery({
    queryKey: ["delivery", id],
    queryFn: () => given(waybill.GET("/v1/deliveries/{id}", { params: { path: { id } } })),
    refetchInterval: ({ state }) => refreshMs(state.data === undefined ? [] : [state.data.status]),
  })
  return (
    <Answered query={query}>
      {delivery => (
        <Stack gap="md">
          {delivery.reason !== null && (
            <Paper withBorder p="sm">
              <ReasonText reason={delivery.reason} />
            </Paper>
          )}
          <Facts delivery={delivery} />
          <Actions delivery={delivery} event={event} />
          <Attempts
            attempts={delivery.attempts}
            of={delivery.attempt_count}
            integration={delivery.integration.removed ? null : delivery.integration.id}
          />
          <RetryPlan plan={delivery.retry_plan} />
        </Stack>
      )}
    </Answered>
  )
}

function Facts({ delivery }: { readonly delivery: FullDelivery }) {
  const { same_failure: same, integration, reason } = delivery
  return (
    <Stack gap={4}>
      {delivery.destination_record !== null && (
        <Text size="sm">
          Destination record: <span className="mono wrap-anywhere">{delivery.destination_record}</span>
        </Text>
      )}
      {delivery.next_attempt_at !== null && (
        <Text size="sm">
          Next attempt: <Moment at={delivery.next_attempt_at} style="full" />
        </Text>
      )}
      {delivery.ordering_key !== null && (
        <Text size="sm" className="wrap-anywhere">
          In the order of the key <span className="mono">{delivery.ordering_key}</span>
          {delivery.waiting_behind !== null && (
            <>
              , behind{" "}
              <LinkTo
                to="/deliveries"
                search={{ integration: integration.id, ordering_key: delivery.ordering_key }}
                size="sm"
              >
                {delivery.waiting_behind}
              </LinkTo>
            </>
          )}
        </Text>
      )}
      {delivery.recovery !== null && (
        <Text size="sm">
          Made due by the recovery{" "}
          <LinkTo to="/deliveries" search={{ recovery: delivery.recovery }} size="sm">
            {delivery.recovery}
          </LinkTo>
        </Text>
      )}
      {same !== null && (
        <Text size="sm">
          <LinkTo
            to="/deliveries"
            search={{ integration: integration.id, ...(reason !== null && { reason: reason.code }) }}
            size="sm"
          >
            {same.count.toLocaleString()} {same.count === 1 ? "other" : "others"} failed the same way
          </LinkTo>{" "}
          since <Moment at={same.since} style="full" />
        </Text>
      )}
    </Stack>
  )
}

function Actions({ delivery, event }: { readonly delivery: FullDelivery; readonly event: string }) {
  const retry = useRetry(event)
  const mayReplay = useMay()("replay")
  const cache = useQueryClient()
  const release = useMutation({
    mutationFn: () => given(waybill.POST("/v1/deliveries/{id}/release", { params: { path: { id: delivery.id } } })),
    onSettled: () => cache.invalidateQueries({ queryKey: ["delivery", delivery.id] }),
  })
  if (!mayReplay && portal !== null) return null
  if (!mayReplay) {
    return (
      <Text size="sm" c="dimmed">
        Your role does not retry deliveries. Ask somebody who may (the scope <code>replay</code>).
      </Text>
    )
  }
  const error = retry.error ?? release.error
  return (
    <Stack gap="xs" align="flex-start">
      <Group gap="xs">
        <Button
          size="xs"
          leftSection={<IconRefresh size={14} aria-hidden />}
          loading={retry.isPending}
          disabled={delivery.status === "sending"}
          onClick={() => retry.mutate(delivery.id)}
        >
          {delivery.status === "delivered" ? "Send again" : "Retry now"}
        </Button>
        {delivery.blocks_key && portal === null && (
          <Button size="xs" variant="default" loading={release.isPending} onClick={() => release.mutate()}>
            Let those behind it go on
          </Button>
        )}
        {delivery.status === "delivered" && (
          <Text size="xs" c="dimmed">
            It arrived once. The receiver knows it again by its <code>webhook-id</code>.
          </Text>
        )}
      </Group>
      {error !== null && <Trouble error={error} />}
    </Stack>
  )
}

function Attempts({
  attempts,
  of,
  integration,
}: {
  readonly attempts: FullDelivery["attempts"]
  readonly of: number
  readonly integration: string | null
}) {
  // The newest is open until somebody chooses.
  const [chosen, setChosen] = useState<string | null>()
  const open = chosen === undefined ? (attempts[0]?.id ?? null) : chosen
  if (attempts.length === 0) return <Text size="sm">No request has been made yet.</Text>
  return (
    <Stack gap={6}>
      <Text fw={650} size="sm">
        {of === 1 ? "1 attempt" : `${of} attempts`}
        {attempts.length < of && `, the newest ${attempts.length} of them`}
      </Text>
      <Accordion variant="contained" value={open} onChange={setChosen} order={4}>
        {attempts.map(attempt => (
          <Accordion.Item key={attempt.id} value={attempt.id}>
            <Accordion.Control>
              <Group gap="sm">
                <Text size="sm" fw={600}>
                  Attempt {attempt.number}
                </Text>
                <ColourBadge
                  colour={attempt.outcome === "success" ? "green" : (attempt.reason?.colour ?? "amber")}
                  word={outcomeWord(attempt)}
                />
                {attempt.reason !== null && <Text size="sm">{attempt.reason.title}</Text>}
                <Text size="sm" c="dimmed">
                  {new Date(attempt.started_at).toLocaleTimeString()}
                  {attempt.timings !== null && `, ${lasting(attempt.timings.total_ms)}`}
                </Text>
              </Group>
            </Accordion.Control>
            <Accordion.Panel>
              {open === attempt.id && <AttemptDetail attempt={attempt} integration={integration} />}
            </Accordion.Panel>
          </Accordion.Item>
        ))}
      </Accordion>
    </Stack>
  )
}

function RetryPlan({ plan }: { readonly plan: FullDelivery["retry_plan"] }) {
  const last = plan.at(-1)
  if (last === undefined) return null
  return (
    <Accordion variant="default" order={4}>
      <Accordion.Item value="plan">
        <Accordion.Control px={0}>
          <Text size="sm">
            As long as it fails, it is tried {plan.length} more {plan.length === 1 ? "time" : "times"} after the next
            one; the last time not before {new Date(last.not_before).toLocaleString()}.
          </Text>
        </Accordion.Control>
        <Accordion.Panel>
          <Table aria-label="The rest of the retry plan" verticalSpacing={4} fz="sm" maw={480}>
            <Table.Thead>
              <Table.Tr>
                <Table.Th>Try</Table.Th>
                <Table.Th>Waits</Table.Th>
                <Table.Th>Not before</Table.Th>
              </Table.Tr>
            </Table.Thead>
            <Table.Tbody>
              {plan.map(each => (
                <Table.Tr key={each.try}>
                  <Table.Td>{each.try}</Table.Td>
                  <Table.Td>{lasting(each.delay_ms)}</Table.Td>
                  <Table.Td>
                    <Moment at={each.not_before} style="full" />
                  </Table.Td>
                </Table.Tr>
              ))}
            </Table.Tbody>
          </Table>
        </Accordion.Panel>
      </Accordion.Item>
    </Accordion>
  )
}
