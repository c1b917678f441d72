/** Which event types go out, and under which name: a row for each type that is known or came in lately, or the same as JSON. */
import {
  ActionIcon,
  Button,
  Group,
  SegmentedControl,
  Stack,
  Switch,
  Table,
  Text,
  Textarea,
  TextInput,
  Tooltip,
} from "@mantine/core"
import { IconArrowBackUp, IconPlus, IconTrash } from "@tabler/icons-react"
import { useQuery } from "@tanstack/react-query"
import { useState } from "react"
import { useMay } from "../parts/access.tsx"
import { Lines } from "../parts/page.tsx"
import {
  eventTypesQuery,
  type Faults,
  isObject,
  lastEventsQuery,
  nameOfType,
  patchBetween,
  pointerTo,
  type Tagged,
  type TypeRule,
} from "./data.ts"
import { jsonFaultOf } from "./json-place.ts"
import { useSave } from "./save.ts"
import { SaveBar } from "./save-bar.tsx"

interface Rules {
  readonly default: string
  readonly types: Readonly<Record<string, TypeRule>>
}

export function IntegrationTypes(tagged: Tagged) {
  const may = useMay()
  const [held, hold] = useState(tagged)
  const kept = rulesOf(held)
  const [rules, setRules] = useState(kept)
  const [text, setText] = useState<string>()
  const saving = useSave(held)
  const patch = patchBetween(kept, rules)
  // Saved, or changed by somebody while nothing was changed here.
  if (held.tag !== tagged.tag && (patch === undefined || patchBetween(rulesOf(tagged), rules) === undefined)) {
    hold(tagged)
    setRules(rulesOf(tagged))
  }
  const blanks = Object.entries(rules.types).filter(([, rule]) => isBlank(rule))
  const read = text === undefined ? rules : readRules(text)
  const fault = typeof read === "string" ? read : undefined
  const mayWrite = may("integrations:write")
  const change = (next: Rules) => {
    saving.reset()
    setRules(next)
  }
  return (
    <Stack>
      <Text size="sm">
        Switch types on and off, and give them the names that the receiver knows. A rule for one type beats a rule for a
        prefix such as trial_*, and that beats “all other types”.
      </Text>
      <SegmentedControl
        aria-label="How the table is edited"
        w="fit-content"
        value={text === undefined ? "form" : "json"}
        onChange={value => {
          if (value === "json") setText(JSON.stringify(rules, null, 2))
          else if (fault === undefined) setText(undefined)
        }}
        data={[
          { value: "form", label: "Table" },
          { value: "json", label: "JSON" },
        ]}
      />
      {text === undefined ? (
        <Rows rules={rules} onChange={change} faults={saving.faults} mayWrite={mayWrite} />
      ) : (
        <Textarea
          label="Event types as JSON"
          description='default is "on" or "off"; types holds a rule by type or prefix, each with enabled and name.'
          autosize
          minRows={8}
          maxRows={30}
          spellCheck={false}
          readOnly={!mayWrite}
          value={text}
          classNames={{ input: "mono" }}
          onChange={({ currentTarget }) => {
            setText(currentTarget.value)
            const next = readRules(currentTarget.value)
            if (typeof next !== "string") change(next)
          }}
          error={fault}
        />
      )}
      {blanks.length > 0 && (
        <Text size="sm" c="var(--mantine-color-error)" role="alert">
          {blanks.map(([type]) => type).join(", ")}: a type that goes out needs a name. Type one, copy the default back,
          or switch it off.
        </Text>
      )}
      {mayWrite ? (
        <SaveBar
          saving={saving}
          isChanged={patch !== undefined && blanks.length === 0 && fault === undefined}
          label="Save event types"
          submit={() => saving.save({ events: patch })}
          discard={() => {
            hold(tagged)
            setRules(rulesOf(tagged))
            setText(undefined)
            saving.reset()
          }}
        />
      ) : (
        <Text size="sm" c="dimmed">
          Your role reads this table and does not change it.
        </Text>
      )}
    </Stack>
  )
}

function rulesOf({ integration: { events } }: Tagged): Rules {
  return { default: events.default, types: events.types as Rules["types"] }
}

/** On, with a name that says nothing. */
function isBlank({ enabled, name }: TypeRule): boolean {
  return enabled !== false && name !== undefined && name.trim() === ""
}

/** Rules as they were typed, or what is wrong with them. */
function readRules(text: string): Rules | string {
  const fault = jsonFaultOf(text)
  if (fault !== null) {
    const { place } = fault
    return `${place === null ? "" : `Line ${place.line}, column ${place.column}: `}${fault.message}`
  }
  const value: unknown = JSON.parse(text)
  if (!isObject(value)) return 'This has to be an object, such as {"default": "on", "types": {}}.'
  const { default: byDefault = "on", types = {} } = value
  if (byDefault !== "on" && byDefault !== "off") return 'default has to be "on" or "off".'
  if (!isObject(types)) return "types has to be an object, with a rule by each type."
  const wrong = Object.entries(types).find(([, rule]) => {
    return (
      !isObject(rule) ||
      Object.keys(rule).some(key => key !== "enabled" && key !== "name") ||
      (rule["enabled"] !== undefined && typeof rule["enabled"] !== "boolean") ||
      (rule["name"] !== undefined && typeof rule["name"] !== "string")
    )
  })
  if (wrong !== undefined) return `${wrong[0]}: a rule is an object with enabled (true or false) and name (a text).`
  return { default: byDefault, types: types as Rules["types"] }
}

function Rows({
  rules,
  onChange,
  faults,
  mayWrite,
}: {
  readonly rules: Rules
  readonly onChange: (rules: Rules) => void
  readonly faults: Faults
  readonly mayWrite: boolean
}) {
  const may = useMay()
  const catalogue = useQuery(eventTypesQuery)
  const last = useQuery({ ...lastEventsQuery, enabled: may("events:read") })
  const [fresh, setFresh] = useState("")
  const [showsOwn, setShowsOwn] = useState(false)
  if (catalogue.data === undefined) return <Lines count={6} />
  const known = new Map(catalogue.data.data.map(type => [type.name, type]))
  const lately = new Set(last.data?.data.map(({ type }) => type) ?? [])
  const named = Object.keys(rules.types)
  const types = [...new Set([...known.keys(), ...lately])]
    .filter(type => !named.includes(type) && (showsOwn || !type.startsWith("waybill.")))
    .sort()
  const set = (key: string, rule: TypeRule | undefined): void => {
    const { [key]: _, ...rest } = rules.types
    onChange({ ...rules, types: rule === undefined ? rest : { ...rules.types, [key]: rule } })
  }
  const add = (): void => {
    const key = fresh.trim()
    if (key === "") return
    set(key, rules.types[key] ?? { enabled: true })
    setFresh("")
  }
  return (
    <Stack>
      <Table.ScrollContainer minWidth={520}>
        <Table aria-label="Event types">
          <Table.Thead>
            <Table.Tr>
              <Table.Th>Goes out</Table.Th>
              <Table.Th>Type</Table.Th>
              <Table.Th>Under the name</Table.Th>
            </Table.Tr>
          </Table.Thead>
          <Table.Tbody>
            <Table.Tr>
              <Table.Td>
                <Switch
                  aria-label="All other types go out"
                  checked={rules.default !== "off"}
                  disabled={!mayWrite}
                  onChange={({ currentTarget }) =>
                    onChange({ ...rules, default: currentTarget.checked ? "on" : "off" })
                  }
                />
              </Table.Td>
              <Table.Td>
                <Text size="sm" fw={600}>
                  All other types
                </Text>
                <Text size="xs" c="dimmed">
                  Those that have no rule, also ones that come in for the first time.
                </Text>
              </Table.Td>
              <Table.Td>
                <Text size="sm" c="dimmed">
                  Each under its own
                </Text>
              </Table.Td>
            </Table.Tr>
            {[...named.sort(), ...types].map(type => (
              <Row
                key={type}
                type={type}
                says={known.get(type)?.description ?? (lately.has(type) ? "Came in lately." : undefined)}
                rules={rules}
                onChange={rule => set(type, rule)}
                fault={
                  faults.get(pointerTo("/events/types", type)) ?? faults.get(`${pointerTo("/events/types", type)}/name`)
                }
                mayWrite={mayWrite}
              />
            ))}
          </Table.Tbody>
        </Table>
      </Table.ScrollContainer>
      <Group align="flex-end" gap="xs">
        {mayWrite && (
          <>
            <TextInput
              label="Another type, or a prefix"
              placeholder="trial_*"
              value={fresh}
              onChange={({ currentTarget }) => setFresh(currentTarget.value)}
              onKeyDown={({ key }) => key === "Enter" && add()}
            />
            <Button variant="default" leftSection={<IconPlus size={15} />} onClick={add}>
              Add a rule
            </Button>
          </>
        )}
        <Switch
          label="Show Waybill's own events"
          description="They go out only by a rule of their own."
          checked={showsOwn}
          onChange={({ currentTarget }) => setShowsOwn(currentTarget.checked)}
        />
      </Group>
    </Stack>
  )
}

function Row({
  type,
  says,
  rules,
  onChange,
  fault,
  mayWrite,
}: {
  readonly type: string
  readonly says: string | undefined
  readonly rules: Rules
  readonly onChange: (rule: TypeRule | undefined) => void
  readonly fault: string | undefined
  readonly mayWrite: boolean
}) {
  const rule = rules.types[type]
  const isPrefix = type.endsWith("*")
  const { [type]: _, ...others } = rules.types
  const without = nameOfType({ ...rules, types: others }, type)
  const { on, by } = nameOfType(rules, type)
  const isOn = isPrefix ? rule?.enabled !== false : on || (rule !== undefined && isBlank(rule))
  const own = rule?.name
  const byDefault = isPrefix ? "" : type
  /** No rule where it would say nothing. */
  const change = (enabled: boolean, name: string | undefined): void => {
    const isNeeded = isPrefix || name !== undefined || enabled !== without.on
    onChange(isNeeded ? { enabled, ...(name !== undefined && { name }) } : undefined)
  }
  return (
    <Table.Tr>
      <Table.Td>
        <Switch
          aria-label={`${type} goes out`}
          checked={isOn}
          disabled={!mayWrite}
          onChange={({ currentTarget }) => change(currentTarget.checked, own?.trim() === "" ? undefined : own)}
        />
      </Table.Td>
      <Table.Td>
        <Text size="sm" className="wrap-anywhere">
          {type}
        </Text>
        <Text size="xs" c="dimmed">
          {isPrefix ? `All that begin with ${type.slice(0, -1)}.` : says}
          {rule === undefined && by !== "default" && ` By the rule for ${by}.`}
        </Text>
      </Table.Td>
      <Table.Td>
        <Group gap="xs" wrap="nowrap" align="flex-start">
          <TextInput
            className="grow"
            aria-label={`Name of ${type}`}
            placeholder={isPrefix ? "Each under its own" : ""}
            value={own ?? byDefault}
            disabled={!isOn || !mayWrite}
            onChange={({ currentTarget }) => {
              const name = currentTarget.value
              change(true, name === byDefault ? undefined : name)
            }}
            error={fault ?? (rule !== undefined && isBlank(rule) ? "A type that goes out needs a name." : undefined)}
          />
          {mayWrite && own !== undefined && (
            <Tooltip label="Copy the default back">
              <ActionIcon
                variant="default"
                size={36}
                aria-label={`Copy the default name of ${type} back`}
                onClick={() => change(isOn, undefined)}
              >
                <IconArrowBackUp size={16} />
              </ActionIcon>
            </Tooltip>
          )}
          {mayWrite && rule !== undefined && (
            <Tooltip label="Take the rule away">
              <ActionIcon
                variant="default"
                size={36}
                aria-label={`Take the rule for ${type} away`}
                onClick={() => onChange(undefined)}
              >
                <IconTrash size={16} />
              </ActionIcon>
            </Tooltip>
          )}
        </Group>
      </Table.Td>
    </Table.Tr>
  )
}
