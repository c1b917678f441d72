/** A test event: chosen, shown exactly as it would go out, sent, and then what came back. */
import {
  Alert,
  Button,
  Card,
  Group,
  JsonInput,
  SegmentedControl,
  Select,
  Stack,
  Text,
  TextInput,
  Title,
} from "@mantine/core"
import { IconSend } from "@tabler/icons-react"
import { useMutation, useQuery } from "@tanstack/react-query"
import { useState } from "react"
import { given } from "waybill-sdk"
import { useMay } from "../parts/access.tsx"
import { lasting } from "../parts/moment.tsx"
import { Trouble } from "../parts/page.tsx"
import { IdLink } from "../parts/place.tsx"
import { ReasonText, type ReasonView } from "../parts/reason.tsx"
import { useFilters } from "../parts/search.ts"
import { StatusBadge } from "../parts/status.tsx"
import { type Answer, waybill } from "../waybill.ts"
import {
  type Environment,
  environmentsOf,
  eventTypesQuery,
  faultsOf,
  lastEventsQuery,
  noFaults,
  renew,
  type Tagged,
  useFocusOnFault,
} from "./data.ts"
import { Message } from "./exchange.tsx"

type Shown = Extract<Answer<"/v1/integrations/{id}/test", "post">, { dry_run: true }>
type Tested = Exclude<Answer<"/v1/integrations/{id}/test", "post">, { dry_run: true }>

export function IntegrationTest({ integration }: Tagged) {
  const { id } = integration
  const may = useMay()
  const environments = environmentsOf(integration)
  const { event: named } = useFilters().search
  const [from, setFrom] = useState<"past" | "example">(named === undefined ? "example" : "past")
  const [event, setEvent] = useState<string | null>(named ?? null)
  const [type, setType] = useState("test")
  const [data, setData] = useState('{\n  "message": "Hello from Waybill"\n}')
  const [environment, setEnvironment] = useState<Environment>(
    environments.includes("sandbox") ? "sandbox" : "production",
  )
  const last = useQuery({ ...lastEventsQuery, enabled: may("events:read") })
  const types = useQuery(eventTypesQuery)
  // As text, so that numbers go out with all of their digits.
  const bodyOf = (isDry: boolean): string => {
    if (from === "past") return JSON.stringify({ event, dry_run: isDry })
    const head = JSON.stringify({ type, environment, dry_run: isDry }).slice(0, -1)
    return `${head}${data.trim() === "" ? "" : `,"data":${data}`}}`
  }
  const ask = (isDry: boolean) =>
    given(
      waybill.POST("/v1/integrations/{id}/test", {
        params: { path: { id } },
        body: bodyOf(isDry) as never,
        bodySerializer: body => body as unknown as string,
        headers: { "content-type": "application/json" },
      }),
    )
  const show = useMutation({ mutationFn: async () => (await ask(true)) as Shown })
  const send = useMutation({
    mutationFn: async () => (await ask(false)) as Tested,
    onSuccess: () => renew(id),
  })
  const again = (): void => {
    show.reset()
    send.reset()
  }
  const error = send.error ?? show.error
  useFocusOnFault(error)
  const faults = error === null ? noFaults : faultsOf(error)
  const past = last.data?.data.filter(each => !each.payload_expired) ?? []
  const examples = types.data?.data.filter(({ reserved, examples: has }) => !reserved && has.length > 0) ?? []
  const isReady = from === "past" ? event !== null : isJson(data)
  return (
    <Stack gap="lg" maw={980}>
      <Text size="sm">
        One attempt, also while it is off or not verified. It counts in no history and no protection. The receiver sees{" "}
        <code>"test": true</code>.
      </Text>
      <SegmentedControl
        aria-label="What is sent"
        w="fit-content"
        value={from}
        onChange={value => {
          setFrom(value as "past" | "example")
          again()
        }}
        data={[
          { value: "example", label: "An example" },
          { value: "past", label: "A real past event" },
        ]}
      />
      {from === "past" ? (
        <Select
          label="Event"
          description="One of the last hundred. Its own data is sent again, with a new id."
          placeholder={past.length === 0 ? "No events have come in yet" : "Choose one"}
          searchable
          data={[
            ...past.map(each => ({
              value: each.id,
              label: `${each.type}, ${new Date(each.received_at).toLocaleString()}, ${each.environment}${each.source_record === null ? "" : `, ${each.source_record}`}`,
            })),
            ...(named === undefined || past.some(each => each.id === named) ? [] : [{ value: named, label: named }]),
          ]}
          value={event}
          onChange={value => {
            setEvent(value)
            again()
          }}
          error={faults.get("/event")}
        />
      ) : (
        <Stack>
          <Group align="flex-end" gap="sm">
            <TextInput
              label="Type"
              value={type}
              onChange={({ currentTarget }) => {
                setType(currentTarget.value)
                again()
              }}
              error={faults.get("/type")}
            />
            {examples.length > 0 && (
              <Select
                label="From the catalogue"
                placeholder="Take an example"
                data={examples.map(({ name }) => name)}
                value={null}
                onChange={name => {
                  const found = examples.find(each => each.name === name)
                  if (found === undefined) return
                  setType(found.name)
                  setData(JSON.stringify(found.examples[0], null, 2))
                  again()
                }}
              />
            )}
            <Select
              label="Environment"
              allowDeselect={false}
              data={environments}
              value={environment}
              onChange={value => {
                setEnvironment((value ?? "production") as Environment)
                again()
              }}
              error={faults.get("/environment")}
            />
          </Group>
          <JsonInput
            label="Data"
            description="Any JSON."
            autosize
            minRows={4}
            maxRows={16}
            value={data}
            onChange={value => {
              setData(value)
              again()
            }}
            validationError="This is no JSON yet."
            error={faults.get("/data")}
          />
        </Stack>
      )}
      {error !== null && <Trouble error={error} />}
      <Group>
        <Button variant="default" loading={show.isPending} disabled={!isReady} onClick={() => show.mutate()}>
          Show what would be sent
        </Button>
        <Button
          leftSection={<IconSend size={16} />}
          loading={send.isPending}
          disabled={show.data === undefined || show.data.reason !== null}
          onClick={() => send.mutate()}
        >
          Send it
        </Button>
        {show.data === undefined && (
          <Text size="sm" c="dimmed">
            Nothing goes out before you have seen it.
          </Text>
        )}
      </Group>
      {send.data === undefined ? (
        show.data !== undefined && <Preview shown={show.data} />
      ) : (
        <Outcome tested={send.data} />
      )}
    </Stack>
  )
}

function isJson(text: string): boolean {
  try {
    JSON.parse(text)
    return true
  } catch {
    return false
  }
}

function Preview({ shown }: { readonly shown: Shown }) {
  const { request, reason, payload_masked, token_host, exchange_hidden } = shown
  return (
    <Card withBorder>
      <Stack gap="sm">
        {reason !== null && (
          <Alert color="red" title="Nothing would be sent">
            <ReasonText reason={reason as ReasonView} />
          </Alert>
        )}
        {exchange_hidden && <Text size="sm">Your role does not show requests. You can send it all the same.</Text>}
        {payload_masked && (
          <Text size="sm">Private fields read “[private]” here; the receiver gets their values whole.</Text>
        )}
        {token_host !== null && (
          <Text size="sm">A token is fetched from {token_host} first, and goes along as Authorization.</Text>
        )}
        {request !== null && (
          <>
            <Message
              title="What would be sent"
              order={2}
              line={`${request.method} ${request.url}`}
              headers={request.headers}
              body={request.body}
              name="request.json"
            />
            <Text size="xs" c="dimmed">
              Ids, times and the signature will be those of the moment in which it is sent.
            </Text>
          </>
        )}
      </Stack>
    </Card>
  )
}

function Outcome({ tested }: { readonly tested: Tested }) {
  const { status, reason, response, event, took_ms, exchange_hidden } = tested
  return (
    <Card withBorder role="status">
      <Stack gap="sm">
        <Group gap="sm">
          <Title order={2} size="h4">
            What came back
          </Title>
          <StatusBadge status={status} />
          <Text size="sm">
            {took_ms !== null && `after ${lasting(took_ms)}, `}event <IdLink id={event} />
          </Text>
        </Group>
        {reason !== null && <ReasonText reason={reason as unknown as ReasonView} />}
        {exchange_hidden && <Text size="sm">Your role does not show the answer itself.</Text>}
        {response !== null && (
          <Message
            title={response.truncated ? "Answer (its beginning)" : "Answer"}
            line={`Status ${response.status}`}
            headers={response.headers.map(([name = "", value = ""]) => ({ name, value }))}
            body={response.body}
            name="answer.txt"
          />
        )}
      </Stack>
    </Card>
  )
}
