/** Why something is as it is: a word that opens what happened, what may have caused it and what to do. */
import { Group, Popover, Stack, Text } from "@mantine/core"
import { useDisclosure } from "@mantine/hooks"
import { type KeyboardEvent, type ReactNode, useEffect, useRef } from "react"
import { portal, portalTabs } from "../portal.ts"
import { iconsOfColours, textColours } from "../status.ts"
import type { About } from "./api-calls.ts"
import { LinkTo } from "./link.tsx"
import classes from "./reason.module.css"
import { Sentence } from "./sentence.tsx"

/** As the API gives it with a delivery, an attempt or an event; or a verdict on an integration. */
export interface ReasonView {
  /** Of a reason, which has a page of its own; verdicts have none. */
  readonly code?: string
  readonly title: string
  readonly colour: "plain" | "grey" | "amber" | "red"
  readonly what: string
  readonly causes: string
  readonly advice: string
  readonly links?: readonly { readonly rel: string; readonly href: string; readonly pointer?: string | undefined }[]
}

/** A reason behind its title, or behind `children`. */
export function Reason({ reason, children }: { readonly reason: ReasonView; readonly children?: ReactNode }) {
  const Icon = iconsOfColours[reason.colour]
  return (
    <Why
      colour={textColours[reason.colour]}
      label={children === undefined ? undefined : `Why: ${reason.title}`}
      content={<ReasonText reason={reason} />}
    >
      {children ?? (
        <>
          <Icon size={14} stroke={2.2} aria-hidden />
          <span>{reason.title}</span>
        </>
      )}
    </Why>
  )
}

/**
 * What explains `children`: opens by hover, focus, tap and key, stays while the pointer is over it, and goes with Escape
 * (WCAG 1.4.13). All that a popover needs is made when it opens: a list holds hundreds of these. It is drawn at the end of
 * the page; with the Tab key one comes from the button to its links, and from its last link back to where one was.
 */
export function Why({
  colour,
  label,
  className = classes.word,
  content,
  children,
}: {
  readonly colour?: string
  readonly label?: string | undefined
  readonly className?: string | undefined
  readonly content: ReactNode
  readonly children: ReactNode
}) {
  const [isOpen, { open, close }] = useDisclosure(false)
  const button = useRef<HTMLButtonElement>(null)
  const popover = useRef<HTMLDivElement>(null)
  // Opened by a pointer, while the focus is elsewhere.
  useEffect(() => {
    if (!isOpen) return
    const leave = (event: { readonly key: string }) => event.key === "Escape" && close()
    document.addEventListener("keydown", leave)
    return () => document.removeEventListener("keydown", leave)
  }, [isOpen, close])
  const links = () => [...(popover.current?.querySelectorAll<HTMLElement>("a, button") ?? [])]
  const closeAt = (event: KeyboardEvent) => {
    if (event.key !== "Escape") return
    event.stopPropagation()
    button.current?.focus({ preventScroll: true })
    close()
  }
  const leaveButton = (event: KeyboardEvent) => {
    closeAt(event)
    const [first] = links()
    if (event.key !== "Tab" || event.shiftKey || first === undefined) return
    event.preventDefault()
    first.focus()
  }
  const leaveLinks = (event: KeyboardEvent) => {
    closeAt(event)
    if (event.key !== "Tab") return
    const all = links()
    const isAtEnd = event.target === (event.shiftKey ? all[0] : all.at(-1))
    if (!isAtEnd) return
    if (event.shiftKey) event.preventDefault()
    // From there the browser goes on to what follows the button.
    button.current?.focus({ preventScroll: true })
    if (!event.shiftKey) close()
  }
  const stays = (target: EventTarget | null) => target instanceof Node && popover.current?.contains(target) === true
  return (
    // Here, so that a pointer that goes over to the popover has not left: it stands in this tree, wherever it is drawn.
    // A finger comes and goes with each tap, and leaves a pointer that lies elsewhere: neither closes what a tap has opened.
    <span
      className={classes.why}
      onPointerEnter={({ pointerType }) => pointerType !== "touch" && open()}
      onPointerLeave={({ pointerType }) => pointerType !== "touch" && close()}
    >
      <button
        ref={button}
        type="button"
        className={`${classes.button} ${className}`}
        {...(colour !== undefined && { style: { color: colour } })}
        onClick={open}
        onFocus={event => event.currentTarget.matches(":focus-visible") && open()}
        onBlur={event => !stays(event.relatedTarget) && close()}
        onKeyDown={leaveButton}
        aria-label={label}
        aria-haspopup="dialog"
        aria-expanded={isOpen}
      >
        {children}
      </button>
      {isOpen && (
        <Popover
          opened
          onChange={opened => !opened && close()}
          width="min(360px, calc(100vw - 16px))"
          withArrow
          shadow="md"
          withRoles={false}
          transitionProps={{ duration: 0 }}
        >
          <Popover.Target>
            <span className={classes.anchor} />
          </Popover.Target>
          {/* A pointer that selects text in here takes the focus from the button, but not the popover from the reader. */}
          <Popover.Dropdown
            ref={popover}
            role="dialog"
            aria-label="Why"
            onMouseDown={event => event.preventDefault()}
            onKeyDown={leaveLinks}
            onBlur={event => event.relatedTarget !== button.current && !stays(event.relatedTarget) && close()}
          >
            {content}
          </Popover.Dropdown>
        </Popover>
      )}
    </span>
  )
}

/** The same where there is room for all of it. */
export function ReasonText({ reason, about }: { readonly reason: ReasonView; readonly about?: About }) {
  const setting = reason.links?.find(({ rel }) => rel === "setting")
  const [, integration] = /^\/v1\/integrations\/(\w+)$/.exec(setting?.href ?? "") ?? []
  const place = placeOfSetting(setting?.pointer)
  const known: About = { integration, ...about }
  return (
    <Stack gap={6} className="wrap-anywhere">
      <Text fw={650} size="sm" c={textColours[reason.colour]}>
        {reason.title}
      </Text>
      <Text size="sm">
        <Sentence text={reason.what} about={known} />
      </Text>
      {reason.causes !== "" && (
        <Text size="sm" c="dimmed">
          {reason.causes}
        </Text>
      )}
      {reason.advice !== "" && (
        <Text size="sm">
          <b>What to do:</b> <Sentence text={reason.advice} about={known} />
        </Text>
      )}
      <Group gap="md">
        {integration !== undefined && (portal === null || portalTabs.includes(place.tab ?? "overview")) && (
          <LinkTo
            to="/integrations/$id"
            params={{ id: integration }}
            search={place.tab ? { tab: place.tab } : {}}
            size="sm"
          >
            {place.words}
          </LinkTo>
        )}
        {reason.code !== undefined && (
          <LinkTo to="/reasons/$code" params={{ code: reason.code }} size="sm">
            More on this reason
          </LinkTo>
        )}
      </Group>
    </Stack>
  )
}

/** Where on an integration's page a field stands, by its JSON pointer. */
function placeOfSetting(pointer = ""): { readonly tab?: string; readonly words: string } {
  if (pointer.startsWith("/events")) return { tab: "types", words: "See its types" }
  if (pointer.startsWith("/filter")) return { tab: "filter", words: "See its filter" }
  if (pointer === "/enabled" || pointer === "/paused") return { words: "See the integration" }
  return { tab: "settings", words: "See its settings" }
}
