/**
 * Processes around the program under test: a producer, receivers, rivals. Each is a file of its own that answers
 * questions over Node's channel between parent and child, and ends when that channel does, so that none is left behind.
 */
import { type ChildProcess, fork } from "node:child_process"
import { once } from "node:events"
import { join } from "node:path"
import type { TestContext } from "node:test"

interface Message {
  readonly number: number
  readonly content: unknown
}

/** A child process that can be asked. */
export class HelperProcess {
  readonly #child: ChildProcess
  readonly #waiting = new Map<number, { resolve(answer: unknown): void; reject(error: Error): void }>()
  readonly #ended: Promise<unknown>
  #last = 0

  /** Starts a file of this folder with options; it ends with the test, if not before. */
  constructor(t: TestContext, file: string, options: unknown) {
    const env = { NODE_COMPILE_CACHE: process.env["NODE_COMPILE_CACHE"] }
    this.#child = fork(join(import.meta.dirname, file), [JSON.stringify(options)], { execArgv: [], env })
    this.#ended = once(this.#child, "exit")
    t.after(() => this.end())
    this.#child.on("message", (message: Message) => {
      this.#waiting.get(message.number)?.resolve(message.content)
      this.#waiting.delete(message.number)
    })
    this.#child.on("exit", (code, signal) => {
      for (const { reject } of this.#waiting.values()) reject(new Error(`${file} ended (${signal ?? code}).`))
    })
  }

  get pid(): number {
    return this.#child.pid ?? 0
  }

  /** Asks a question and gives the answer; rejects where the process ends before it. */
  ask(question: unknown): Promise<unknown> {
    const number = ++this.#last
    return new Promise((resolve, reject) => {
      if (!this.#child.connected) {
        reject(new Error("The process has ended already."))
        return
      }
      this.#waiting.set(number, { resolve, reject })
      this.#child.send({ number, content: question } satisfies Message)
    })
  }

  /** Ends the process and waits until it is gone. */
  async end(): Promise<void> {
    if (this.#child.connected) this.#child.disconnect()
    await this.#ended
  }
}

/** What the parent handed over at the start. To be called in the child. */
export function helperOptions<Options>(): Options {
  return JSON.parse(process.argv[2] ?? "null") as Options
}

/** Answers the parent's questions until it lets go. To be called in the child. */
export function answerQuestions<Question>(answer: (question: Question) => Promise<unknown>): void {
  process.on("message", (message: Message) => {
    answer(message.content as Question).then(
      content => process.send?.({ number: message.number, content } satisfies Message),
      (error: unknown) => {
        console.error(error)
        process.exit(1)
      },
    )
  })
  process.on("disconnect", () => process.exit(0))
}
