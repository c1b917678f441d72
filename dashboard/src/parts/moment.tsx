/** A time: in the reader's zone, as ISO on hover and focus; how long ago is extra. */
import { Tooltip } from "@mantine/core"
import dayjs from "dayjs"
import relativeTime from "dayjs/plugin/relativeTime"
import { useRef, useState } from "react"

dayjs.extend(relativeTime)

const full = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "medium" })
const short = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit", second: "2-digit" })
const dated = new Intl.DateTimeFormat(undefined, {
  day: "numeric",
  month: "short",
  hour: "2-digit",
  minute: "2-digit",
  second: "2-digit",
})

/** The zone that all times are shown in, for the reader to know. */
export const zone = Intl.DateTimeFormat().resolvedOptions().timeZone

type Style = "full" | "short" | "ago"

/** `at` is RFC 3339; null shows a dash. `style`: all of it, without the date today, or how long ago. */
export function Moment({ at, style = "short" }: { readonly at: string | null | undefined; readonly style?: Style }) {
  return at === null || at === undefined ? <>–</> : <Known at={at} style={style} />
}

/** The tooltip is made when it is first asked for: a list holds hundreds of times, and a live one makes new ones all the time. */
function Known({ at, style }: { readonly at: string; readonly style: Style }) {
  const target = useRef<HTMLTimeElement>(null)
  const [isOpen, setOpen] = useState(false)
  const open = () => setOpen(true)
  const close = () => setOpen(false)
  const time = new Date(at)
  const isToday = time.toDateString() === new Date().toDateString()
  const text =
    style === "ago"
      ? dayjs(time).fromNow()
      : style === "full"
        ? full.format(time)
        : (isToday ? short : dated).format(time)
  return (
    <>
      <time
        ref={target}
        dateTime={at}
        // biome-ignore lint/a11y/noNoninteractiveTabindex: the exact time opens on focus too (WCAG 1.4.13, 2.1.1)
        tabIndex={0}
        onMouseEnter={open}
        onMouseLeave={close}
        onFocus={open}
        onBlur={close}
        onKeyDown={event => event.key === "Escape" && close()}
      >
        {text}
      </time>
      {isOpen && <Tooltip target={target} label={`${at} · shown in ${zone}`} opened />}
    </>
  )
}

/** A duration in ms as people say it: 12 ms, 1.4 s, 3 min, 2 h, 5 days. */
export function lasting(ms: number): string {
  if (ms < 1_000) return `${Math.round(ms)} ms`
  if (ms < 60_000) return `${(ms / 1_000).toFixed(ms < 10_000 ? 1 : 0)} s`
  if (ms < 3_600_000) return `${Math.round(ms / 60_000)} min`
  if (ms < 2 * 86_400_000) return `${Math.round(ms / 3_600_000)} h`
  return `${Math.round(ms / 86_400_000)} days`
}
