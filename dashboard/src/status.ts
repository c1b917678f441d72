/** How each status looks: a shape, a word and a colour, so that none is told by colour alone (WCAG 1.4.1). */
import {
  IconAlertTriangle,
  IconCircleCheck,
  IconCircleDashed,
  IconClock,
  IconInbox,
  IconMinus,
  IconMoonStars,
  type IconProps,
  IconRefresh,
  IconSend,
} from "@tabler/icons-react"
import type { ComponentType } from "react"

/** `plain`: on its way or arrived. `grey`: nothing to do. `amber`: Waybill is still trying. `red`: someone has to act. */
export type Colour = "plain" | "grey" | "amber" | "red" | "green"

export interface Look {
  readonly word: string
  readonly colour: Colour
  readonly icon: ComponentType<IconProps>
}

/** Of deliveries and of events, by their `status`. */
export const looks = {
  received: { word: "Received", colour: "grey", icon: IconInbox },
  processing: { word: "Processing", colour: "plain", icon: IconSend },
  pending: { word: "Waiting", colour: "plain", icon: IconClock },
  sending: { word: "Sending", colour: "plain", icon: IconSend },
  delivered: { word: "Delivered", colour: "green", icon: IconCircleCheck },
  retrying: { word: "Retrying", colour: "amber", icon: IconRefresh },
  skipped: { word: "Skipped", colour: "grey", icon: IconMoonStars },
  failed: { word: "Failed", colour: "red", icon: IconAlertTriangle },
  withheld: { word: "Not sent", colour: "grey", icon: IconMinus },
} as const satisfies Record<string, Look>

export type Status = keyof typeof looks

const unknownLook: Look = { word: "Unknown", colour: "grey", icon: IconCircleDashed }

export function lookOf(status: string): Look {
  return status in looks ? looks[status as Status] : { ...unknownLook, word: status }
}

/** Of a reason or verdict, by its colour alone. */
export const iconsOfColours = {
  plain: IconClock,
  grey: IconMinus,
  amber: IconRefresh,
  red: IconAlertTriangle,
  green: IconCircleCheck,
} as const satisfies Record<Colour, ComponentType<IconProps>>

/** Text on the page's ground, at least 4.5 to 1 in both schemes. */
export const textColours: Readonly<Record<Colour, string>> = {
  plain: "light-dark(#1f4f8f, #8fbdf5)",
  grey: "light-dark(#565d66, #a9b1ba)",
  amber: "light-dark(#8a5000, #f3b765)",
  red: "light-dark(#b01e1e, #ff9c94)",
  green: "light-dark(#0b6b43, #6fd3a4)",
}

/** Behind such text. */
export const groundColours: Readonly<Record<Colour, string>> = {
  plain: "light-dark(#eaf2fc, #182a40)",
  grey: "light-dark(#f0f1f3, #2a2d31)",
  amber: "light-dark(#fff3e0, #3a2a12)",
  red: "light-dark(#fdecec, #3d1d1c)",
  green: "light-dark(#e6f6ee, #12301f)",
}

/** Of an integration whose endpoint protection holds back. */
export const restingLook: Look = { word: "Resting", colour: "grey", icon: IconMoonStars }
