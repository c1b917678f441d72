/**
 * The owner's colour in a portal: as it is on the band at the top, with whichever of black and white is easier to read on
 * it; and made darker or lighter where it is the colour of links and buttons, until it can be read there too.
 */
type Rgb = readonly [red: number, green: number, blue: number]

const white: Rgb = [255, 255, 255]
const black: Rgb = [0, 0, 0]
/** The ground of the dark scheme, at its lightest: that of a card that is pointed at. */
const darkGround: Rgb = [59, 59, 59]
/** The same, where nothing lies on it. */
const darkPage: Rgb = [36, 36, 36]
/** WCAG 2.2: 1.4.3 of text on its ground, 1.4.11 of a button or a line. */
const ENOUGH = { text: 4.5, shape: 3 } as const

/** Black or white, whichever is easier to read on a colour: one of them always is enough. */
export function textOn(colour: string): "#000000" | "#ffffff" {
  const ground = rgbOf(colour)
  return contrast(white, ground) >= contrast(black, ground) ? "#ffffff" : "#000000"
}

/** The ten shades that stand in place of Waybill's own, from the lightest on. */
export function shadesOf(colour: string): readonly string[] {
  const own = rgbOf(colour)
  const onLight = until(own, black, shade => contrast(shade, white) >= ENOUGH.text)
  const onDark = until(own, white, shade => contrast(shade, darkGround) >= ENOUGH.text)
  // White can be read on it, and it stands out from the dark page.
  const filledOnDark = until(onLight, white, shade => contrast(shade, darkPage) >= ENOUGH.shape)
  const tints = [0.92, 0.84, 0.68].map(share => mixed(own, white, share))
  return [...tints, onDark, onDark, onDark, onLight, onLight, filledOnDark, onLight].map(textOf)
}

/** Makes the page bear a colour: the shades of Waybill's own stand in these variables. */
export function wear(colour: string): void {
  const { style } = document.documentElement
  const shades = shadesOf(colour)
  for (const [i, shade] of shades.entries()) style.setProperty(`--mantine-color-waybill-${i}`, shade)
  const [red, green, blue] = rgbOf(shades[9] ?? colour)
  style.setProperty("--mantine-color-waybill-light", `rgba(${red}, ${green}, ${blue}, 0.1)`)
  style.setProperty("--mantine-color-waybill-light-hover", `rgba(${red}, ${green}, ${blue}, 0.14)`)
  style.setProperty("--mantine-color-waybill-outline-hover", `rgba(${red}, ${green}, ${blue}, 0.06)`)
}

/** The first step from one colour towards another that will do. */
function until(from: Rgb, to: Rgb, isEnough: (shade: Rgb) => boolean): Rgb {
  for (let share = 0; share < 1; share += 0.01) {
    const shade = mixed(from, to, share)
    if (isEnough(shade)) return shade
  }
  return to
}

function mixed(from: Rgb, to: Rgb, share: number): Rgb {
  const part = (i: 0 | 1 | 2) => Math.round(from[i] + (to[i] - from[i]) * share)
  return [part(0), part(1), part(2)]
}

function contrast(a: Rgb, b: Rgb): number {
  const [lighter, darker] = [luminance(a), luminance(b)].sort((x, y) => y - x) as [number, number]
  return (lighter + 0.05) / (darker + 0.05)
}

/** Relative luminance, as WCAG has it. */
function luminance([red, green, blue]: Rgb): number {
  const linear = (part: number) => {
    const share = part / 255
    return share <= 0.04045 ? share / 12.92 : ((share + 0.055) / 1.055) ** 2.4
  }
  return 0.2126 * linear(red) + 0.7152 * linear(green) + 0.0722 * linear(blue)
}

function rgbOf(colour: string): Rgb {
  const part = (at: number) => Number.parseInt(colour.slice(at, at + 2), 16)
  return [part(1), part(3), part(5)]
}

function textOf(rgb: Rgb): string {
  return `#${rgb.map(part => part.toString(16).padStart(2, "0")).join("")}`
}
