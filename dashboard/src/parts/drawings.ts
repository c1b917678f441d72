/**
 * When something that changes many times a second is drawn: with a frame, and so far apart that most of the time is left to
 * the reader. A page that is not seen has no frames, and draws by the clock.
 */

/** Where it is drawn. */
export interface Screen {
  readonly isHidden: () => boolean
  readonly requestFrame: (draw: () => void) => number
  readonly cancelFrame: (frame: number) => void
  /** Milliseconds of a clock that only goes forward. */
  readonly now: () => number
}

/** Drawings are so far apart, and further where they take long. */
const APART_MS = { least: 100, most: 600, perMs: 4 } as const
const HIDDEN_MS = 500

export class Drawings {
  readonly #draw: () => void
  readonly #screen: Screen
  /** Takes back the one that is to come; undefined where none is. */
  #takeBack: (() => void) | undefined
  #drawnAt = Number.NEGATIVE_INFINITY
  #apartMs: number = APART_MS.least

  constructor(draw: () => void, screen: Screen) {
    this.#draw = draw
    this.#screen = screen
  }

  /** Draws soon; once, however often it is asked for until then. */
  ask(): void {
    if (this.#takeBack === undefined) this.#arrange()
  }

  /** To be told where the page is hidden or seen again: a frame that was asked for before would not come while it is hidden. */
  seenOtherwise(): void {
    if (this.#takeBack === undefined) return
    this.#takeBack()
    this.#arrange()
  }

  #arrange(): void {
    const waitMs = this.#drawnAt + this.#apartMs - this.#screen.now()
    if (this.#screen.isHidden()) this.#after(HIDDEN_MS, () => this.#run())
    else if (waitMs > 0) this.#after(waitMs, () => this.#withFrame())
    else this.#withFrame()
  }

  #after(ms: number, go: () => void): void {
    const timer = setTimeout(go, ms)
    this.#takeBack = () => clearTimeout(timer)
  }

  #withFrame(): void {
    const frame = this.#screen.requestFrame(() => this.#run())
    this.#takeBack = () => this.#screen.cancelFrame(frame)
  }

  #run(): void {
    this.#takeBack = undefined
    const at = this.#screen.now()
    this.#draw()
    this.#drawnAt = this.#screen.now()
    const apart = (this.#drawnAt - at) * APART_MS.perMs
    this.#apartMs = Math.min(Math.max(apart, APART_MS.least), APART_MS.most)
  }
}
