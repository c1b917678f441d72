/** The inputs that set the filters of a page, and named sets of them. */
import {
  ActionIcon,
  Autocomplete,
  Button,
  Group,
  Menu,
  Modal,
  Pill,
  Select,
  Stack,
  Text,
  TextInput,
  type TextInputProps,
} from "@mantine/core"
import { DateTimePicker } from "@mantine/dates"
import { useDisclosure, useLocalStorage } from "@mantine/hooks"
import { IconBookmark, IconTrash } from "@tabler/icons-react"
import { useQuery } from "@tanstack/react-query"
import dayjs from "dayjs"
import { type FormEvent, useEffect, useState } from "react"
import { given } from "waybill-sdk"
import { portal } from "../portal.ts"
import type { Search } from "../router.tsx"
import { sessionQuery, waybill } from "../waybill.ts"
import { useMay } from "./access.tsx"
import { zone } from "./moment.tsx"
import { reasonsQuery } from "./reasons-query.ts"
import type { Filters } from "./search.ts"

interface FilterProps {
  readonly filters: Filters
  /** Of the query parameter. */
  readonly name: string
  readonly label: string
}

/** A text that is taken with Enter, or when one goes on. */
export function FilterText({ filters, name, label, ...props }: FilterProps & Omit<TextInputProps, "name">) {
  const { text, setText, take, onKeyDown } = useTyped(filters, name)
  return (
    <TextInput
      label={label}
      value={text}
      onChange={event => setText(event.currentTarget.value)}
      onBlur={() => take(text)}
      onKeyDown={onKeyDown}
      {...props}
    />
  )
}

/** The same with suggestions. */
export function FilterSuggest({
  filters,
  name,
  label,
  data,
  placeholder,
}: FilterProps & { readonly data: readonly string[]; readonly placeholder?: string }) {
  const { text, setText, take, onKeyDown } = useTyped(filters, name)
  return (
    <Autocomplete
      label={label}
      data={[...data]}
      limit={50}
      value={text}
      onChange={setText}
      onOptionSubmit={take}
      onBlur={() => take(text)}
      onKeyDown={onKeyDown}
      placeholder={placeholder}
      clearable
      onClear={() => take("")}
    />
  )
}

function useTyped({ search, set }: Filters, name: string) {
  const value = search[name] ?? ""
  const [text, setText] = useState(value)
  useEffect(() => setText(value), [value])
  const take = (typed: string) => {
    const trimmed = typed.trim()
    if (trimmed !== value) set({ [name]: trimmed })
  }
  const onKeyDown = (event: { readonly key: string }) => {
    if (event.key === "Enter") take(text)
  }
  return { text, setText, take, onKeyDown }
}

export function FilterSelect({
  filters: { search, set },
  name,
  label,
  data,
  searchable = false,
}: FilterProps & {
  readonly data: readonly { readonly value: string; readonly label: string }[]
  readonly searchable?: boolean
}) {
  const value = search[name] ?? null
  // What the URL names may be none of them any more, such as an integration that was removed.
  const known = value === null || data.some(each => each.value === value) ? data : [...data, { value, label: value }]
  return (
    <Select
      label={label}
      placeholder="Any"
      data={[...known]}
      value={value}
      onChange={chosen => set({ [name]: chosen ?? undefined })}
      clearable
      searchable={searchable}
    />
  )
}

const HOUR_MS = 3_600_000

/** From when to when; the texts of the URL are RFC 3339, what is shown is the reader's zone. */
export function FilterTimes({ filters: { search, set } }: { readonly filters: Filters }) {
  const local = (text: string | undefined) => (text === undefined ? null : dayjs(text).format("YYYY-MM-DD HH:mm:ss"))
  const taken = (value: string | null) => (value === null ? undefined : dayjs(value).toISOString())
  const ago = (ms: number) => dayjs(Date.now() - ms).format("YYYY-MM-DD HH:mm:ss")
  const shared = { clearable: true, valueFormat: "D MMM YYYY HH:mm", placeholder: "Any time" } as const
  return (
    <>
      <DateTimePicker
        {...shared}
        label="Received from"
        value={local(search["from"])}
        onChange={value => set({ from: taken(value) })}
        maxDate={new Date()}
        presets={[
          { value: ago(HOUR_MS), label: "An hour ago" },
          { value: dayjs().startOf("day").format("YYYY-MM-DD HH:mm:ss"), label: "Today" },
          { value: ago(24 * HOUR_MS), label: "A day ago" },
          { value: ago(7 * 24 * HOUR_MS), label: "7 days ago" },
        ]}
        aria-description={`In ${zone}`}
      />
      <DateTimePicker
        {...shared}
        label="Received before"
        value={local(search["to"])}
        onChange={value => set({ to: taken(value) })}
        aria-description={`In ${zone}`}
      />
    </>
  )
}

/** Each filter that is set, to be taken away. */
export function ActiveFilters({
  filters,
  labels,
  shown = {},
}: {
  readonly filters: Filters
  readonly labels: Readonly<Record<string, string>>
  /** Texts in place of values, by name. */
  readonly shown?: Readonly<Record<string, (value: string) => string>>
}) {
  const { search, set, replace } = filters
  const names = Object.keys(search)
  if (names.length === 0) return null
  return (
    <Group gap={6} role="group" aria-label="Filters that are set">
      {names.map(name => (
        <Pill
          key={name}
          size="md"
          withRemoveButton
          onRemove={() => set({ [name]: undefined })}
          removeButtonProps={{ "aria-label": `Take away: ${labels[name] ?? name}`, "aria-hidden": false, tabIndex: 0 }}
        >
          {labels[name] ?? name}: {shown[name]?.(search[name] ?? "") ?? search[name]}
        </Pill>
      ))}
      <Button size="compact-sm" variant="subtle" onClick={() => replace({})}>
        Clear all
      </Button>
    </Group>
  )
}

interface View {
  readonly name: string
  readonly search: Search
}

/** Named sets of filters: some that are always there, and the reader's own, which stay in this browser. */
export function SavedViews({
  page,
  filters,
  builtIn,
}: {
  readonly page: string
  readonly filters: Filters
  readonly builtIn: readonly View[]
}) {
  const { data: session } = useQuery(sessionQuery)
  const [views, setViews] = useLocalStorage<readonly View[]>({
    key: `waybill-views-${session?.project.id ?? ""}-${page}`,
    defaultValue: [],
  })
  const [isNaming, naming] = useDisclosure(false)
  const [name, setName] = useState("")
  const hasFilters = Object.keys(filters.search).length > 0
  const save = (event: FormEvent) => {
    event.preventDefault()
    const trimmed = name.trim()
    if (trimmed === "") return
    setViews([...views.filter(view => view.name !== trimmed), { name: trimmed, search: filters.search }])
    setName("")
    naming.close()
  }
  return (
    <>
      <Menu>
        <Menu.Target>
          <Button variant="default" leftSection={<IconBookmark size={16} aria-hidden />}>
            Views
          </Button>
        </Menu.Target>
        <Menu.Dropdown>
          {builtIn.map(view => (
            <Menu.Item key={view.name} onClick={() => filters.replace(view.search)}>
              {view.name}
            </Menu.Item>
          ))}
          {views.length > 0 && <Menu.Label>Yours</Menu.Label>}
          {views.map(view => (
            <Menu.Item key={view.name} onClick={() => filters.replace(view.search)}>
              {view.name}
            </Menu.Item>
          ))}
          <Menu.Divider />
          <Menu.Item onClick={naming.open} disabled={!hasFilters && views.length === 0}>
            {hasFilters ? "Save these filters…" : "Edit your views…"}
          </Menu.Item>
        </Menu.Dropdown>
      </Menu>
      <Modal opened={isNaming} onClose={naming.close} title="Your views">
        <Stack gap="sm">
          <form onSubmit={save}>
            <Group align="flex-end" gap="xs">
              <TextInput
                label="Name"
                description="Of the filters that are set now. Views are kept in this browser, for this project."
                value={name}
                onChange={event => setName(event.currentTarget.value)}
                maxLength={60}
                flex={1}
                disabled={!hasFilters}
                data-autofocus
              />
              <Button type="submit" disabled={!hasFilters || name.trim() === ""}>
                Save
              </Button>
            </Group>
          </form>
          {views.map(view => (
            <Group key={view.name} justify="space-between" wrap="nowrap">
              <Text size="sm" className="wrap-anywhere">
                {view.name}
              </Text>
              <ActionIcon
                variant="subtle"
                color="red"
                aria-label={`Delete the view ${view.name}`}
                onClick={() => setViews(views.filter(other => other.name !== view.name))}
              >
                <IconTrash size={16} />
              </ActionIcon>
            </Group>
          ))}
        </Stack>
      </Modal>
    </>
  )
}

/** The project's integrations, for choosing one and for naming them; none for who may not read them. */
export function useIntegrations(): readonly {
  readonly id: string
  readonly name: string
  readonly enabled: boolean
}[] {
  const enabled = useMay()("integrations:read")
  const { data } = useQuery({
    queryKey: ["integrations", "names"],
    queryFn: () => given(waybill.GET("/v1/integrations", { params: { query: { limit: 200 } } })),
    staleTime: 60_000,
    enabled,
  })
  return data?.data ?? none
}

/** Names of event types and of apps, to choose from; none for who may not read them. */
export function useNames(): { readonly types: readonly string[]; readonly apps: readonly string[] } {
  // A portal is of one app, and the project's catalogue is not for it.
  const enabled = useMay()("integrations:read") && portal === null
  const types = useQuery({
    queryKey: ["event-types", "names"],
    queryFn: () => given(waybill.GET("/v1/event-types")),
    staleTime: 60_000,
    enabled,
  })
  const apps = useQuery({
    queryKey: ["apps", "names"],
    queryFn: () => given(waybill.GET("/v1/apps", { params: { query: { limit: 200 } } })),
    staleTime: 60_000,
    enabled,
  })
  return {
    types: types.data?.data.map(({ name }) => name) ?? none,
    apps: apps.data?.data.map(({ name }) => name) ?? none,
  }
}

/** All reasons, to choose one by its title. */
export function useReasons(): readonly { readonly value: string; readonly label: string }[] {
  const { data } = useQuery(reasonsQuery)
  return data?.data.map(({ code, title }) => ({ value: code, label: title })) ?? none
}

const none: readonly never[] = []
