/** How an integration does: the diagnosis with its evidence, what protects its endpoint, and an event that fires it. */
import { Anchor, Button, Card, Grid, Group, List, SimpleGrid, Stack, Table, Text, Title } from "@mantine/core"
import { useQuery } from "@tanstack/react-query"
import { Link } from "@tanstack/react-router"
import { given } from "waybill-sdk"
import { lasting, Moment } from "../parts/moment.tsx"
import { Lines, Trouble } from "../parts/page.tsx"
import { ReasonText } from "../parts/reason.tsx"
import { ColourBadge } from "../parts/status.tsx"
import { portal, portalTabs } from "../portal.ts"
import { waybill } from "../waybill.ts"
import { diagnosisQuery, environmentsOf, type Integration, type Json, type Tagged, type Verdict } from "./data.ts"
import { Example } from "./example.tsx"
import { Verifications } from "./verification.tsx"

export function IntegrationOverview({ integration }: Tagged) {
  return (
    <Stack gap="xl">
      <Grid gap="lg">
        <Grid.Col span={{ base: 12, lg: 8 }}>
          <Diagnosed integration={integration} />
        </Grid.Col>
        <Grid.Col span={{ base: 12, lg: 4 }}>
          <Stack gap="lg">
            <Protection integration={integration} />
            <Info integration={integration} />
          </Stack>
        </Grid.Col>
      </Grid>
      <Verifications integration={integration} />
      {portal === null && <Example integration={integration} />}
    </Stack>
  )
}

function Diagnosed({ integration }: { readonly integration: Integration }) {
  const { data, error, refetch } = useQuery(diagnosisQuery(integration.id))
  const own = useQuery({
    queryKey: ["status"],
    queryFn: () => given(waybill.GET("/v1/status")),
    enabled: portal === null,
  })
  if (error !== null && data === undefined) return <Trouble error={error} again={() => void refetch()} />
  if (data === undefined) return <Lines count={5} />
  return (
    <Stack gap="sm">
      <VerdictCard id={integration.id} verdict={data.verdict} isMain />
      {data.also.length > 0 && (
        <Title order={2} size="h4">
          And this too
        </Title>
      )}
      {data.also.map(verdict => (
        <VerdictCard
          id={integration.id}
          key={`${verdict.code} ${verdict.case ?? ""}`}
          verdict={verdict}
          isMain={false}
        />
      ))}
      <Text size="sm" c="dimmed">
        {own.data === undefined
          ? ""
          : own.data.healthy
            ? `Waybill itself is healthy${data.verdict.colour === "plain" ? "." : ": what is wrong here is not on its side."}`
            : `Waybill itself is in trouble: ${own.data.problems.join(" ")}`}
      </Text>
    </Stack>
  )
}

function VerdictCard({
  id,
  verdict,
  isMain,
}: {
  readonly id: string
  readonly verdict: Verdict
  readonly isMain: boolean
}) {
  const { colour, title, what, causes, advice, since, questions, evidence, changes } = verdict
  const words = { title, colour, what, causes, advice }
  return (
    <Card withBorder padding={isMain ? "lg" : "md"}>
      <Stack gap="sm">
        <Group justify="space-between" gap="xs">
          <Title order={isMain ? 2 : 3} size="h5">
            Diagnosis
          </Title>
          <Group gap="xs">
            {since !== null && (
              <Text size="xs" c="dimmed">
                Since <Moment at={since} style="full" />
              </Text>
            )}
            <ColourBadge
              colour={colour === "plain" ? "green" : colour}
              word={colour === "red" ? "Needs someone" : colour === "amber" ? "Being tried" : "In order"}
            />
          </Group>
        </Group>
        <ReasonText reason={words} about={{ integration: id, since }} />
        {questions.length > 0 && (
          <div>
            <Text size="sm" fw={600}>
              Check one by one
            </Text>
            <List size="sm" type="ordered">
              {questions.map(question => (
                <List.Item key={question}>{question}</List.Item>
              ))}
            </List>
          </div>
        )}
        {isMain && colour !== "plain" && <NextSteps id={id} />}
        <Evidence evidence={evidence} />
        {changes.length > 0 && (
          <div>
            <Text size="sm" fw={600}>
              What changed before and since
            </Text>
            <List size="sm">
              {changes.slice(0, 6).map((change, i) => (
                // biome-ignore lint/suspicious/noArrayIndexKey: two may be alike, and the list is replaced whole
                <List.Item key={i}>
                  <Moment at={change.at} /> {change.kind.replaceAll(/[._]/g, " ")}
                  {change.touches.length > 0 && ` (${change.touches.join(", ")})`}
                  {change.by.name !== null && ` by ${change.by.name}`}
                </List.Item>
              ))}
            </List>
          </div>
        )}
      </Stack>
    </Card>
  )
}

/** Where the advice is followed. */
function NextSteps({ id }: { readonly id: string }) {
  const places = [
    ["logs", "See the last errors"],
    ["failures", "See failures in groups"],
    ["test", "Send a test event"],
    ["recovery", "Recover what failed"],
  ].filter(([tab = ""]) => portal === null || portalTabs.includes(tab))
  return (
    <Group gap="xs">
      {places.map(([tab, label]) => (
        <Button
          key={tab}
          size="xs"
          variant="default"
          component={Link}
          to={`/integrations/${id}`}
          search={{ tab } as never}
        >
          {label}
        </Button>
      ))}
    </Group>
  )
}

/** What it was judged by. */
function Evidence({
  evidence: { facts, errors, types, fields, withheld },
}: {
  readonly evidence: Verdict["evidence"]
}) {
  const told = Object.entries(facts as Json).filter(([, value]) => value !== null && typeof value !== "object")
  const held = Object.entries(withheld as Json)
  if (told.length + errors.length + types.length + fields.length + held.length === 0) return null
  return (
    <Table.ScrollContainer minWidth={300}>
      <Table verticalSpacing={4} withRowBorders={false} aria-label="Evidence">
        <Table.Thead>
          <Table.Tr>
            <Table.Th>Evidence</Table.Th>
            <Table.Th>Value</Table.Th>
          </Table.Tr>
        </Table.Thead>
        <Table.Tbody>
          {told.map(([name, value]) => (
            <Table.Tr key={name}>
              <Table.Td>{wordsOf(name)}</Table.Td>
              <Table.Td className="wrap-anywhere">
                <Fact name={name} value={value} />
              </Table.Td>
            </Table.Tr>
          ))}
          {errors.map(({ reason, status, count }) => (
            <Table.Tr key={`${reason} ${status}`}>
              <Table.Td>{wordsOf(reason)}</Table.Td>
              <Table.Td>
                {count} {count === 1 ? "time" : "times"}
                {status !== null && `, status ${status}`}
              </Table.Td>
            </Table.Tr>
          ))}
          {types.map(({ type, count, near }) => (
            <Table.Tr key={type}>
              <Table.Td>Came in as {type}</Table.Td>
              <Table.Td>
                {count} {count === 1 ? "time" : "times"}
                {near !== null && `; was ${near} meant?`}
              </Table.Td>
            </Table.Tr>
          ))}
          {fields.map(({ field, count }) => (
            <Table.Tr key={field}>
              <Table.Td>{field} is missing</Table.Td>
              <Table.Td>in {count} events</Table.Td>
            </Table.Tr>
          ))}
          {held.map(([reason, count]) => (
            <Table.Tr key={reason}>
              <Table.Td>Not sent: {wordsOf(reason)}</Table.Td>
              <Table.Td>{String(count)}</Table.Td>
            </Table.Tr>
          ))}
        </Table.Tbody>
      </Table>
    </Table.ScrollContainer>
  )
}

/** `…_at` is a time, `…_ms` a duration. */
function Fact({ name, value }: { readonly name: string; readonly value: unknown }) {
  if (name.endsWith("_at") && typeof value === "string") return <Moment at={value} style="full" />
  if (name.endsWith("_ms") && typeof value === "number") return <>{lasting(value)}</>
  return <>{String(value)}</>
}

function wordsOf(name: string): string {
  const words = name.replace(/_(at|ms)$/, "").replaceAll("_", " ")
  return words.charAt(0).toUpperCase() + words.slice(1)
}

const protectionWords = {
  closed: ["green", "In order"],
  open: ["amber", "Resting"],
  probing: ["amber", "Trying whether it is back"],
  easing: ["amber", "Coming back"],
} as const

/** What waits, and whether an endpoint rests. */
function Protection({ integration: { protection } }: { readonly integration: Integration }) {
  if (protection === undefined) return null
  const { waiting, origins, concurrency_limit, budget_used_up_until } = protection
  return (
    <Card withBorder>
      <Stack gap="xs">
        <Title order={2} size="h5">
          Just now
        </Title>
        <Text size="sm">
          <b>
            {waiting.count.toLocaleString()}
            {waiting.or_more && " or more"}
          </b>{" "}
          {waiting.count === 1 ? "delivery waits" : "deliveries wait"}; at most {concurrency_limit} go out at a time.
        </Text>
        {budget_used_up_until !== null && (
          <Text size="sm">
            Its budget is used up until <Moment at={budget_used_up_until} />.
          </Text>
        )}
        {origins.length === 0 && (
          <Text size="sm" c="dimmed">
            Nothing was sent since Waybill started.
          </Text>
        )}
        {origins.map(({ origin, state, since, next_probe_at, errors, successes, paused_until, waiting: held }) => {
          const [colour, word] = protectionWords[state]
          return (
            <Stack key={origin} gap={4}>
              <Group justify="space-between" gap="xs">
                <Text size="sm" className="wrap-anywhere">
                  {origin}
                </Text>
                <ColourBadge colour={colour} word={word} />
              </Group>
              {since !== null && (
                <Text size="sm">
                  In trouble since <Moment at={since} />: {errors ?? 0} failed and {successes ?? 0} succeeded.
                </Text>
              )}
              {next_probe_at !== null && (
                <Text size="sm">
                  Tried next <Moment at={next_probe_at} />. Nothing goes out before; {held.count} wait and lose nothing.
                </Text>
              )}
              {paused_until !== null && (
                <Text size="sm">
                  It asked to be left alone until <Moment at={paused_until} />.
                </Text>
              )}
            </Stack>
          )
        })}
      </Stack>
    </Card>
  )
}

function Info({ integration }: { readonly integration: Integration }) {
  const { config, apps, policy, revision, created_at, updated_at, disabled, filter, events } = integration
  const rules = Object.keys(events.types).length
  const tab = (name: string, text: string) =>
    portal !== null && !portalTabs.includes(name) ? (
      text
    ) : (
      <Anchor component={Link} to={`/integrations/${integration.id}`} search={{ tab: name } as never} size="sm">
        {text}
      </Anchor>
    )
  const rows: readonly (readonly [string, React.ReactNode])[] = [
    ...environmentsOf(integration).map(name => {
      const url = ((config as Json)[name] as { url?: string } | undefined)?.url
      return [name === "production" ? "Production" : "Sandbox", url ?? "Inside Waybill"] as const
    }),
    ["Apps", apps.length === 0 ? "All" : apps.join(", ")],
    [
      "Event types",
      tab("types", `${events.default === "off" ? "None" : "All"}${rules > 0 ? `, but ${rules} of their own` : ""}`),
    ],
    ["Filter", tab("filter", filter === null ? "None" : "Set")],
    [
      "Retries",
      `${policy.preset}, ${policy.retry_delays_ms.length} ${policy.retry_delays_ms.length === 1 ? "retry" : "retries"}`,
    ],
    ["Made", <Moment key="made" at={created_at} style="full" />],
    [
      "Changed",
      <span key="changed">
        <Moment at={updated_at} style="full" />, {tab("changes", `revision ${revision}`)}
      </span>,
    ],
    ...(disabled === null
      ? []
      : [
          [
            "Switched off",
            <span key="off">
              by {disabled.by === "person" ? "a person" : "Waybill"}
              {disabled.reason !== null && ` (${wordsOf(disabled.reason)})`} <Moment at={disabled.at} />
            </span>,
          ] as const,
        ]),
  ]
  return (
    <Card withBorder>
      <Title order={2} size="h5" mb="xs">
        What it is
      </Title>
      <SimpleGrid cols={1} spacing={6}>
        {rows.map(([name, value]) => (
          <Text key={name} size="sm" component="div" className="wrap-anywhere linked">
            <Text span c="dimmed" size="sm">
              {name}:{" "}
            </Text>
            {value}
          </Text>
        ))}
      </SimpleGrid>
    </Card>
  )
}
