/** Events as a table of which only the rows on the screen are drawn: it may hold thousands, and change while one looks on. */
import { Stack, Text, VisuallyHidden } from "@mantine/core"
import { useMediaQuery } from "@mantine/hooks"
import { createColumnHelper, tableFeatures, useTable } from "@tanstack/react-table"
import { useVirtualizer } from "@tanstack/react-virtual"
import { memo, type ReactNode } from "react"
import classes from "./event-table.module.css"
import type { FeedEvent } from "./feed.ts"
import { LinkTo } from "./link.tsx"
import { Moment } from "./moment.tsx"
import { Outcomes } from "./outcome.tsx"
import { StatusBadge } from "./status.tsx"

const features = tableFeatures({})
const helper = createColumnHelper<typeof features, FeedEvent>()

const typeColumn = helper.display({
  id: "type",
  header: "Type",
  meta: { width: "20%" },
  cell: ({ row: { original: event } }) => (
    <>
      <LinkTo to="/events/$id" params={{ id: event.id }} size="sm" fw={600}>
        {event.type}
      </LinkTo>
      {event.test && " (test)"}
      {event.historical && " (history)"}
    </>
  ),
})
const received = (width: string) =>
  helper.display({
    id: "received",
    header: "Received",
    meta: { width },
    cell: ({ row }) => <Moment at={row.original.received_at} />,
  })
const status = (width: string) =>
  helper.display({
    id: "status",
    header: "Status",
    meta: { width },
    cell: ({ row }) => <StatusBadge status={row.original.status} />,
  })
const outcomes = helper.display({
  id: "outcomes",
  header: "Integrations",
  meta: { width: "auto" },
  cell: ({ row: { original: event } }) => (
    <Outcomes event={event.id} outcomes={event.outcomes} leftOut={event.outcomes_left_out} />
  ),
})

const wideColumns = helper.columns([
  received("104px"),
  typeColumn,
  helper.display({
    id: "source_record",
    header: "Source record",
    meta: { width: "13%" },
    cell: ({ row }) => <Clipped text={row.original.source_record} />,
  }),
  helper.display({
    id: "destination_record",
    header: "Destination record",
    meta: { width: "auto" },
    cell: ({ row }) => <DestinationRecord event={row.original} />,
  }),
  helper.display({
    id: "who",
    header: "Profile or device",
    meta: { width: "15%" },
    cell: ({ row }) => <Clipped text={row.original.profile_id ?? row.original.device_id} />,
  }),
  helper.display({
    id: "environment",
    header: "Environment",
    meta: { width: "112px" },
    cell: ({ row }) => (row.original.environment === "sandbox" ? "Sandbox" : "Production"),
  }),
  status("134px"),
  outcomes,
])

/** Where there is little room, what a column says stands below the type. */
const narrowColumns = helper.columns([
  helper.display({
    id: "event",
    header: "Event",
    meta: { width: "50%" },
    cell: ({ row: { original: event } }) => (
      <Stack gap={2} align="flex-start">
        <LinkTo to="/events/$id" params={{ id: event.id }} size="sm" fw={600}>
          {event.type}
        </LinkTo>
        <Text size="xs" c="dimmed" component="div">
          <Moment at={event.received_at} /> · {event.environment === "sandbox" ? "Sandbox" : "Production"}
        </Text>
        <Text size="xs" c="dimmed" className="wrap-anywhere">
          {[event.profile_id ?? event.device_id, event.source_record].filter(each => each !== null).join(" · ")}
        </Text>
        {event.destination_records.length > 0 && (
          <Text size="xs" c="dimmed" component="div" maw="100%">
            <DestinationRecord event={event} />
          </Text>
        )}
        <StatusBadge status={event.status} />
      </Stack>
    ),
  }),
  outcomes,
])

function DestinationRecord({ event: { destination_records: records } }: { readonly event: FeedEvent }) {
  return <Clipped text={records.length > 1 ? `${records.length} records` : (records[0]?.record ?? null)} />
}

/** In one line, so that no row grows while one reads; the event itself shows all of it. */
function Clipped({ text }: { readonly text: string | null }) {
  if (text === null) return <>–</>
  return (
    <div className={classes.clipped} title={text}>
      {text}
    </div>
  )
}

/** One line of columns and, where there is room for them, the integrations below it in a line of their own. */
export function EventTable({
  frame,
  events,
  onReading,
  onTop,
}: {
  readonly frame: { current: HTMLElement | null }
  readonly events: readonly FeedEvent[]
  readonly onReading: (isReading: boolean) => void
  readonly onTop: (isAtTop: boolean) => void
}) {
  const isWide = useMediaQuery("(min-width: 62em)", true, { getInitialValueInEffect: false })
  const columns = isWide ? wideColumns : narrowColumns
  const table = useTable({ features, columns, data: events as FeedEvent[], getRowId: event => event.id })
  const { rows } = table.getRowModel()
  const virtualizer = useVirtualizer({
    count: rows.length,
    getScrollElement: () => frame.current,
    estimateSize: () => (isWide ? 72 : 130),
    getItemKey: index => rows[index]?.id ?? index,
    overscan: 6,
  })
  const items = virtualizer.getVirtualItems()
  const above = items[0]?.start ?? 0
  const below = virtualizer.getTotalSize() - (items.at(-1)?.end ?? 0)
  const inLine = isWide ? columns.slice(0, -1) : columns
  return (
    <section
      ref={frame}
      className={classes.frame}
      // biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls has to be reached by key (axe: scrollable-region-focusable)
      tabIndex={0}
      aria-label="Events, newest first"
      onScroll={event => onTop(event.currentTarget.scrollTop < 8)}
    >
      <table
        className={classes.table}
        onPointerOver={event => event.pointerType === "mouse" && onReading(true)}
        onPointerLeave={() => onReading(false)}
        onFocus={() => onReading(true)}
        onBlur={() => onReading(false)}
      >
        <VisuallyHidden component="caption">Events, newest first</VisuallyHidden>
        <colgroup>
          {inLine.map(({ id, meta }) => (
            <col key={id} style={{ width: (meta as { readonly width: string }).width }} />
          ))}
        </colgroup>
        <thead>
          {table.getHeaderGroups().map(group => (
            <tr key={group.id}>
              {group.headers.slice(0, inLine.length).map(header => (
                <th key={header.id} scope="col">
                  <table.FlexRender header={header} />
                </th>
              ))}
            </tr>
          ))}
        </thead>
        {above > 0 && <Filler height={above} columns={inLine.length} />}
        {items.map(item => {
          const row = rows[item.index]
          if (row === undefined) return null
          return (
            <tbody
              key={row.id}
              ref={virtualizer.measureElement}
              data-index={item.index}
              data-event={row.id}
              className={classes.event}
            >
              <Lines event={row.original} columns={columns}>
                {() => {
                  const cells = row.getAllCells().map(cell => <table.FlexRender key={cell.id} cell={cell} />)
                  return (
                    <>
                      <tr>
                        {cells.slice(0, inLine.length).map(cell => (
                          <td key={cell.key}>{cell}</td>
                        ))}
                      </tr>
                      {isWide && (
                        <tr>
                          <td colSpan={inLine.length} className={classes.below}>
                            <VisuallyHidden>At the integrations: </VisuallyHidden>
                            {cells.at(-1)}
                          </td>
                        </tr>
                      )}
                    </>
                  )
                }}
              </Lines>
            </tbody>
          )
        })}
        {below > 0 && <Filler height={below} columns={inLine.length} />}
      </table>
    </section>
  )
}

/** The lines of an event are made again only where something of it has changed. */
const Lines = memo(
  ({ children }: { readonly event: FeedEvent; readonly columns: unknown; readonly children: () => ReactNode }) => (
    <>{children()}</>
  ),
  (before, after) => before.event === after.event && before.columns === after.columns,
)

/** As high as the rows that are not drawn. */
function Filler({ height, columns }: { readonly height: number; readonly columns: number }) {
  return (
    <tbody className={classes.filler} aria-hidden>
      <tr style={{ height }}>
        <td colSpan={columns} />
      </tr>
    </tbody>
  )
}
