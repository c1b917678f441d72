/** A new recovery: which events, counted before anything is sent. What stands in the address fills the form. */
import {
  Alert,
  Anchor,
  Button,
  Checkbox,
  Group,
  MultiSelect,
  NumberInput,
  Radio,
  Select,
  SimpleGrid,
  Stack,
  Switch,
  Table,
  TagsInput,
  Text,
  Title,
} from "@mantine/core"
import { DateTimePicker } from "@mantine/dates"
import { useForm } from "@mantine/form"
import { useMutation, useQuery } from "@tanstack/react-query"
import { Link, useNavigate, useSearch } from "@tanstack/react-router"
import dayjs from "dayjs"
import { given, type paths } from "waybill-sdk"
import { eventTypesQuery } from "../integration/data.ts"
import { Guarded } from "../parts/access.tsx"
import { faultsOfFields } from "../parts/faults.ts"
import { Moment } from "../parts/moment.tsx"
import { Answered, Empty, Page, Trouble } from "../parts/page.tsx"
import { IdLink } from "../parts/place.tsx"
import { Reason } from "../parts/reason.tsx"
import { pickedStatuses } from "../parts/recovery.tsx"
import { ColourBadge, StatusBadge } from "../parts/status.tsx"
import { type Answer, queries, waybill } from "../waybill.ts"

type Body = NonNullable<paths["/v1/recoveries"]["post"]["requestBody"]>["content"]["application/json"]
type Plan = Extract<Answer<"/v1/recoveries", "post">, { dry_run: true }>
type ReasonCode = NonNullable<Body["reasons"]>[number]
type StatusName = keyof typeof pickedStatuses

const PICKER = "YYYY-MM-DD HH:mm:ss"

export function NewRecovery() {
  return (
    <Guarded scope="replay" title="Recover events">
      <Page
        title="Recover events"
        lead={
          <>
            <Anchor component={Link} to="/recoveries" size="sm">
              Recoveries
            </Anchor>{" "}
            · Choose what is to be sent again. It is counted first; nothing is sent before you say so.
          </>
        }
      >
        <Loaded />
      </Page>
    </Guarded>
  )
}

function Loaded() {
  const query = useQuery({
    queryKey: ["integrations", "all"],
    queryFn: () => given(waybill.GET("/v1/integrations", { params: { query: { limit: 200 } } })),
  })
  return (
    <Answered query={query}>
      {({ data }) => {
        const on = data.filter(({ enabled }) => enabled)
        return on.length === 0 ? (
          <Empty title="No integration is switched on">
            Nothing can be sent again before one is.{" "}
            <Anchor component={Link} to="/integrations" size="sm">
              Switch one on, or set one up
            </Anchor>
            , first.
          </Empty>
        ) : (
          <Form integrations={on.map(({ id, name }) => ({ value: id, label: name }))} />
        )
      }}
    </Answered>
  )
}

/** Picked in the reader's zone, as the API takes it. */
const toTime = (picked: string) => new Date(picked.replace(" ", "T")).toISOString()
const toPicker = (time: string | undefined) => (time === undefined ? null : dayjs(time).format(PICKER))

function Form({ integrations }: { readonly integrations: readonly { value: string; label: string }[] }) {
  const search = useSearch({ from: "/signed-in/recoveries/new" })
  const navigate = useNavigate()
  const { data: types } = useQuery(eventTypesQuery)
  const { data: apps } = useQuery({
    queryKey: ["apps", "names"],
    queryFn: () => given(waybill.GET("/v1/apps", { params: { query: { limit: 200 } } })),
  })
  const listOf = (name: string) => search[name]?.split(",").filter(Boolean) ?? []
  const form = useForm({
    initialValues: {
      integrations: listOf("integration"),
      from: toPicker(search["from"]) ?? dayjs().subtract(1, "day").startOf("minute").format(PICKER),
      to: toPicker(search["to"]),
      statuses: search["status"] === undefined ? ["failed", "withheld"] : listOf("status"),
      reasons: listOf("reason"),
      event_types: listOf("type"),
      environment: search["environment"] ?? null,
      app: search["app"] ?? null,
      include_historical: false,
      configuration: "current",
      max_per_second: "" as number | "",
    },
    validate: {
      from: picked => (picked ? null : "Say from when on."),
      statuses: picked => (picked.length > 0 ? null : "Choose at least one."),
    },
  })
  const bodyOf = (values: typeof form.values): Body => ({
    ...(values.integrations.length > 0 && { integrations: values.integrations }),
    from: toTime(values.from),
    ...(values.to && { to: toTime(values.to) }),
    statuses: values.statuses.filter((name): name is StatusName => name in pickedStatuses),
    // What is no reason is refused by name.
    ...(values.reasons.length > 0 && { reasons: values.reasons as ReasonCode[] }),
    ...(values.event_types.length > 0 && { event_types: values.event_types }),
    ...((values.environment === "production" || values.environment === "sandbox") && {
      environment: values.environment,
    }),
    ...(values.app !== null && { app: values.app }),
    include_historical: values.include_historical,
    configuration: values.configuration === "original" ? "original" : "current",
    ...(values.max_per_second !== "" && { max_per_second: values.max_per_second }),
  })
  const count = useMutation({
    mutationFn: async (values: typeof form.values) => {
      const asked = bodyOf(values)
      const plan = await given(waybill.POST("/v1/recoveries", { body: { ...asked, dry_run: true } }))
      if (!("dry_run" in plan)) throw new Error("This was to be counted only, and was begun: see Recoveries.")
      return { plan, asked }
    },
    onError: error => form.setErrors(faultsOfFields(error)),
  })
  const begin = useMutation({
    mutationFn: (body: Body) => given(waybill.POST("/v1/recoveries", { body })),
    onSuccess: async made => {
      await queries.invalidateQueries({ queryKey: ["recoveries"] })
      if ("id" in made) await navigate({ to: "/recoveries/$id", params: { id: made.id } })
    },
  })
  return (
    <Stack maw={860}>
      <form onSubmit={form.onSubmit(values => count.mutate(values))} onChange={() => count.reset()}>
        <Stack>
          <MultiSelect
            label="Integrations"
            description="Left empty: all that are switched on."
            data={[...integrations]}
            searchable
            clearable
            {...form.getInputProps("integrations")}
          />
          <SimpleGrid cols={{ base: 1, xs: 2 }}>
            <DateTimePicker
              label="Received from"
              description="In your zone."
              withSeconds
              valueFormat="D MMM YYYY HH:mm:ss"
              {...form.getInputProps("from")}
            />
            <DateTimePicker
              label="Received before"
              description="Left empty: until now."
              withSeconds
              clearable
              valueFormat="D MMM YYYY HH:mm:ss"
              {...form.getInputProps("to")}
            />
          </SimpleGrid>
          <Checkbox.Group label="Which" {...form.getInputProps("statuses")}>
            <Stack gap={8} mt="xs">
              {Object.entries(pickedStatuses).map(([name, label]) => (
                <Checkbox key={name} value={name} label={label} />
              ))}
            </Stack>
          </Checkbox.Group>
          <SimpleGrid cols={{ base: 1, xs: 2 }}>
            <TagsInput
              label="Only for these reasons"
              description="Their codes, such as timeout_response. Empty: all failures, and what someone had to act on."
              {...form.getInputProps("reasons")}
            />
            <TagsInput
              label="Only these event types"
              description="A prefix ends in *, as in subscription_*. Empty: all."
              data={types?.data.flatMap(({ name, reserved }) => (reserved ? [] : [name])) ?? []}
              {...form.getInputProps("event_types")}
            />
            <Select
              label="Only an environment"
              placeholder="Both"
              clearable
              data={["production", "sandbox"]}
              {...form.getInputProps("environment")}
            />
            <Select
              label="Only an app"
              placeholder="All"
              clearable
              data={apps?.data.map(({ name }) => name) ?? []}
              {...form.getInputProps("app")}
            />
            <NumberInput
              label="At most, a second"
              description="For each integration; its own rate holds as well."
              placeholder="As fast as it takes them"
              min={0.1}
              max={10_000}
              {...form.getInputProps("max_per_second")}
            />
          </SimpleGrid>
          <Radio.Group label="How they go" {...form.getInputProps("configuration")}>
            <Stack gap={8} mt="xs">
              <Radio
                value="current"
                label="As a new event would go today: address, names, filters and headers of now"
              />
              <Radio value="original" label="What was attempted before goes out as it was then" />
            </Stack>
          </Radio.Group>
          <Switch
            label="Also events that came in as imported history"
            {...form.getInputProps("include_historical", { type: "checkbox" })}
          />
          {count.error !== null && <Trouble error={count.error} />}
          <Group>
            <Button type="submit" variant={count.data === undefined ? "filled" : "default"} loading={count.isPending}>
              Count them
            </Button>
          </Group>
        </Stack>
      </form>
      {count.data !== undefined && (
        <Counted
          plan={count.data.plan}
          error={begin.error}
          isBeginning={begin.isPending}
          begin={() => begin.mutate(count.data.asked)}
        />
      )}
    </Stack>
  )
}

const outcomes = {
  send: { colour: "plain", word: "Would be sent" },
  withheld: { colour: "grey", word: "Would not be sent" },
  expired: { colour: "grey", word: "Payload expired" },
  other_apps: { colour: "grey", word: "Of another app" },
} as const

function Counted({
  plan,
  error,
  isBeginning,
  begin,
}: {
  readonly plan: Plan
  readonly error: Error | null
  readonly isBeginning: boolean
  readonly begin: () => void
}) {
  const unsent = [
    [plan.withheld, "today's rules do not let them go"],
    [plan.expired, "their payload is no longer kept"],
    [plan.other_apps, "the integration is limited to other apps"],
  ] as const
  return (
    <Stack>
      <Alert
        variant={plan.count > 0 ? "light" : "default"}
        title={plan.count > 0 ? `${plan.count.toLocaleString()} would be sent` : "Nothing would be sent"}
        role="status"
      >
        <Stack gap={4}>
          <Text size="sm">{plan.found.toLocaleString()} fit what you chose, once for each integration.</Text>
          {unsent.map(
            ([number, why]) =>
              number > 0 && (
                <Text size="sm" key={why}>
                  {number.toLocaleString()} would stay: {why}.
                </Text>
              ),
          )}
          {plan.reasons.map(({ code, title, count }) => (
            <Text size="sm" key={code}>
              {count.toLocaleString()}: {title}
            </Text>
          ))}
          {plan.counted_to !== null && (
            <Text size="sm" component="div">
              Counting would have taken long: it is counted up to <Moment at={plan.counted_to} style="full" />, and
              there may be more after that.
            </Text>
          )}
        </Stack>
      </Alert>
      {plan.sample.length > 0 && (
        <Stack gap="xs">
          <Title order={2} size="h4">
            Some of them
          </Title>
          <Table.ScrollContainer minWidth={680}>
            <Table aria-label="A sample of what was found">
              <Table.Thead>
                <Table.Tr>
                  <Table.Th>Received</Table.Th>
                  <Table.Th>Type</Table.Th>
                  <Table.Th>Integration</Table.Th>
                  <Table.Th>Now</Table.Th>
                  <Table.Th>What would become of it</Table.Th>
                </Table.Tr>
              </Table.Thead>
              <Table.Tbody>
                {plan.sample.map(({ event, integration, status, outcome, why }) => (
                  <Table.Tr key={event.id + integration.id}>
                    <Table.Td>
                      <Moment at={event.received_at} />
                    </Table.Td>
                    <Table.Td>
                      <IdLink id={event.id} name={event.type} />
                    </Table.Td>
                    <Table.Td>{integration.name ?? integration.id}</Table.Td>
                    <Table.Td>
                      {status === "missing" ? (
                        <ColourBadge colour="grey" word="Never had it" />
                      ) : (
                        <StatusBadge status={status} />
                      )}
                    </Table.Td>
                    <Table.Td>
                      {why === null ? <ColourBadge {...outcomes[outcome]} /> : <Reason reason={why} />}
                    </Table.Td>
                  </Table.Tr>
                ))}
              </Table.Tbody>
            </Table>
          </Table.ScrollContainer>
        </Stack>
      )}
      {error !== null && <Trouble error={error} />}
      {(plan.count > 0 || plan.counted_to !== null) && (
        <Group>
          <Button onClick={begin} loading={isBeginning}>
            Send {plan.counted_to === null ? plan.count.toLocaleString() : "them"} again
          </Button>
          <Text size="sm" c="dimmed">
            It runs beside live traffic, and can be paused and canceled.
          </Text>
        </Group>
      )}
    </Stack>
  )
}
