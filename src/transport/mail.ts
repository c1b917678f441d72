/**
 * Hands mails over to the operator's SMTP server. That server is named by whoever runs Waybill, not by whoever sets up
 * integrations, so the guard against private addresses does not stand before it.
 */
import { Readable } from "node:stream"
import type SMTPConnection from "nodemailer/lib/smtp-connection"
import type { Sender, SmtpServer } from "../domain/mail-address.ts"
import type { MailText } from "../domain/operational-mail.ts"

export interface OutboundMail extends MailText {
  readonly to: readonly string[]
  /** The same for each try, so that a repeat could be told. */
  readonly messageId: string
  readonly at: number
}

/** What came of handing a mail over. */
export type HandedOver =
  | { readonly kind: "taken"; readonly refused: readonly string[] }
  /** The server is not there, or does not let us in: no other mail would fare better now. */
  | { readonly kind: "unreachable"; readonly message: string }
  /** This mail was not taken. */
  | { readonly kind: "refused"; readonly message: string }
  /** The connection broke while the mail itself went over it: it may have arrived. */
  | { readonly kind: "unknown"; readonly message: string }
  /** `begin` has said no: the server was not told of it. */
  | { readonly kind: "not_begun" }

export interface Mailer {
  /** Where mails go: `mail.example:587`. */
  readonly place: string
  /** `begin` is awaited when the server has let us in, before it is told of the mail; false: it is not to be told. */
  handOver(mail: OutboundMail, begin: () => Promise<boolean>): Promise<HandedOver>
}

const CONNECT_MS = 10_000
const SILENCE_MS = 30_000

/** A mailer for a server. The library is loaded only where there is one. */
export async function openMailer(server: SmtpServer, sender: Sender): Promise<Mailer> {
  const [{ default: Connection }, { default: MailComposer }] = await Promise.all([
    import("nodemailer/lib/smtp-connection"),
    import("nodemailer/lib/mail-composer"),
  ])
  const { host, port, tls, user, password } = server
  const options: SMTPConnection.Options = {
    host,
    port,
    secure: tls === "from_start",
    requireTLS: tls === "required",
    ignoreTLS: tls === "off",
    connectionTimeout: CONNECT_MS,
    greetingTimeout: CONNECT_MS,
    dnsTimeout: CONNECT_MS,
    socketTimeout: SILENCE_MS,
  }
  return {
    place: `${host.includes(":") ? `[${host}]` : host}:${port}`,
    handOver: async ({ to, messageId, at, ...words }, begin) => {
      const composed = new MailComposer({
        ...words,
        from: sender,
        to: [...to],
        messageId,
        date: new Date(at),
        headers: { "auto-submitted": "auto-generated" },
        // Mails are made of texts only; nothing in them is ever read from a file or fetched.
        disableFileAccess: true,
        disableUrlAccess: true,
      }).compile()
      const source = await composed.build()
      const connection = new Connection(options)
      let isTaken = false
      try {
        const error = await letIn(connection, user === null || password === null ? null : { user, pass: password })
        if (error !== null) return { kind: "unreachable", message: error.message }
        if (!(await begin())) return { kind: "not_begun" }
        const handed = await send(connection, { from: sender.address, to: [...to] }, source)
        isTaken = handed.kind === "taken"
        return handed
      } finally {
        if (isTaken) connection.quit()
        else connection.close()
      }
    },
  }
}

/** Connects and signs in; null where that went well. */
function letIn(connection: SMTPConnection, auth: { user: string; pass: string } | null): Promise<Error | null> {
  return new Promise(resolve => {
    // Whatever happens to the connection from now on; whoever waits for something on it hears of it there.
    connection.on("error", resolve)
    connection.once("end", () => resolve(new Error("The server closed the connection.")))
    connection.connect(error => {
      if (error !== undefined && error !== null) resolve(error)
      else if (auth === null) resolve(null)
      else connection.login(auth, failure => resolve(failure))
    })
  })
}

function send(connection: SMTPConnection, envelope: SMTPConnection.Envelope, source: Buffer): Promise<HandedOver> {
  let isUnderWay = false
  // Read when the server has asked for the mail, and not before.
  const message = Readable.from(
    (function* () {
      isUnderWay = true
      yield source
    })(),
  )
  return new Promise(resolve => {
    const fail = (error: Error & { readonly responseCode?: number | undefined }): void => {
      const { message: text, responseCode } = error
      // An answer says what became of it; without one, all of the mail may have arrived.
      const kind = responseCode !== undefined ? "refused" : isUnderWay ? "unknown" : "unreachable"
      resolve({ kind, message: text })
    }
    connection.on("error", fail)
    connection.once("end", () => fail(new Error("The server closed the connection.")))
    connection.send(envelope, message, (error, info) => {
      if (error !== null) fail(error)
      else resolve({ kind: "taken", refused: (info?.rejected ?? []).map(String) })
    })
  })
}
