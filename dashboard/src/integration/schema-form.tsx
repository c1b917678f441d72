/**
 * A form that is drawn from a JSON Schema, as the API gives it with each connector: titles, descriptions, secrets, bounds
 * and alternatives stand there and nowhere else. What the API says is wrong goes to its field by JSON pointer.
 */
import {
  ActionIcon,
  Button,
  Fieldset,
  Group,
  NumberInput,
  Select,
  Stack,
  Switch,
  Text,
  Textarea,
  TextInput,
} from "@mantine/core"
import { IconPlus, IconTrash } from "@tabler/icons-react"
import { type ReactNode, useState } from "react"
import { SecretField } from "../parts/secret-field.tsx"
import { type Faults, isObject, type Json, pointerTo } from "./data.ts"
import { faultOfName } from "./free-name.ts"

/** Texts that may be longer than this are written over several lines. */
const LONG_CHARACTERS = 10_000

interface FieldProps {
  readonly schema: Json
  readonly name: string
  readonly value: unknown
  readonly onChange: (value: unknown) => void
  readonly pointer: string
  readonly faults: Faults
  readonly required: boolean
  /** What else is to be said at a place, by its pointer. */
  readonly notes?: Readonly<Record<string, ReactNode>> | undefined
}

/** The members of an object schema, one below the other. */
export function SchemaForm({
  schema,
  value,
  onChange,
  pointer,
  faults,
  notes,
  leaveOut = [],
}: Omit<FieldProps, "name" | "required" | "value" | "onChange"> & {
  readonly value: Json
  readonly onChange: (value: Json) => void
  readonly leaveOut?: readonly string[]
}) {
  const properties = isObject(schema["properties"]) ? schema["properties"] : {}
  const required = Array.isArray(schema["required"]) ? (schema["required"] as string[]) : []
  return (
    <Stack gap="md">
      {faults.get(pointer) !== undefined && (
        <Text size="sm" c="var(--mantine-color-error)" role="alert">
          {faults.get(pointer)}
        </Text>
      )}
      {Object.entries(properties)
        .filter(([name]) => !leaveOut.includes(name))
        .map(([name, member]) => (
          <Stack key={name} gap={6}>
            <Field
              schema={member as Json}
              name={name}
              value={value[name]}
              onChange={next => onChange(withMember(value, name, next))}
              pointer={pointerTo(pointer, name)}
              faults={faults}
              required={required.includes(name)}
              notes={notes}
            />
            {notes?.[pointerTo(pointer, name)]}
          </Stack>
        ))}
    </Stack>
  )
}

function Field(props: FieldProps) {
  const { schema } = props
  if (Array.isArray(schema["oneOf"])) return <Alternatives {...props} branches={schema["oneOf"] as Json[]} />
  if (schema["type"] === "object" && isObject(schema["additionalProperties"])) return <TextMap {...props} />
  if (schema["type"] === "object") return <Part {...props} />
  return <Single {...props} />
}

/** An object that may be left out: a switch says whether it is there. */
function Part({ schema, name, value, onChange, pointer, faults, required, notes }: FieldProps) {
  const isThere = isObject(value)
  const title = titleOf(schema, name)
  return (
    <Fieldset legend={title}>
      <Stack gap="sm">
        {!required && (
          <Switch
            label={`Set ${lower(title)}`}
            description={textOf(schema, "description")}
            checked={isThere}
            onChange={({ currentTarget }) => onChange(currentTarget.checked ? {} : undefined)}
            error={isThere ? undefined : faults.get(pointer)}
          />
        )}
        {isThere && (
          <SchemaForm
            schema={schema}
            value={value}
            onChange={onChange}
            pointer={pointer}
            faults={faults}
            notes={notes}
          />
        )}
      </Stack>
    </Fieldset>
  )
}

/** One of several objects, told apart by a field. */
function Alternatives({
  schema,
  name,
  value,
  onChange,
  pointer,
  faults,
  branches,
}: FieldProps & { readonly branches: readonly Json[] }) {
  const by = isObject(schema["discriminator"]) ? String(schema["discriminator"]["propertyName"]) : "kind"
  const kindOf = (branch: Json) => String(((branch["properties"] as Json)[by] as Json)["const"])
  const current = isObject(value) ? String(value[by]) : null
  const branch = branches.find(each => kindOf(each) === current)
  return (
    <Fieldset legend={titleOf(schema, name)}>
      <Stack gap="sm">
        <Select
          label={`Kind of ${lower(titleOf(schema, name))}`}
          description={textOf(schema, "description")}
          placeholder="None"
          clearable
          data={branches.map(each => ({ value: kindOf(each), label: titleOf(each, kindOf(each)) }))}
          value={current}
          onChange={kind => onChange(kind === null ? undefined : { [by]: kind })}
          error={faults.get(pointer)}
        />
        {branch !== undefined && isObject(value) && (
          <SchemaForm
            schema={branch}
            value={value}
            onChange={onChange}
            pointer={pointer}
            faults={new Map([...faults].filter(([at]) => at !== pointer))}
            leaveOut={[by]}
          />
        )}
      </Stack>
    </Fieldset>
  )
}

/** Headers: texts by a name of one's own. */
function TextMap({ schema, name, value, onChange, pointer, faults }: FieldProps) {
  const [fresh, setFresh] = useState("")
  const [isTried, setTried] = useState(false)
  const entries = Object.entries(isObject(value) ? value : {})
  const fault = faultOfName(
    fresh.trim(),
    entries.map(([key]) => key),
  )
  const member = schema["additionalProperties"] as Json
  const set = (next: readonly (readonly [string, unknown])[]) =>
    onChange(next.length === 0 ? undefined : Object.fromEntries(next))
  const add = (): void => {
    setTried(true)
    if (fresh.trim() === "" || fault !== null) return
    set([...entries, [fresh.trim(), ""]])
    setFresh("")
  }
  return (
    <Fieldset legend={titleOf(schema, name)}>
      <Stack gap="sm">
        <Text size="xs" c="dimmed">
          {textOf(schema, "description")}
        </Text>
        {entries.map(([key, text]) => (
          <Group key={key} align="flex-end" gap="xs" wrap="nowrap">
            <div className="grow">
              <Single
                schema={{ ...member, title: key, description: undefined }}
                name={key}
                value={text}
                onChange={next => set(entries.map(each => (each[0] === key ? [key, next ?? ""] : each)))}
                pointer={pointerTo(pointer, key)}
                faults={faults}
                required
              />
            </div>
            <ActionIcon
              variant="default"
              size={36}
              aria-label={`Remove ${key}`}
              onClick={() => set(entries.filter(each => each[0] !== key))}
            >
              <IconTrash size={16} />
            </ActionIcon>
          </Group>
        ))}
        <Group align="flex-end" gap="xs" wrap="nowrap">
          <TextInput
            className="grow"
            label={`Name of another one`}
            value={fresh}
            error={isTried ? fault : null}
            onChange={({ currentTarget }) => {
              setFresh(currentTarget.value)
              setTried(false)
            }}
            onKeyDown={event => {
              if (event.key !== "Enter") return
              event.preventDefault()
              add()
            }}
          />
          <Button
            variant="default"
            leftSection={<IconPlus size={15} />}
            onClick={add}
            aria-label={`Add to ${titleOf(schema, name)}`}
          >
            Add
          </Button>
        </Group>
      </Stack>
    </Fieldset>
  )
}

function Single({ schema, name, value, onChange, pointer, faults, required }: FieldProps) {
  const common = {
    label: titleOf(schema, name),
    description: textOf(schema, "description"),
    error: faults.get(pointer),
    required,
  }
  const byDefault = schema["default"]
  const placeholder = byDefault === undefined ? undefined : `${String(byDefault)}, where it is left out`
  const choices = choicesOf(schema)
  if (choices !== undefined) {
    return (
      <Select
        {...common}
        data={choices}
        placeholder={placeholder ?? "Left out"}
        clearable={!required}
        value={typeof value === "string" ? value : null}
        onChange={next => onChange(next ?? undefined)}
      />
    )
  }
  if (schema["type"] === "boolean") {
    return (
      <Switch
        {...common}
        checked={value === undefined ? byDefault === true : value === true}
        onChange={({ currentTarget }) => onChange(currentTarget.checked)}
      />
    )
  }
  if (schema["type"] === "integer" || schema["type"] === "number") {
    return (
      <NumberInput
        {...common}
        placeholder={placeholder ?? ""}
        value={typeof value === "number" ? value : ""}
        allowDecimal={schema["type"] === "number"}
        thousandSeparator=","
        onChange={next => onChange(typeof next === "number" ? next : undefined)}
      />
    )
  }
  if (schema["secret"] === true && isObject(value)) return <KeptSecret {...common} onReplace={() => onChange("")} />
  const text = typeof value === "string" ? value : ""
  const change = (next: string) => onChange(next === "" && !required ? undefined : next)
  const isLong = Number(schema["maxLength"] ?? 0) > LONG_CHARACTERS
  if (isLong) {
    return (
      <Textarea
        {...common}
        autosize
        minRows={3}
        maxRows={10}
        value={text}
        placeholder={placeholder ?? ""}
        onChange={({ currentTarget }) => change(currentTarget.value)}
      />
    )
  }
  const Input = schema["secret"] === true ? SecretField : TextInput
  return (
    <Input
      {...common}
      autoComplete="off"
      spellCheck={false}
      value={text}
      placeholder={placeholder ?? ""}
      onChange={({ currentTarget }) => change(currentTarget.value)}
    />
  )
}

/** A secret that is kept and never shown: it stays, or another one takes its place. */
function KeptSecret({
  label,
  description,
  error,
  onReplace,
}: {
  readonly label: string
  readonly description: string | undefined
  readonly error: string | undefined
  readonly onReplace: () => void
}) {
  return (
    <Group align="flex-end" gap="xs" wrap="nowrap">
      <TextInput
        className="grow"
        label={label}
        description={description}
        error={error}
        value="Kept, and not shown"
        readOnly
      />
      <Button variant="default" onClick={onReplace} aria-label={`Replace ${label}`}>
        Replace
      </Button>
    </Group>
  )
}

/** The values of an enumeration, in any of the forms that a schema has for it. */
function choicesOf(schema: Json): string[] | undefined {
  if (Array.isArray(schema["enum"])) return schema["enum"].map(String)
  const any = schema["anyOf"]
  if (!Array.isArray(any) || !any.every(each => isObject(each) && typeof each["const"] === "string")) return undefined
  return any.map(each => String((each as Json)["const"]))
}

function withMember(object: Json, name: string, value: unknown): Json {
  const { [name]: _, ...rest } = object
  return value === undefined ? rest : { ...rest, [name]: value }
}

function titleOf(schema: Json, name: string): string {
  return textOf(schema, "title") ?? name
}

function textOf(schema: Json, name: string): string | undefined {
  const text = schema[name]
  return typeof text === "string" ? text : undefined
}

/** In the middle of a sentence; what is written in capitals stays so. */
function lower(title: string): string {
  return /^[A-Z]{2}|^[A-Z]\d/.test(title) ? title : title.charAt(0).toLowerCase() + title.slice(1)
}
