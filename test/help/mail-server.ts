/** A real SMTP server on loopback that keeps what it is handed, and can be told to go away, to refuse or to hang up. */
import { once } from "node:events"
import type { AddressInfo } from "node:net"
import { text } from "node:stream/consumers"
import { SMTPServer, type SMTPServerOptions } from "smtp-server"

/** A mail as it came. */
export interface Received {
  readonly from: string
  readonly to: readonly string[]
  readonly user: string | null
  readonly isEncrypted: boolean
  /** Headers and parts, as they went over the wire. */
  readonly source: string
}

/** What becomes of a mail that has been sent whole: it is taken, refused with a status, or the line goes dead before a word. */
export type Manner = "take" | "hang_up" | { readonly refuse: number }

const LIMIT_MS = 15_000

export class MailServer implements AsyncDisposable {
  readonly mails: Received[] = []
  /** Mails that were sent whole, taken or not. */
  handedOver = 0
  manner: Manner = "take"
  readonly #options: SMTPServerOptions
  #server: SMTPServer | undefined
  #port = 0
  readonly #waiting = new Set<() => void>()

  private constructor(options: SMTPServerOptions) {
    this.#options = options
  }

  /** Starts one; without options it takes every mail, in clear and without a password. */
  static async open(options: SMTPServerOptions = { disabledCommands: ["AUTH", "STARTTLS"] }): Promise<MailServer> {
    const server = new MailServer(options)
    await server.up()
    return server
  }

  get port(): number {
    return this.#port
  }

  /** Listens, again on the port that it had. */
  async up(): Promise<void> {
    const server = new SMTPServer({
      authOptional: true,
      closeTimeout: 100,
      ...this.#options,
      onAuth: ({ username, password }, _session, done) => {
        if (username === "waybill" && password === "s3cr3t@") done(null, { user: username })
        else done(new Error("wrong user or password"))
      },
      onData: async (stream, session, done) => {
        const source = await text(stream)
        this.handedOver++
        const { manner } = this
        if (manner === "hang_up") {
          for (const connection of server.connections) connection._socket?.destroy()
        } else if (manner !== "take") {
          done(Object.assign(new Error("not now"), { responseCode: manner.refuse }))
        } else {
          const { mailFrom, rcptTo } = session.envelope
          this.mails.push({
            from: mailFrom === false ? "" : mailFrom.address,
            to: rcptTo.map(({ address }) => address),
            user: typeof session.user === "string" ? session.user : null,
            isEncrypted: session.secure,
            source,
          })
          done()
        }
        for (const tell of this.#waiting) tell()
      },
    })
    // A client that does not trust the certificate hangs up; that is its right.
    server.on("error", () => undefined)
    server.listen(this.#port, "127.0.0.1")
    await once(server.server, "listening")
    this.#port = (server.server.address() as AddressInfo).port
    this.#server = server
  }

  /** Nothing listens any more. */
  async down(): Promise<void> {
    const server = this.#server
    this.#server = undefined
    if (server !== undefined) await new Promise<void>(resolve => server.close(() => resolve()))
  }

  /** Resolves when so many mails have been sent whole. */
  async received(count: number): Promise<readonly Received[]> {
    const limit = AbortSignal.timeout(LIMIT_MS)
    while (this.handedOver < count) {
      const more = Promise.withResolvers<void>()
      this.#waiting.add(more.resolve)
      limit.onabort = () => more.resolve()
      await more.promise
      this.#waiting.delete(more.resolve)
      if (limit.aborted) throw new Error(`${this.handedOver} mails came in ${LIMIT_MS} ms, not ${count}.`)
    }
    return this.mails
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.down()
  }
}

/** A header of a mail, unfolded. */
export function header(mail: Received | undefined, name: string): string {
  const [head = ""] = (mail?.source ?? "").split("\r\n\r\n")
  const found = new RegExp(`^${name}: (.*)$`, "im").exec(head.replace(/\r\n[ \t]+/g, " "))
  return found?.[1] ?? ""
}

/** The text of a mail with its encoding undone, both parts of it. */
export function bodyOf(mail: Received | undefined): string {
  const bytes = (mail?.source ?? "")
    .replace(/=\r\n/g, "")
    .replace(/=([0-9A-F]{2})/g, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16)))
  return Buffer.from(bytes, "latin1").toString("utf8")
}
