/** The audit log: who changed what, when, from where, and how it was before. */
import { Anchor, Autocomplete, Button, Group, Select, Stack, Table, Text, TextInput } from "@mantine/core"
import { DateTimePicker } from "@mantine/dates"
import { useDebouncedCallback } from "@mantine/hooks"
import { IconDownload } from "@tabler/icons-react"
import { useInfiniteQuery } from "@tanstack/react-query"
import { Link, useSearch } from "@tanstack/react-router"
import { useState } from "react"
import { given } from "waybill-sdk"
import { Guarded } from "../parts/access.tsx"
import { useKnownNames } from "../parts/actors.tsx"
import { visible } from "../parts/code.tsx"
import { type Difference, differences } from "../parts/diff.ts"
import { Moment } from "../parts/moment.tsx"
import { More } from "../parts/more.tsx"
import { Answered, Empty, Page } from "../parts/page.tsx"
import { IdLink } from "../parts/place.tsx"
import { useFilters } from "../parts/search.ts"
import { UnfoldingRow, useHand } from "../parts/unfolding.tsx"
import { type Answer, waybill } from "../waybill.ts"

type Names = ReturnType<typeof useKnownNames>
type Entry = Answer<"/v1/audit-log">["data"][number]

export function AuditLog() {
  return (
    <Guarded scope="admin" title="Audit log">
      <Log />
    </Guarded>
  )
}

function Log() {
  const search = useSearch({ from: "/signed-in/audit-log" })
  const names = useKnownNames()
  const query = useInfiniteQuery({
    queryKey: ["audit-log", search],
    queryFn: ({ pageParam }) =>
      given(
        waybill.GET("/v1/audit-log", { params: { query: { ...search, ...(pageParam && { cursor: pageParam }) } } }),
      ),
    initialPageParam: "",
    getNextPageParam: last => last.next_cursor,
  })
  const entries = query.data?.pages.flatMap(({ data }) => data) ?? []
  const isFiltered = Object.keys(search).length > 0
  return (
    <Page
      title="Audit log"
      lead="Who changed what, when and from where. Entries are never changed, and are kept for 400 days."
      actions={
        <Button
          component="a"
          variant="default"
          leftSection={<IconDownload size={16} />}
          href={`/v1/audit-log/export?${new URLSearchParams(search)}`}
          download="audit-log.ndjson"
        >
          {isFiltered ? "Export what is filtered" : "Export all"}
        </Button>
      }
    >
      <Filters names={names} kinds={[...new Set(entries.map(({ kind }) => kind))].toSorted()} />
      <Answered query={query}>
        {() =>
          entries.length === 0 ? (
            <Empty title="Nothing was changed">
              {isFiltered ? "Nothing fits these filters. Take one away." : "Nobody has changed anything yet."}
            </Empty>
          ) : (
            <Stack>
              <Entries entries={entries} names={names} />
              <More query={query} what="changes" />
            </Stack>
          )
        }
      </Answered>
    </Page>
  )
}

function Filters({ names, kinds }: { readonly names: Names; readonly kinds: readonly string[] }) {
  const { search, set, replace } = useFilters()
  const { actor, kind = "", subject = "", from, to } = search
  const later = useDebouncedCallback(set, 400)
  const [typed, setTyped] = useState({ kind, subject })
  const known = [...names.actors].map(([value, label]) => ({ value, label }))
  const time = (picked: string | null) =>
    picked === null ? undefined : new Date(picked.replace(" ", "T")).toISOString()
  const isFiltered = [actor, kind, subject, from, to].some(Boolean)
  return (
    <Group gap="sm" align="flex-end" role="search" aria-label="Filters">
      <Select
        label="Who"
        placeholder="Anybody"
        clearable
        searchable
        w={180}
        data={actor !== undefined && !names.actors.has(actor) ? [...known, { value: actor, label: actor }] : known}
        value={actor ?? null}
        onChange={value => set({ actor: value ?? undefined })}
      />
      <Autocomplete
        label="What"
        placeholder="integration.updated"
        w={200}
        data={[...kinds]}
        value={typed.kind}
        onChange={value => {
          setTyped({ ...typed, kind: value })
          later({ kind: value })
        }}
      />
      <TextInput
        label="To what"
        placeholder="int_…, key_…, a type"
        w={200}
        value={typed.subject}
        onChange={event => {
          const { value } = event.currentTarget
          setTyped({ ...typed, subject: value })
          later({ subject: value })
        }}
      />
      <DateTimePicker
        label="From"
        clearable
        w={190}
        value={from === undefined ? null : new Date(from)}
        onChange={picked => set({ from: time(picked) })}
      />
      <DateTimePicker
        label="To"
        clearable
        w={190}
        value={to === undefined ? null : new Date(to)}
        onChange={picked => set({ to: time(picked) })}
      />
      {isFiltered && (
        <Button
          variant="subtle"
          onClick={() => {
            setTyped({ kind: "", subject: "" })
            replace({})
          }}
        >
          Without filters
        </Button>
      )}
    </Group>
  )
}

function Entries({ entries, names }: { readonly entries: readonly Entry[]; readonly names: Names }) {
  const hand = useHand()
  return (
    <Table.ScrollContainer minWidth={820}>
      <Table aria-label="Changes, newest first">
        <Table.Thead>
          <Table.Tr>
            <Table.Th>When</Table.Th>
            <Table.Th>Who</Table.Th>
            <Table.Th>What</Table.Th>
            <Table.Th>To what</Table.Th>
            <Table.Th>From</Table.Th>
            <Table.Th>More</Table.Th>
          </Table.Tr>
        </Table.Thead>
        <Table.Tbody>
          {entries.map(entry => {
            const { id, at, kind, subject, by, from } = entry
            return (
              <UnfoldingRow
                key={id}
                id={id}
                about={`${kind} at ${at}`}
                hand={hand}
                columns={5}
                detail={<Detail of={entry} />}
              >
                <Table.Td>
                  <Moment at={at} />
                </Table.Td>
                <Table.Td className="wrap-anywhere">{actorOf(by, names)}</Table.Td>
                <Table.Td>
                  <code>{kind}</code>
                </Table.Td>
                <Table.Td maw={260}>
                  {kind.startsWith("event_type.") ? (
                    <Anchor component={Link} to={`/event-types/${encodeURIComponent(subject)}`} size="sm">
                      {subject}
                    </Anchor>
                  ) : (
                    <IdLink id={subject} name={names.all.get(subject) ?? subject} />
                  )}
                </Table.Td>
                <Table.Td>{from?.address ?? "–"}</Table.Td>
              </UnfoldingRow>
            )
          })}
        </Table.Tbody>
      </Table>
    </Table.ScrollContainer>
  )
}

function actorOf({ kind, id }: Entry["by"], names: Names): string {
  if (kind === "waybill") return id === null ? "Waybill itself" : `Waybill itself (${id})`
  if (kind === "operator") return "The operator"
  const name = id === null ? "unknown" : (names.actors.get(id) ?? id)
  return kind === "api_key" ? `Key ${name}` : name
}

function Detail({ of: { facts, before, after, from, id, at } }: { readonly of: Entry }) {
  const changed = differences(before ?? {}, after ?? {})
  // What stands in the change itself is not said twice.
  const whole = differences({}, after ?? {})
  const said = differences({}, facts).filter(
    fact => !whole.some(({ pointer, after: value }) => pointer === fact.pointer && value === fact.after),
  )
  return (
    <Stack gap="sm" p="xs">
      {changed.length > 0 && (
        <Differences
          label={before === null ? "As it was made" : after === null ? "As it was, before it went" : "Before and after"}
          rows={changed}
          hasBefore={before !== null}
          hasAfter={after !== null}
        />
      )}
      {changed.length === 0 && before !== null && <Text size="sm">It was saved as it was before.</Text>}
      {said.length > 0 && <Differences label="Told with it" rows={said} hasBefore={false} hasAfter />}
      <Text size="xs" c="dimmed" className="wrap-anywhere">
        {id} at {at}
        {from !== null && `, from ${from.address}, request ${from.request}`}
        {from?.agent && `, ${from.agent}`}
      </Text>
    </Stack>
  )
}

function Differences({
  label,
  rows,
  hasBefore,
  hasAfter,
}: {
  readonly label: string
  readonly rows: readonly Difference[]
  readonly hasBefore: boolean
  readonly hasAfter: boolean
}) {
  return (
    <Table aria-label={label} withTableBorder highlightOnHover={false} captionSide="top">
      <Table.Caption>{label}</Table.Caption>
      <Table.Thead>
        <Table.Tr>
          <Table.Th>Field</Table.Th>
          {hasBefore && <Table.Th>Before</Table.Th>}
          {hasAfter && <Table.Th>{hasBefore ? "After" : "Value"}</Table.Th>}
        </Table.Tr>
      </Table.Thead>
      <Table.Tbody>
        {rows.map(({ pointer, before, after }) => (
          <Table.Tr key={pointer}>
            <Table.Td className="mono">{pointer === "" ? "/" : pointer}</Table.Td>
            {hasBefore && <Value text={before} />}
            {hasAfter && <Value text={after} />}
          </Table.Tr>
        ))}
      </Table.Tbody>
    </Table>
  )
}

function Value({ text }: { readonly text: string | undefined }) {
  return (
    <Table.Td className="mono wrap-anywhere">
      {text === undefined ? (
        <Text span size="sm" c="dimmed">
          nothing
        </Text>
      ) : (
        visible(text)
      )}
    </Table.Td>
  )
}
