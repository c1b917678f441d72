/** Why something is as it is: a word that opens what happened, what may have caused it and what to do. */
import { Anchor, Popover, Stack, Text } from "@mantine/core"
import { useDisclosure } from "@mantine/hooks"
import type { ReactNode } from "react"
import { iconsOfColours, textColours } from "../status.ts"
import classes from "./reason.module.css"

/** As the API gives it with a delivery, an attempt or an event. */
export interface ReasonView {
  readonly code: string
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
 * (WCAG 1.4.13). All that a popover needs is made when it opens: a list holds hundreds of these.
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
  return (
    // Here, so that a pointer that goes over to the popover has not left: it stands in this tree, wherever it is drawn.
    // biome-ignore lint/a11y/noStaticElementInteractions: what opens by hover opens by focus and key on the button as well
    <span className={classes.why} onMouseEnter={open} onMouseLeave={close}>
      <button
        type="button"
        className={`${classes.button} ${className}`}
        {...(colour !== undefined && { style: { color: colour } })}
        onClick={open}
        onFocus={event => event.currentTarget.matches(":focus-visible") && open()}
        onBlur={close}
        onKeyDown={event => event.key === "Escape" && close()}
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
          width={360}
          withArrow
          shadow="md"
          withRoles={false}
          transitionProps={{ duration: 0 }}
        >
          <Popover.Target>
            <span className={classes.anchor} />
          </Popover.Target>
          {/* A pointer that selects text in here takes the focus from the button, but not the popover from the reader. */}
          <Popover.Dropdown role="dialog" aria-label="Why" onMouseDown={event => event.preventDefault()}>
            {content}
          </Popover.Dropdown>
        </Popover>
      )}
    </span>
  )
}

/** The same where there is room for all of it. */
export function ReasonText({ reason }: { readonly reason: ReasonView }) {
  return (
    <Stack gap={6} className="wrap-anywhere">
      <Text fw={650} size="sm" c={textColours[reason.colour]}>
        {reason.title}
      </Text>
      <Text size="sm">{reason.what}</Text>
      {reason.causes !== "" && (
        <Text size="sm" c="dimmed">
          {reason.causes}
        </Text>
      )}
      {reason.advice !== "" && (
        <Text size="sm">
          <b>What to do:</b> {reason.advice}
        </Text>
      )}
      {reason.links
        ?.filter(({ rel, href }) => rel === "docs" && /^https?:/.test(href))
        .map(({ href }) => (
          <Anchor key={href} href={href} size="sm" target="_blank" rel="noreferrer">
            More on {reason.code}
          </Anchor>
        ))}
    </Stack>
  )
}
