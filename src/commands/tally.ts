/** How many rows of which table have gone: a line that is written over on a terminal, a line for each table elsewhere. */
import type { Terminal } from "./terminal.ts"

/** Between two looks that a person gets. */
const SHOW_MS = 200

export class Tally {
  readonly #terminal: Terminal
  readonly #isTerminal = process.stderr.isTTY === true
  #last: { table: string; rows: number } | undefined
  #shownAt = 0

  constructor(terminal: Terminal) {
    this.#terminal = terminal
  }

  show(table: string, rows: number): void {
    if (this.#last !== undefined && this.#last.table !== table) this.#line(this.#last)
    this.#last = { table, rows }
    if (!this.#isTerminal || performance.now() - this.#shownAt < SHOW_MS) return
    this.#shownAt = performance.now()
    process.stderr.write(`\r\u001b[K${table} ${rows}`)
  }

  end(): void {
    if (this.#last !== undefined) this.#line(this.#last)
    if (this.#isTerminal) process.stderr.write("\r\u001b[K")
    this.#last = undefined
  }

  /** Tables without rows are not worth a line. */
  #line({ table, rows }: { table: string; rows: number }): void {
    if (this.#isTerminal || rows === 0) return
    this.#terminal.note(`${table} ${rows}`)
  }
}
