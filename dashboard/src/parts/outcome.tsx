/** What became of an event at its integrations: each one's name with a shape and a colour, and the exact reason behind it. */
import { Group, Stack, Text, VisuallyHidden } from "@mantine/core"
import { useQuery } from "@tanstack/react-query"
import { iconsOfColours, lookOf, textColours } from "../status.ts"
import { eventQuery } from "./event-query.ts"
import { LinkTo } from "./link.tsx"
import classes from "./outcome.module.css"
import { Lines, Trouble } from "./page.tsx"
import { ReasonText, type ReasonView, Why } from "./reason.tsx"

/** As the API gives it with a list of events. What came by the stream has no reason until one asks. */
export interface OutcomeView {
  readonly integration: { readonly id: string; readonly name: string | null; readonly removed: boolean }
  readonly status: string
  readonly reason: ReasonView | null
}

export function Outcomes({
  event,
  outcomes,
  leftOut,
}: {
  /** Its id. */
  readonly event: string
  readonly outcomes: readonly OutcomeView[]
  readonly leftOut: number
}) {
  if (outcomes.length === 0) {
    return (
      <Text size="sm" c="dimmed">
        No integration was there
      </Text>
    )
  }
  return (
    <div className={classes.list}>
      {outcomes.map(outcome => (
        <Outcome key={outcome.integration.id} event={event} outcome={outcome} />
      ))}
      {leftOut > 0 && (
        <LinkTo to="/events/$id" params={{ id: event }} size="xs">
          and {leftOut} more
        </LinkTo>
      )}
    </div>
  )
}

function Outcome({ event, outcome }: { readonly event: string; readonly outcome: OutcomeView }) {
  const { integration, status, reason } = outcome
  const { word, colour: ownColour, icon } = lookOf(status)
  const colour = status === "delivered" ? "green" : (reason?.colour ?? ownColour)
  const Icon = status === "withheld" && colour === "red" ? iconsOfColours.red : icon
  return (
    <Why className={classes.outcome} content={<WhyText event={event} outcome={outcome} />}>
      <Icon size={13} stroke={2.2} aria-hidden color={textColours[colour]} />
      <span
        className={classes.name}
        {...(status !== "delivered" && { style: { color: textColours[colour] } })}
        data-colour={colour}
      >
        {integration.name ?? integration.id}
        {integration.removed && " (removed)"}
      </span>
      <VisuallyHidden>: {word}</VisuallyHidden>
    </Why>
  )
}

function WhyText({ event, outcome }: { readonly event: string; readonly outcome: OutcomeView }) {
  const { integration, status, reason } = outcome
  return (
    <Stack gap={6}>
      <Group gap={6}>
        <Text size="sm" fw={650} className="wrap-anywhere">
          {integration.name ?? integration.id}
        </Text>
        <Text size="sm" c="dimmed">
          {lookOf(status).word}
        </Text>
      </Group>
      {reason !== null ? (
        <ReasonText reason={reason} />
      ) : status === "delivered" ? (
        <Text size="sm">It arrived. Open the event for the request and the answer.</Text>
      ) : (
        <LookedUp event={event} integration={integration.id} />
      )}
    </Stack>
  )
}

/** The reason as it stands now, of what came without one. */
function LookedUp({ event, integration }: { readonly event: string; readonly integration: string }) {
  const { data, error } = useQuery(eventQuery(event))
  if (error !== null) return <Trouble error={error} />
  if (data === undefined) return <Lines count={2} height={16} />
  const delivery = data.deliveries.find(each => each.integration.id === integration)
  const reason = delivery?.reason ?? data.withheld.find(each => each.integration.id === integration)?.reason
  if (reason !== undefined && reason !== null) return <ReasonText reason={reason} />
  return <Text size="sm">{delivery === undefined ? "Nothing is known of it." : lookOf(delivery.status).word}</Text>
}
