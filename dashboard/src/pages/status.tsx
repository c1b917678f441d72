/** How Waybill itself is doing. */
import { Alert, Card, Group, List, SimpleGrid, Stack, Table, Text } from "@mantine/core"
import { useQuery } from "@tanstack/react-query"
import type { ReactNode } from "react"
import { given, WaybillProblem } from "waybill-sdk"
import { Copied } from "../parts/copied.tsx"
import { lasting, Moment } from "../parts/moment.tsx"
import { Answered, Page } from "../parts/page.tsx"
import { Sentence } from "../parts/sentence.tsx"
import { ColourBadge } from "../parts/status.tsx"
import { type Answer, waybill } from "../waybill.ts"

type Status = Answer<"/v1/status">

export function StatusPage() {
  const query = useQuery({
    queryKey: ["status"],
    queryFn: () => given(waybill.GET("/v1/status")),
    refetchInterval: 5_000,
  })
  return (
    <Page
      title="Status of Waybill"
      lead="Whether Waybill itself is well, so that nobody looks for its faults at an endpoint."
    >
      <Answered query={query}>{status => <Known status={status} />}</Answered>
    </Page>
  )
}

function Known({ status }: { readonly status: Status }) {
  const { healthy, problems, version, process, started_at, in_flight, oldest_due_seconds, late_integrations } = status
  return (
    <Stack maw={960}>
      {healthy ? (
        <Alert color="waybill" title="Waybill is healthy" role="status">
          It takes events, and what is due goes out.
        </Alert>
      ) : (
        <Alert color="red" title="Waybill needs its operator" role="status">
          <List size="sm">
            {problems.map(problem => (
              <List.Item key={problem}>{problem}</List.Item>
            ))}
          </List>
        </Alert>
      )}
      <SimpleGrid cols={{ base: 1, xs: 2, md: 3 }}>
        <Figure label="Requests under way">{in_flight.toLocaleString()}</Figure>
        <Figure label="Oldest that is due">
          {oldest_due_seconds === 0 ? "nothing is late" : `${lasting(oldest_due_seconds * 1_000)} late`}
        </Figure>
        <Figure label="Integrations that are late">{late_integrations.toLocaleString()}</Figure>
      </SimpleGrid>
      {status.own_trouble !== null && (
        <Alert color="red" title="Waybill's own machine or network">
          Since <Moment at={status.own_trouble.since} style="full" /> {status.own_trouble.integrations} integrations on{" "}
          {status.own_trouble.hosts} hosts could not be reached: all that were tried. It is held against none of them.
        </Alert>
      )}
      <Readiness />
      <Mail mail={status.mail} />
      <Card withBorder>
        <Table aria-label="This process" variant="vertical" highlightOnHover={false}>
          <Table.Tbody>
            <Table.Tr>
              <Table.Th w={200}>Version</Table.Th>
              <Table.Td>{version}</Table.Td>
            </Table.Tr>
            <Table.Tr>
              <Table.Th>Process that answered</Table.Th>
              <Table.Td>
                <Copied text={process} />
              </Table.Td>
            </Table.Tr>
            <Table.Tr>
              <Table.Th>Started</Table.Th>
              <Table.Td>
                <Moment at={started_at} style="full" />
              </Table.Td>
            </Table.Tr>
            <Table.Tr>
              <Table.Th>Last clean-up</Table.Th>
              <Table.Td>{cleanUpOf(status.last_retention)}</Table.Td>
            </Table.Tr>
          </Table.Tbody>
        </Table>
      </Card>
    </Stack>
  )
}

/** When what is over its time was last removed, and what went wrong. */
function cleanUpOf(report: Status["last_retention"]): ReactNode {
  const at = report?.["at"]
  if (typeof at !== "string") return "None since this process started; it comes within the hour."
  const failed: unknown = report?.["failed_steps"]
  return (
    <>
      <Moment at={at} style="full" />
      {Array.isArray(failed) && failed.length > 0 && `. It could not remove all: ${failed.join(", ")}; see the log.`}
    </>
  )
}

function Figure({ label, children }: { readonly label: string; readonly children: string }) {
  return (
    <Card withBorder padding="md">
      <Text size="sm" c="dimmed">
        {label}
      </Text>
      <Text fw={650} size="lg">
        {children}
      </Text>
    </Card>
  )
}

const checks = {
  started: "This process runs",
  database: "The database takes what is written",
  deliveries: "What is due goes out",
} as const

function Readiness() {
  const query = useQuery({
    queryKey: ["readyz"],
    queryFn: () => given(waybill.GET("/readyz")),
    refetchInterval: 5_000,
    retry: false,
  })
  if (query.error instanceof WaybillProblem && query.error.status === 503) {
    return (
      <Alert color="red" title="This process takes no events just now" role="status">
        It starts, stops, or its database does not answer. Senders get 503 and try again.
      </Alert>
    )
  }
  return (
    <Card withBorder>
      <Answered query={query}>
        {ready => (
          <Stack gap="xs">
            {Object.entries(checks).map(([name, label]) => {
              const check = ready.checks[name as keyof typeof checks]
              return (
                <Group key={name} gap="sm">
                  <ColourBadge colour={check.ok ? "green" : "red"} word={check.ok ? "Yes" : "No"} />
                  <Text size="sm">{label}</Text>
                  {check.detail !== null && (
                    <Text size="sm" c="dimmed">
                      <Sentence text={check.detail} />
                    </Text>
                  )}
                </Group>
              )
            })}
          </Stack>
        )}
      </Answered>
    </Card>
  )
}

/** How mail stands; also on the page of alerts. */
export function Mail({ mail }: { readonly mail: Status["mail"] }) {
  if (mail === null) {
    return (
      <Alert variant="default" title="Mail is not set up">
        Nobody is told by mail. The operator sets it up with <code>WAYBILL_SMTP_URL</code>.
      </Alert>
    )
  }
  const isStuck = mail.error !== null && mail.waiting > 0
  return (
    <Alert
      variant={isStuck ? "light" : "default"}
      color="red"
      title={isStuck ? "Mail does not go out" : "Mail goes out"}
    >
      <Text size="sm" component="div">
        By {mail.server}. {mail.waiting === 0 ? "Nothing waits." : `${mail.waiting.toLocaleString()} wait.`}{" "}
        {mail.last_done_at !== null && (
          <>
            The last one was done <Moment at={mail.last_done_at} style="ago" />.
          </>
        )}
      </Text>
      {mail.error !== null && (
        <Text size="sm" component="div">
          <Moment at={mail.error_at} style="ago" />: {mail.error}. It is tried again by itself.
        </Text>
      )}
    </Alert>
  )
}
