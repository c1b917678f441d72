/** Successes, errors and skips over 30 days: bars with patterns as well as colours, and the same numbers as a table. */
import { BarChart } from "@mantine/charts"
import "@mantine/charts/styles.css"
import { Group, SegmentedControl, Stack, Switch, Table, Text } from "@mantine/core"
import { useReducedMotion } from "@mantine/hooks"
import { useQuery } from "@tanstack/react-query"
import { useId } from "react"
import { given } from "waybill-sdk"
import { zone } from "../parts/moment.tsx"
import { Answered, Empty } from "../parts/page.tsx"
import { useFilters } from "../parts/search.ts"
import { waybill } from "../waybill.ts"
import type { Tagged } from "./data.ts"

/** What is drawn: its colour in both schemes, and its pattern. */
const series = [
  { name: "success", label: "Successes", color: "blue.6", pattern: "plain" },
  { name: "error", label: "Errors", color: "red.6", pattern: "lines" },
  { name: "skipped", label: "Skipped", color: "gray.5", pattern: "dots" },
] as const

/** So many hours are as much as a screen shows apart. */
const HOURS = 48

const days = new Intl.DateTimeFormat(undefined, { day: "numeric", month: "short", timeZone: "UTC" })
const hours = new Intl.DateTimeFormat(undefined, { weekday: "short", hour: "2-digit", minute: "2-digit" })

export function IntegrationHistory({ integration: { id, name } }: Tagged) {
  const { search, set } = useFilters()
  const { by = "day", table } = search
  const interval = by === "hour" ? "hour" : "day"
  const isTable = table === "yes"
  const query = useQuery({
    queryKey: ["integration", id, "history", interval],
    queryFn: () =>
      given(waybill.GET("/v1/integrations/{id}/history", { params: { path: { id }, query: { interval } } })),
    refetchInterval: 30_000,
  })
  return (
    <Stack>
      <Group justify="space-between">
        <SegmentedControl
          aria-label="Counted by"
          value={interval}
          onChange={next => set({ by: next === "day" ? "" : next })}
          data={[
            { value: "day", label: "30 days" },
            { value: "hour", label: `${HOURS} hours` },
          ]}
        />
        <Switch
          label="As a table"
          checked={isTable}
          onChange={({ currentTarget }) => set({ table: currentTarget.checked ? "yes" : "" })}
        />
      </Group>
      <Answered query={query}>
        {({ data, totals }) => {
          const shown = interval === "hour" ? data.slice(-HOURS) : data
          const rows = shown.map((bucket, i) => ({
            ...bucket,
            label: labelOf(bucket.at, interval),
            isOpen: i === shown.length - 1,
          }))
          const other = totals.interrupted + totals.sender_fault
          if (totals.success + totals.error + totals.skipped + other === 0) {
            return (
              <Empty title="Nothing was sent in the last 30 days">
                As soon as the first event goes out, it is counted here. Tests are not.
              </Empty>
            )
          }
          return (
            <Stack gap="sm">
              <Text size="sm">
                In 30 days: {totals.success.toLocaleString()} successes, {totals.error.toLocaleString()} errors,{" "}
                {totals.skipped.toLocaleString()} skipped.
                {other > 0 && ` Beside these ${other} that Waybill itself broke off.`}
              </Text>
              {isTable ? <Twin rows={rows} interval={interval} name={name} /> : <Bars rows={rows} name={name} />}
              <Text size="xs" c="dimmed">
                {interval === "day" ? "Days are those of UTC." : `Hours are shown in ${zone}.`} The last one is not
                over: its numbers still grow.
              </Text>
            </Stack>
          )
        }}
      </Answered>
    </Stack>
  )
}

interface Row {
  readonly at: string
  readonly label: string
  readonly success: number
  readonly error: number
  readonly skipped: number
  /** It is not over. */
  readonly isOpen: boolean
}

function labelOf(at: string, interval: "hour" | "day"): string {
  return (interval === "day" ? days : hours).format(new Date(at))
}

function Bars({ rows, name }: { readonly rows: readonly Row[]; readonly name: string }) {
  const own = useId().replaceAll(/\W/g, "")
  const still = useReducedMotion()
  const patternOf = (each: (typeof series)[number]) => `${own}-${each.pattern}`
  return (
    <Stack gap="xs">
      <Group gap="lg" aria-hidden>
        {series.map(each => (
          <Group key={each.name} gap={6}>
            <svg width="22" height="14" role="presentation">
              <Patterns own={`${own}-legend`} />
              <rect width="22" height="14" fill={`url(#${own}-legend-${each.pattern})`} />
            </svg>
            <Text size="sm">{each.label}</Text>
          </Group>
        ))}
      </Group>
      <BarChart
        h={320}
        // What it drew for a wider window, such as the box beside the pointer, must not widen a narrow one.
        style={{ overflow: "clip" }}
        role="img"
        aria-label={`Attempts of ${name}. The table beside has the same numbers.`}
        data={rows.map(row => ({ ...row }))}
        dataKey="label"
        type="stacked"
        series={series.map(({ name: key, label, color }) => ({ name: key, label, color }))}
        barProps={({ name: key }) => {
          const each = series.find(one => one.name === key)
          return { isAnimationActive: !still, ...(each && { fill: `url(#${patternOf(each)})` }) }
        }}
        xAxisProps={{ minTickGap: 24 }}
        referenceLines={[
          { x: rows.at(-1)?.label ?? "", label: "not over", color: "gray.6", labelPosition: "insideTopRight" },
        ]}
      >
        <Patterns own={own} />
      </BarChart>
    </Stack>
  )
}

/** Full, slanted lines, dots: told apart without colour. */
function Patterns({ own }: { readonly own: string }) {
  const ground = "var(--mantine-color-body)"
  return (
    <defs>
      <pattern id={`${own}-plain`} width="4" height="4" patternUnits="userSpaceOnUse">
        <rect width="4" height="4" fill="var(--mantine-color-blue-6)" />
      </pattern>
      <pattern id={`${own}-lines`} width="6" height="6" patternUnits="userSpaceOnUse" patternTransform="rotate(45)">
        <rect width="6" height="6" fill="var(--mantine-color-red-6)" />
        <rect width="2" height="6" fill={ground} />
      </pattern>
      <pattern id={`${own}-dots`} width="6" height="6" patternUnits="userSpaceOnUse">
        <rect width="6" height="6" fill="var(--mantine-color-gray-5)" />
        <circle cx="3" cy="3" r="1.4" fill={ground} />
      </pattern>
    </defs>
  )
}

/** The newest first. */
function Twin({
  rows,
  interval,
  name,
}: {
  readonly rows: readonly Row[]
  readonly interval: string
  readonly name: string
}) {
  return (
    <Table.ScrollContainer minWidth={420}>
      <Table captionSide="top">
        <Table.Caption>
          Attempts of {name} by {interval}, the newest first
        </Table.Caption>
        <Table.Thead>
          <Table.Tr>
            <Table.Th>{interval === "day" ? "Day" : "Hour"}</Table.Th>
            {series.map(({ label }) => (
              <Table.Th key={label} ta="right">
                {label}
              </Table.Th>
            ))}
          </Table.Tr>
        </Table.Thead>
        <Table.Tbody>
          {rows.toReversed().map(({ at, label, isOpen, ...counts }) => (
            <Table.Tr key={at}>
              <Table.Td>
                <time dateTime={at}>{label}</time>
                {isOpen && " (not over)"}
              </Table.Td>
              {series.map(({ name: key }) => (
                <Table.Td key={key} ta="right">
                  {counts[key].toLocaleString()}
                </Table.Td>
              ))}
            </Table.Tr>
          ))}
        </Table.Tbody>
      </Table>
    </Table.ScrollContainer>
  )
}
