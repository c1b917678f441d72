/** The filter of an integration, as a form or as JSON, tried on real past events before it is saved. */
import {
  ActionIcon,
  Autocomplete,
  Button,
  Group,
  List,
  SegmentedControl,
  Select,
  Stack,
  Table,
  Text,
  Textarea,
  TextInput,
} from "@mantine/core"
import { useDebouncedValue } from "@mantine/hooks"
import { IconPlus, IconTrash } from "@tabler/icons-react"
import { useQuery } from "@tanstack/react-query"
import { useState } from "react"
import { given, WaybillProblem } from "waybill-sdk"
import { Lacking, useMay } from "../parts/access.tsx"
import { CodeBlock, prettyJson } from "../parts/code.tsx"
import { LinkTo } from "../parts/link.tsx"
import { Moment } from "../parts/moment.tsx"
import { Answered, Empty } from "../parts/page.tsx"
import { IdLink } from "../parts/place.tsx"
import { ColourBadge } from "../parts/status.tsx"
import type { Colour } from "../status.ts"
import { type Answer, waybill } from "../waybill.ts"
import { type Condition, conditionsOf, isSameFilter, type Operator, operators, textOfConditions } from "./conditions.ts"
import { eventTypesQuery, isObject, type Tagged } from "./data.ts"
import { jsonFaultOf, placeOfPointer, type TextPlace } from "./json-place.ts"
import { isStale, useSave } from "./save.ts"
import { SaveBar } from "./save-bar.tsx"

type Tried = Answer<"/v1/filters/try", "post">

const envelope = ["type", "app", "environment", "profile_id", "device_id", "source_record", "source", "external_id"]
const times = ["occurred_at", "received_at"]
const EXAMPLE = '{ "eq": ["data.plan", "pro"] }'

export function IntegrationFilter(tagged: Tagged) {
  const may = useMay()
  const kept = textOf(tagged)
  const [held, hold] = useState(tagged)
  const [text, setText] = useState(kept)
  const [isForm, setForm] = useState(() => conditionsOf(kept) !== null)
  const saving = useSave(held, () => undefined)
  const [settled] = useDebouncedValue(text, 400)
  if (!may("integrations:write")) {
    return kept === "" ? (
      <Text size="sm">It has no filter: all events of its types go out.</Text>
    ) : (
      <Stack>
        <CodeBlock text={kept} label="The filter" />
        <Lacking scope="integrations:write" />
      </Stack>
    )
  }
  const isSame = isSameFilter(text, textOf(held))
  // Saved, or changed by somebody while nothing was typed here.
  if (held.tag !== tagged.tag && (isSame || isSameFilter(text, kept))) {
    hold(tagged)
    if (text !== kept) setText(kept)
  }
  const conditions = conditionsOf(text)
  const fault = text.trim() === "" ? null : jsonFaultOf(text)
  const save = () => saving.save(`{"filter":${text.trim() === "" ? "null" : text}}`)
  return (
    <Stack gap="lg">
      <Stack maw={860}>
        <Text size="sm">
          Only events that fit go out. The others are listed as not sent, with this as the reason. Empty: all go out.
        </Text>
        <SegmentedControl
          aria-label="How the filter is written"
          w="fit-content"
          value={isForm ? "form" : "json"}
          onChange={value => setForm(value === "form")}
          data={[
            { value: "form", label: "Conditions" },
            { value: "json", label: "JSON" },
          ]}
        />
        {isForm && conditions !== null && (
          <Conditions conditions={conditions} onChange={next => setText(textOfConditions(next))} />
        )}
        {isForm && conditions === null && (
          <Text size="sm">
            This filter is more than a list of conditions that all hold. Edit it as JSON; nothing of it is lost.
          </Text>
        )}
        {!isForm && (
          <Textarea
            label="Filter as JSON"
            description={`Such as ${EXAMPLE}; joined by and, or, not.`}
            autosize
            minRows={6}
            maxRows={24}
            spellCheck={false}
            value={text}
            onChange={({ currentTarget }) => setText(currentTarget.value)}
            classNames={{ input: "mono" }}
            error={fault === null ? undefined : `${placeText(fault.place)}${fault.message}`}
          />
        )}
        {saving.error !== null && !isStale(saving.error) && <Faults error={saving.error} text={text} />}
        <SaveBar
          saving={{ ...saving, error: isStale(saving.error) ? saving.error : null }}
          isChanged={!isSame && fault === null}
          label="Save the filter"
          submit={save}
          discard={() => {
            hold(tagged)
            setText(kept)
            saving.reset()
          }}
        />
      </Stack>
      {fault === null && <Tries text={settled} id={tagged.integration.id} isSaved={isSame} />}
    </Stack>
  )
}

/** What is kept, as it is edited: conditions as the form writes them, all else with line breaks; every number as it was written. */
function textOf({ filterText }: Tagged): string {
  if (filterText === "null") return ""
  const conditions = conditionsOf(filterText)
  return conditions === null ? (prettyJson(filterText) ?? filterText) : textOfConditions(conditions)
}

function placeText(place: TextPlace | null): string {
  return place === null ? "" : `Line ${place.line}, column ${place.column}: `
}

/** What the API says of a filter, each with where it stands in the text. */
function Faults({ error, text }: { readonly error: Error; readonly text: string }) {
  const errors = error instanceof WaybillProblem ? error.errors : []
  return (
    <Stack gap={4} role="alert">
      <Text size="sm" c="var(--mantine-color-error)">
        {errors.length === 0 ? error.message : "The filter is not right yet:"}
      </Text>
      <List size="sm">
        {errors.map(({ pointer, message }) => (
          <List.Item key={pointer}>
            {placeText(placeOfPointer(text, pointer.replace(/^\/filter/, "")))}
            {message}
          </List.Item>
        ))}
      </List>
    </Stack>
  )
}

function Conditions({
  conditions,
  onChange,
}: {
  readonly conditions: readonly Condition[]
  readonly onChange: (conditions: readonly Condition[]) => void
}) {
  const { data: types } = useQuery(eventTypesQuery)
  const examples = types?.data.flatMap(({ reserved, examples: each }) => (reserved ? [] : each)) ?? []
  const fields = examples.flatMap(each => (isObject(each) ? Object.keys(each).map(key => `data.${key}`) : []))
  const known = [...new Set([...envelope, ...times, ...fields])]
  const set = (place: number, change: Partial<Condition>) =>
    onChange(conditions.map((each, i) => (i === place ? { ...each, ...change } : each)))
  return (
    <Stack gap="xs">
      {conditions.length === 0 && <Text size="sm">No condition: all events go out.</Text>}
      {conditions.map((condition, i) => (
        // biome-ignore lint/suspicious/noArrayIndexKey: two rows may be alike
        <Group key={i} gap="xs" align="flex-end">
          <Autocomplete
            label="Field"
            data={known}
            value={condition.field}
            onChange={field => set(i, { field })}
            w={{ base: "100%", xs: 220 }}
          />
          <Select
            label="Condition"
            allowDeselect={false}
            data={Object.entries(operators).map(([value, label]) => ({ value, label }))}
            value={condition.operator}
            onChange={operator => set(i, { operator: (operator ?? "eq") as Operator })}
            w={150}
          />
          {condition.operator !== "exists" && (
            <TextInput
              label="Value"
              value={condition.value}
              onChange={({ currentTarget }) => set(i, { value: currentTarget.value })}
              w={170}
            />
          )}
          <ActionIcon
            variant="default"
            size={36}
            aria-label={`Remove the condition on ${condition.field}`}
            onClick={() => onChange(conditions.filter((_, place) => place !== i))}
          >
            <IconTrash size={16} />
          </ActionIcon>
        </Group>
      ))}
      <Button
        variant="default"
        size="xs"
        w="fit-content"
        leftSection={<IconPlus size={15} />}
        onClick={() => onChange([...conditions, { field: "type", operator: "eq", value: "" }])}
      >
        Add a condition
      </Button>
      <Text size="xs" c="dimmed">
        All have to hold. Numbers, true, false and null are taken as such; put them in quotes to mean texts. What an
        event holds is called data.…, as in data.plan.
      </Text>
    </Stack>
  )
}

const outcomes: Readonly<Record<Tried["data"][number]["outcome"], readonly [Colour, string]>> = {
  passes: ["green", "Passes"],
  filtered: ["grey", "Held back by this filter"],
  no_endpoint: ["grey", "No endpoint for its environment"],
  type_disabled: ["grey", "Its type is off"],
  historical: ["grey", "Imported history"],
  other_app: ["grey", "Of another app"],
  payload_gone: ["grey", "Cannot be told: its data is gone"],
}

/** Which of the last events would pass. */
function Tries({ text, id, isSaved }: { readonly text: string; readonly id: string; readonly isSaved: boolean }) {
  const query = useQuery({
    queryKey: ["filters", "try", id, text],
    queryFn: () =>
      given(
        waybill.POST("/v1/filters/try", {
          // As text, so that numbers keep all of their digits.
          body: `{"integration":"${id}","filter":${text.trim() === "" ? "null" : text}}` as never,
          bodySerializer: body => body as unknown as string,
          headers: { "content-type": "application/json" },
        }),
      ),
    enabled: text.trim() === "" || jsonFaultOf(text) === null,
    placeholderData: before => before,
    retry: false,
  })
  if (query.error instanceof WaybillProblem && query.error.status === 422) {
    return <Faults error={query.error} text={text} />
  }
  return (
    <Answered query={query}>
      {({ data, passed, tried, searched_back_to }) =>
        data.length === 0 ? (
          <Empty title="No events to try it on">Send some events first; then see here which of them would pass.</Empty>
        ) : (
          <Stack gap="xs">
            <Text fw={600} role="status">
              {passed} of the last {tried} events would go out.
            </Text>
            {data.some(({ payload_masked }) => payload_masked) && (
              <Text size="sm" c="dimmed">
                Private fields read “[private]” here. When an event comes in, the filter sees their values.
              </Text>
            )}
            {searched_back_to !== null && (
              <Text size="sm" c="dimmed">
                Tried back to {new Date(searched_back_to).toLocaleString()}; the filter takes long over larger events.
              </Text>
            )}
            <Table.ScrollContainer minWidth={680}>
              <Table aria-label="The last events under this filter">
                <Table.Thead>
                  <Table.Tr>
                    <Table.Th>Received</Table.Th>
                    <Table.Th>Event</Table.Th>
                    <Table.Th>Environment</Table.Th>
                    <Table.Th>Under this filter</Table.Th>
                    <Table.Th>
                      <span className="visually-hidden">What would be sent</span>
                    </Table.Th>
                  </Table.Tr>
                </Table.Thead>
                <Table.Tbody>
                  {data.map(({ event, outcome }) => {
                    const [colour, word] = outcomes[outcome]
                    return (
                      <Table.Tr key={event.id}>
                        <Table.Td>
                          <Moment at={event.received_at} />
                        </Table.Td>
                        <Table.Td>
                          <IdLink id={event.id} name={event.type} />
                        </Table.Td>
                        <Table.Td>{event.environment}</Table.Td>
                        <Table.Td>
                          <ColourBadge colour={colour} word={word} />
                        </Table.Td>
                        <Table.Td>
                          {outcome === "passes" && (
                            <LinkTo
                              to="/integrations/$id"
                              params={{ id }}
                              search={{ tab: "test", event: event.id }}
                              size="sm"
                              // What is typed here and not saved yet stays where it is.
                              target={isSaved ? undefined : "_blank"}
                            >
                              See what would be sent
                              <span className="visually-hidden">
                                {" "}
                                of {event.id}
                                {!isSaved && ", in a new window"}
                              </span>
                            </LinkTo>
                          )}
                        </Table.Td>
                      </Table.Tr>
                    )
                  })}
                </Table.Tbody>
              </Table>
            </Table.ScrollContainer>
          </Stack>
        )
      }
    </Answered>
  )
}
