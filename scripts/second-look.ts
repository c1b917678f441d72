/**
 * What several runs of the test runner said, as one report, and a second look at what failed.
 *
 * Tests run beside each other on a machine that has other work, and some hold the program to a time. A file that fails
 * there is run once more at the end, alone: what fails again is a fault, and only that is reported as one. It never
 * goes unsaid: each first failure is printed on standard error where it happens, and the report's end counts the files.
 * More than `SECOND_LOOKS` files that fail are no accident, and are reported as they come.
 */

/** How many files of a whole run may fail at first without that being a fault. */
export const SECOND_LOOKS = 5

/** What the runner says of the whole at the end. */
const COUNT = /^(tests|suites|pass|fail|cancelled|skipped|todo|duration_ms) ([\d.]+)$/

/** What the runner counts of one file, and how it calls that at the end. */
const COUNTED = {
  tests: "tests",
  suites: "suites",
  passed: "pass",
  failed: "fail",
  cancelled: "cancelled",
  skipped: "skipped",
  todo: "todo",
} as const

/** An event of the test runner, as far as it is looked at here. */
export interface TestEvent {
  readonly type: string
  readonly data: {
    readonly counts?: Readonly<Record<string, number>>
    readonly nesting?: number
    readonly name?: string
    readonly file?: string
    readonly message?: string
    readonly testNumber?: number
    readonly count?: number
    readonly details?: { readonly type?: string; readonly error?: { readonly cause?: unknown } & Error }
  }
}

/** The events of a run that are reported, those of one file together; those of no file each for itself. */
export async function* byFile(events: AsyncIterable<unknown>): AsyncGenerator<readonly TestEvent[]> {
  let held: TestEvent[] = []
  for await (const event of events as AsyncIterable<TestEvent>) {
    // Said as it happens, in no order; nothing that is reported comes from it.
    if (["test:enqueue", "test:dequeue", "test:complete"].includes(event.type)) continue
    if (held.length > 0 && (event.data.file === undefined || event.data.file !== held[0]?.data.file)) {
      yield held
      held = []
    }
    held.push(event)
  }
  if (held.length > 0) yield held
}

/** Whether a test among these events failed. */
export function hasFailed(events: readonly TestEvent[]): boolean {
  return events.some(event => event.type === "test:fail")
}

/** One report out of several runs: tests are numbered on, and counts added up. */
export class Report {
  readonly #counts = new Map<string, number>()
  #topLevel = 0
  #withheld = 0
  /** Whether anything that was reported has failed. */
  hasFailed = false

  /** Leaves a file that failed out of the report and says why on standard error: it is going to run again. */
  withhold(events: readonly TestEvent[]): void {
    this.#withheld += 1
    // A file whose process ended too soon has no summary: the runner counts it as one test.
    this.#subtract(events.find(({ type }) => type === "test:summary")?.data.counts ?? { tests: 1, failed: 1 })
    for (const { type, data } of events) {
      if (type !== "test:fail" || data.details?.type === "suite") continue
      const cause = data.details?.error?.cause
      const why =
        cause instanceof Error ? (cause.stack ?? cause.message) : String(cause ?? data.details?.error?.message)
      console.error(`Failed beside others, and runs again alone at the end: ${data.file}: ${data.name}\n${why}`)
    }
  }

  /** What the report says of these events; `engine` names the engine that the tests ran on where it is not the embedded one. */
  *of(events: readonly TestEvent[], engine?: "postgres"): Generator<TestEvent> {
    for (const { type, data } of events) {
      const { name, nesting, testNumber } = data
      const isTop = nesting === 0
      const ofAll = isTop && data.file === undefined
      const [, counted, count] = ofAll && type === "test:diagnostic" ? (COUNT.exec(data.message ?? "") ?? []) : []
      if (type === "test:fail") this.hasFailed = true
      if (counted !== undefined) this.#add(counted, Number(count))
      else if (!(type === "test:plan" && ofAll)) {
        const called = isTop && engine === "postgres" && name !== undefined ? `${name} (on PostgreSQL)` : name
        const number = isTop && testNumber !== undefined ? { testNumber: ++this.#topLevel } : {}
        yield { type, data: { ...data, ...(called === undefined ? {} : { name: called }), ...number } }
      }
    }
  }

  /** Tests that were left out. */
  countSkipped(number: number): void {
    this.#add("skipped", number)
  }

  /** What stands at the report's end. */
  *end(): Generator<TestEvent> {
    yield { type: "test:plan", data: { nesting: 0, count: this.#topLevel } }
    const again = this.#withheld === 0 ? [] : [`files that failed beside others and ran again alone: ${this.#withheld}`]
    const lines = [...again, ...[...this.#counts].map(([name, count]) => `${name} ${count}`)]
    for (const message of lines) yield { type: "test:diagnostic", data: { nesting: 0, message } }
  }

  /** Takes away what the runner counted of a file, in its own words. */
  #subtract(counts: Readonly<Record<string, number>>): void {
    for (const [counted, name] of Object.entries(COUNTED)) this.#add(name, -(counts[counted] ?? 0))
  }

  #add(name: string, number: number): void {
    this.#counts.set(name, (this.#counts.get(name) ?? 0) + number)
  }
}
