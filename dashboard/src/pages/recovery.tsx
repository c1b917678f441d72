/** One recovery: what was asked for, how far it is, what came of it, and how it is paused and stopped. */
import { Alert, Anchor, Button, Card, Group, SimpleGrid, Stack, Table, Text, Title } from "@mantine/core"
import { IconPlayerPause, IconPlayerPlay } from "@tabler/icons-react"
import { useMutation, useQuery } from "@tanstack/react-query"
import { Link, useParams } from "@tanstack/react-router"
import { given } from "waybill-sdk"
import { Guarded, useMay } from "../parts/access.tsx"
import { useKnownNames } from "../parts/actors.tsx"
import { Confirm } from "../parts/confirm.tsx"
import { Moment } from "../parts/moment.tsx"
import { Answered, Page, Trouble } from "../parts/page.tsx"
import { IdLink } from "../parts/place.tsx"
import { act, pickedStatuses, recoveryStates, Share } from "../parts/recovery.tsx"
import { ColourBadge } from "../parts/status.tsx"
import { type Answer, sessionQuery, waybill } from "../waybill.ts"

type Full = Answer<"/v1/recoveries/{id}">
type Counts = Full["by_integration"][number]

export function RecoveryPage() {
  const { id } = useParams({ from: "/signed-in/recoveries/$id" })
  return (
    <Guarded scope="events:read" title="Recovery">
      <One id={id} />
    </Guarded>
  )
}

function One({ id }: { readonly id: string }) {
  const may = useMay()
  const query = useQuery({
    queryKey: ["recoveries", id],
    queryFn: () => given(waybill.GET("/v1/recoveries/{id}", { params: { path: { id } } })),
    // Deliveries that are tried again go on after it is done.
    refetchInterval: ({ state }) => (state.data === undefined || isOver(state.data) ? 15_000 : 1_500),
  })
  const work = useMutation({ mutationFn: (action: "pause" | "resume") => act(id, action) })
  const state = query.data?.state
  return (
    <Page
      title="Recovery"
      lead={
        <>
          <Anchor component={Link} to="/recoveries" size="sm">
            Recoveries
          </Anchor>{" "}
          · {id}
        </>
      }
      actions={
        may("replay") && (
          <>
            {state === "running" && (
              <Button
                variant="default"
                leftSection={<IconPlayerPause size={16} />}
                loading={work.isPending}
                onClick={() => work.mutate("pause")}
              >
                Pause
              </Button>
            )}
            {state === "paused" && (
              <Button
                leftSection={<IconPlayerPlay size={16} />}
                loading={work.isPending}
                onClick={() => work.mutate("resume")}
              >
                Resume
              </Button>
            )}
            {(state === "running" || state === "paused") && (
              <Confirm label="Cancel" title="Cancel this recovery?" action="Cancel it" run={() => act(id, "cancel")}>
                What it has queued and not sent is as it was before. What was sent stays as it is. It cannot go on after
                that; you can begin another one.
              </Confirm>
            )}
          </>
        )
      }
    >
      {work.error !== null && <Trouble error={work.error} />}
      <Answered query={query}>{recovery => <Shown recovery={recovery} />}</Answered>
    </Page>
  )
}

function isOver({ state, progress }: Full): boolean {
  return state !== "running" && progress.waiting + progress.sending + progress.retrying === 0
}

function Shown({ recovery }: { readonly recovery: Full }) {
  const { progress, by_integration: parts } = recovery
  return (
    <Stack>
      <Group gap="md">
        <ColourBadge {...recoveryStates[recovery.state]} />
        <Share recovery={recovery} />
        <Text size="sm" role="status">
          {progress.found.toLocaleString()} found, {progress.delivered.toLocaleString()} delivered,{" "}
          {(progress.waiting + progress.sending).toLocaleString()} on their way
        </Text>
      </Group>
      <SimpleGrid cols={{ base: 1, md: 2 }}>
        <Asked recovery={recovery} />
        <Card withBorder>
          <Stack gap="xs">
            <Title order={2} size="h4">
              What came of it
            </Title>
            <Table aria-label="Counts" variant="vertical" highlightOnHover={false}>
              <Table.Tbody>
                {figures.map(([name, label]) => (
                  <Table.Tr key={name}>
                    <Table.Th w={260}>{label}</Table.Th>
                    <Table.Td>{progress[name].toLocaleString()}</Table.Td>
                  </Table.Tr>
                ))}
              </Table.Tbody>
            </Table>
          </Stack>
        </Card>
      </SimpleGrid>
      {progress.reasons.length > 0 && <Reasons reasons={progress.reasons} id={recovery.id} />}
      {parts.length > 0 && <Parts parts={parts} />}
    </Stack>
  )
}

const figures = [
  ["found", "Found"],
  ["queued", "Queued to be sent"],
  ["waiting", "Waiting for their turn"],
  ["sending", "Being sent"],
  ["retrying", "Tried without success, tried again"],
  ["delivered", "Delivered"],
  ["failed", "Failed again"],
  ["withheld", "Not sent: today's rules do not let them go"],
  ["expired", "Not sent: their payload has expired"],
  ["other_apps", "Not sent: of other apps"],
  ["changed", "No longer as they were found"],
] as const satisfies readonly (readonly [keyof Counts, string])[]

function Asked({ recovery }: { readonly recovery: Full }) {
  const { actors } = useKnownNames()
  const { data: session } = useQuery(sessionQuery)
  const { reasons, event_types: types, environment, app, max_per_second: rate, created_by: by } = recovery
  const rows: readonly (readonly [string, React.ReactNode])[] = [
    [
      "Received",
      <>
        <Moment at={recovery.from} style="full" /> to <Moment at={recovery.to} style="full" />
      </>,
    ],
    ["Which", recovery.statuses.map(status => pickedStatuses[status]).join("; ")],
    ["For the reasons", reasons === null ? "Any that someone has to act on" : reasons.join(", ")],
    ["Types", types === null ? "All" : types.join(", ")],
    ["Environment", environment ?? "Both"],
    ["App", app ?? "All"],
    ["Imported history", recovery.include_historical ? "Too" : "Left alone"],
    ["How", recovery.configuration === "current" ? "As a new event would go today" : "As it went out then"],
    ["At most", rate === null ? "As fast as the integration takes them" : `${rate} a second`],
    ["Begun", <Moment key="b" at={recovery.created_at} style="full" />],
    [
      "By",
      by.id === null ? (
        by.kind
      ) : by.id === session?.person.id ? (
        "You"
      ) : (
        <IdLink key="i" id={by.id} name={actors.get(by.id) ?? by.id} />
      ),
    ],
    ["Ended", <Moment key="e" at={recovery.ended_at} style="full" />],
  ]
  return (
    <Card withBorder>
      <Stack gap="xs">
        <Title order={2} size="h4">
          What was asked for
        </Title>
        <Table aria-label="What was asked for" variant="vertical" highlightOnHover={false}>
          <Table.Tbody>
            {rows.map(([label, value]) => (
              <Table.Tr key={label}>
                <Table.Th w={150}>{label}</Table.Th>
                <Table.Td className="wrap-anywhere">{value}</Table.Td>
              </Table.Tr>
            ))}
          </Table.Tbody>
        </Table>
      </Stack>
    </Card>
  )
}

function Reasons({ reasons }: { readonly reasons: Full["progress"]["reasons"]; readonly id: string }) {
  return (
    <Stack gap="xs">
      <Title order={2} size="h4">
        Why what was not delivered was not
      </Title>
      <Table aria-label="Reasons" maw={640}>
        <Table.Thead>
          <Table.Tr>
            <Table.Th>Reason</Table.Th>
            <Table.Th>Became</Table.Th>
            <Table.Th>How many</Table.Th>
          </Table.Tr>
        </Table.Thead>
        <Table.Tbody>
          {reasons.map(({ outcome, code, title, count }) => (
            <Table.Tr key={outcome + code}>
              <Table.Td>{title}</Table.Td>
              <Table.Td>
                <ColourBadge
                  colour={outcome === "failed" ? "red" : "grey"}
                  word={outcome === "failed" ? "Failed" : "Not sent"}
                />
              </Table.Td>
              <Table.Td>{count.toLocaleString()}</Table.Td>
            </Table.Tr>
          ))}
        </Table.Tbody>
      </Table>
    </Stack>
  )
}

const holds = {
  integration_paused: "The integration is paused: nothing of it is sent there until it is resumed.",
  integration_disabled: "The integration is switched off: nothing is sent there until it is switched on.",
  integration_removed: "The integration was removed.",
} as const

function Parts({ parts }: { readonly parts: Full["by_integration"] }) {
  const held = parts.flatMap(({ held_by: by, integration }) => (by === null ? [] : [{ integration, by }]))
  return (
    <Stack gap="xs">
      <Title order={2} size="h4">
        At each integration
      </Title>
      {held.map(({ integration, by }) => (
        <Alert key={integration.id} color="yellow" title={integration.name ?? integration.id}>
          {holds[by]}
        </Alert>
      ))}
      <Table.ScrollContainer minWidth={720}>
        <Table aria-label="Progress at each integration">
          <Table.Thead>
            <Table.Tr>
              <Table.Th>Integration</Table.Th>
              <Table.Th>Found</Table.Th>
              <Table.Th>On their way</Table.Th>
              <Table.Th>Tried again</Table.Th>
              <Table.Th>Delivered</Table.Th>
              <Table.Th>Failed</Table.Th>
              <Table.Th>Not sent</Table.Th>
            </Table.Tr>
          </Table.Thead>
          <Table.Tbody>
            {parts.map(part => (
              <Table.Tr key={part.integration.id}>
                <Table.Td>
                  <IdLink id={part.integration.id} name={part.integration.name ?? part.integration.id} />
                </Table.Td>
                <Table.Td>{part.found.toLocaleString()}</Table.Td>
                <Table.Td>{(part.waiting + part.sending).toLocaleString()}</Table.Td>
                <Table.Td>{part.retrying.toLocaleString()}</Table.Td>
                <Table.Td>{part.delivered.toLocaleString()}</Table.Td>
                <Table.Td>{part.failed.toLocaleString()}</Table.Td>
                <Table.Td>{(part.withheld + part.expired + part.other_apps).toLocaleString()}</Table.Td>
              </Table.Tr>
            ))}
          </Table.Tbody>
        </Table>
      </Table.ScrollContainer>
    </Stack>
  )
}
