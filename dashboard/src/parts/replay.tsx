/** Sends one event to an integration again, or to one that never had it: first says what would happen. */
import { Button, Group, Menu, Modal, Stack, Text } from "@mantine/core"
import { IconChevronDown, IconSend } from "@tabler/icons-react"
import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query"
import { useState } from "react"
import { given, type paths } from "waybill-sdk"
import { lookOf } from "../status.ts"
import { waybill } from "../waybill.ts"
import { useMay } from "./access.tsx"
import { useRetry } from "./delivery.tsx"
import type { FullEvent } from "./event-query.ts"
import { useIntegrations } from "./filters.tsx"
import { LinkTo } from "./link.tsx"
import { Answered, Trouble } from "./page.tsx"
import { tell } from "./tell.tsx"

type NewRecovery = NonNullable<paths["/v1/recoveries"]["post"]["requestBody"]>["content"]["application/json"]

/** When it is looked whether a recovery has begun to send the event. */
const FOUND_AFTER_MS = [500, 1_500, 4_000] as const

interface Target {
  readonly id: string
  readonly name: string
}

export function ReplayMenu({ event }: { readonly event: FullEvent }) {
  const integrations = useIntegrations()
  const retry = useRetry(event.id)
  const mayReplay = useMay()("replay")
  const [target, setTarget] = useState<Target>()
  if (!mayReplay || integrations.length === 0) return null
  const isGone = event.payload_expired
  return (
    <>
      <Menu position="bottom-end" withInitialFocusPlaceholder={false}>
        <Menu.Target>
          <Button
            leftSection={<IconSend size={16} aria-hidden />}
            rightSection={<IconChevronDown size={14} aria-hidden />}
            loading={retry.isPending}
            disabled={isGone}
          >
            Replay to …
          </Button>
        </Menu.Target>
        <Menu.Dropdown mah={360} style={{ overflowY: "auto" }}>
          {integrations.map(({ id, name, enabled }) => {
            const delivery = event.deliveries.find(each => each.integration.id === id)
            const word = delivery === undefined ? "Never had it" : lookOf(delivery.status).word
            return (
              <Menu.Item
                key={id}
                disabled={!enabled || delivery?.status === "sending"}
                onClick={() => (delivery === undefined ? setTarget({ id, name }) : retry.mutate(delivery.id))}
                rightSection={
                  <Text size="xs" c="dimmed">
                    {enabled ? word : "Switched off"}
                  </Text>
                }
              >
                {name}
              </Menu.Item>
            )
          })}
        </Menu.Dropdown>
      </Menu>
      {retry.error !== null && (
        <Modal opened onClose={retry.reset} title="It was not replayed">
          <Trouble error={retry.error} />
        </Modal>
      )}
      <Modal
        opened={target !== undefined}
        onClose={() => setTarget(undefined)}
        title={target === undefined ? "" : `Send it to ${target.name}?`}
      >
        {target !== undefined && <Recover event={event} target={target} close={() => setTarget(undefined)} />}
      </Modal>
    </>
  )
}

/** A recovery of the millisecond in which the event came: the API has no narrower one for what was never sent. */
function askFor(event: FullEvent, { id }: Target): NewRecovery {
  const withheld = event.withheld.find(({ integration }) => integration.id === id)
  return {
    integrations: [id],
    from: event.received_at,
    to: new Date(Date.parse(event.received_at) + 1).toISOString(),
    event_types: [event.type],
    environment: event.environment,
    ...(event.app !== null && { app: event.app }),
    include_historical: event.historical,
    ...(withheld === undefined
      ? { statuses: ["missing"] }
      : { statuses: ["withheld"], reasons: [withheld.reason.code] }),
  }
}

function Recover({
  event,
  target,
  close,
}: {
  readonly event: FullEvent
  readonly target: Target
  readonly close: () => void
}) {
  const cache = useQueryClient()
  const ask = askFor(event, target)
  const plan = useQuery({
    queryKey: ["recovery-plan", ask],
    queryFn: async () => {
      const answer = await given(waybill.POST("/v1/recoveries", { body: { ...ask, dry_run: true } }))
      if (!("dry_run" in answer)) throw new Error("The dry run was answered with a recovery.")
      return answer
    },
    staleTime: 0,
  })
  const send = useMutation({
    mutationFn: async () => {
      const answer = await given(waybill.POST("/v1/recoveries", { body: ask }))
      if (!("id" in answer)) throw new Error("The recovery was answered with a dry run.")
      return answer
    },
    onSuccess: recovery => {
      close()
      tell(`On its way to ${target.name}`, `As the recovery ${recovery.id}. What comes of it shows up here.`)
      // The recovery has to find the event first, and until then nothing of it is under way.
      for (const ms of FOUND_AFTER_MS) {
        setTimeout(() => void cache.invalidateQueries({ queryKey: ["event", event.id] }), ms)
      }
    },
  })
  return (
    <Answered query={plan}>
      {({ count, found, reasons, expired, other_apps }) => (
        <Stack gap="sm">
          {count > 0 ? (
            <Text size="sm">
              {target.name} gets it as a new event would go there today.
              {found > 1 &&
                ` ${found - 1} more of this type came in the same millisecond, and ${count === 1 ? "are left" : "go along"}: a replay of what was never sent is told apart by time.`}
            </Text>
          ) : (
            <Stack gap={4}>
              <Text size="sm">It would not be sent, as things stand today:</Text>
              {reasons.map(({ code, title }) => (
                <Text size="sm" key={code}>
                  <b>{title}.</b> Change that at{" "}
                  <LinkTo to="/integrations/$id" params={{ id: target.id }} size="sm">
                    {target.name}
                  </LinkTo>{" "}
                  first, then replay.
                </Text>
              ))}
              {expired > 0 && <Text size="sm">Its payload is no longer kept.</Text>}
              {other_apps > 0 && <Text size="sm">{target.name} is limited to other apps.</Text>}
              {found === 0 && <Text size="sm">It was not found any more; look at the event again.</Text>}
            </Stack>
          )}
          {send.error !== null && <Trouble error={send.error} />}
          <Group justify="flex-end" gap="xs">
            <Button variant="default" onClick={close}>
              {count > 0 ? "Cancel" : "Close"}
            </Button>
            {count > 0 && (
              <Button loading={send.isPending} onClick={() => send.mutate()}>
                Send {count === 1 ? "it" : `${count} events`}
              </Button>
            )}
          </Group>
        </Stack>
      )}
    </Answered>
  )
}
