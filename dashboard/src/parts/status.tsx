/** A status as a badge: shape, word, colour. */
import type { Colour, Look } from "../status.ts"
import { groundColours, iconsOfColours, lookOf, textColours } from "../status.ts"
import classes from "./status.module.css"

/** Of a delivery or an event. */
export function StatusBadge({ status }: { readonly status: string }) {
  return <Badge look={lookOf(status)} />
}

/** Any word with one of the colours and its shape. */
export function ColourBadge({ colour, word }: { readonly colour: Colour; readonly word: string }) {
  return <Badge look={{ word, colour, icon: iconsOfColours[colour] }} />
}

export function Badge({ look: { word, colour, icon: Icon } }: { readonly look: Look }) {
  return (
    <span className={classes.badge} style={{ color: textColours[colour], background: groundColours[colour] }}>
      <Icon size={14} stroke={2.2} aria-hidden />
      {word}
    </span>
  )
}
