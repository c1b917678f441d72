/**
 * The notifier sends the mails that were written down, one after another: what a server does not take is tried again, later
 * and later; what has been handed over is never handed over again, also where nobody knows whether it arrived.
 * Of several processes over one database one sends. Each mail is taken before the server hears of it, so that two of them
 * do no harm where they send for a moment.
 */

import { DAY_MS, HOUR_MS } from "../domain/duration.ts"
import { isReservedType } from "../domain/event-names.ts"
import { composeInvitation, type InvitationMail } from "../domain/invitation-mail.ts"
import { withoutAddresses } from "../domain/normalise-message.ts"
import { composeMail, type MailContent, type MailText } from "../domain/operational-mail.ts"
import { composePasswordReset, type PasswordResetMail } from "../domain/password-reset-mail.ts"
import type { Log } from "../log.ts"
import { leads } from "../store/leader.ts"
import {
  beginMail,
  countMails,
  type DueMail,
  dueMails,
  endMail,
  endUnknownMails,
  mailPlace,
  nextMailAt,
  putOffMail,
  removeDoneMails,
} from "../store/mails.ts"
import type { Store } from "../store/store.ts"
import type { Mailer } from "../transport/mail.ts"
import type { Directory } from "./directory.ts"
import type { Feed } from "./feed.ts"

export interface NotifierOptions {
  readonly store: Store
  readonly directory: Directory
  readonly feed: Feed
  /** Null where mail is not set up: then nothing is written down either, and what was before waits. */
  readonly mailer: Mailer | null
  readonly publicUrl: () => string
  /** The host behind the @ of message ids. */
  readonly host: string
  readonly now: () => number
  readonly log: Log
}

/** How mail stands, for `/v1/status`. */
export interface MailStatus {
  readonly server: string
  readonly waiting: number
  readonly oldestAt: number | null
  readonly lastDoneAt: number | null
  /** What the server said when it last took nothing; null since it took something. */
  readonly error: string | null
  readonly errorAt: number | null
}

const FIRST_DELAY_MS = 30_000
const LONGEST_DELAY_MS = HOUR_MS
/** About three days: a server that is there and says no for so long means it. */
const MOST_REFUSALS = 80
/** Longer than a day, in whatever state the clock is. */
const DONE_KEPT_MS = 7 * DAY_MS
/** What is written down without an event is found by then; with several processes, what another one has written down. */
const LOOK_EVERY_MS = { sqlite: 15_000, postgres: 2_000 } as const
const PAGE = 20

export class Notifier {
  readonly #options: NotifierOptions
  #timer: NodeJS.Timeout | undefined
  #run: Promise<void> | undefined
  #isWoken = false
  #isStopping = false
  #stopListening: (() => void) | undefined
  /** Tries in a row that the server was not there, and when it is asked again. */
  #absences = 0
  #restsUntil = 0
  #error: { readonly message: string; readonly at: number } | null = null

  constructor(options: NotifierOptions) {
    this.#options = options
  }

  /** Takes up what an earlier start left, and sends what comes from now on. */
  async start(): Promise<void> {
    const { store, mailer, feed } = this.#options
    if (mailer === null) return
    await this.#endUnknown()
    this.#stopListening = feed.listen(item => {
      if (item.kind === "event" && isReservedType(item.event.type)) this.wake()
    })
    this.#timer = setInterval(() => this.wake(), LOOK_EVERY_MS[store.engine]).unref()
    this.wake()
  }

  /** Finishes the mail that is under way; the others wait for the next start. */
  async stop(): Promise<void> {
    this.#isStopping = true
    this.#stopListening?.()
    clearInterval(this.#timer)
    while (this.#run !== undefined) await this.#run
  }

  /** Whether mail is set up. */
  get isSetUp(): boolean {
    return this.#options.mailer !== null
  }

  /** Looks for mails that are due. */
  wake(): void {
    if (this.#options.mailer === null || this.#isStopping) return
    this.#isWoken = true
    this.#run ??= this.#sendAll(this.#options.mailer).finally(() => {
      this.#run = undefined
      if (this.#isWoken) this.wake()
    })
  }

  /** How mail stands; null where it is not set up. */
  async status(): Promise<MailStatus | null> {
    const { mailer, store } = this.#options
    if (mailer === null) return null
    const { waiting, oldest_at, last_done_at } = await countMails(store.db)
    return {
      server: mailer.place,
      waiting,
      oldestAt: oldest_at,
      lastDoneAt: last_done_at,
      error: this.#error?.message ?? null,
      errorAt: this.#error?.at ?? null,
    }
  }

  async #sendAll(mailer: Mailer): Promise<void> {
    const { store, now, log } = this.#options
    try {
      while (this.#isWoken && !this.#isStopping) {
        this.#isWoken = false
        if (!(await leads(store))) return
        if (store.engine === "postgres") await this.#endUnknown()
        await removeDoneMails(store.db, now() - DONE_KEPT_MS)
        if (!this.#isResting()) await this.#sendDue(mailer)
      }
    } catch (error) {
      this.#isWoken = false
      log.warn({ err: error }, "mails could not be sent; they are looked for again in a few seconds")
    }
  }

  async #endUnknown(): Promise<void> {
    const { store, log, now } = this.#options
    const report = "Waybill was stopped while it was being handed over; whether it was taken is not known."
    for (const key of await endUnknownMails(store, report, now())) {
      log.warn({ mail: key }, "a mail was being handed over when its process ended; it is not sent again")
    }
  }

  /** A clock that was put back ends no rest by itself: none is longer than the longest delay. */
  #isResting(): boolean {
    const restMs = this.#restsUntil - this.#options.now()
    return restMs > 0 && restMs <= LONGEST_DELAY_MS
  }

  /** The time up to which mails are due; one that waits for longer than any delay was put off by another clock. */
  #dueBy(at: number): number {
    const now = this.#options.now()
    return at > now + LONGEST_DELAY_MS ? at : now
  }

  /** The server is not there: it is asked again later, and later. */
  #rest(message: string): void {
    const { mailer, log } = this.#options
    this.#noteError(message)
    this.#restsUntil = this.#options.now() + delayMs(this.#absences++)
    log.warn(
      { server: mailer?.place, error: message },
      "the mail server cannot be reached; mails wait and are tried again",
    )
  }

  async #sendDue(mailer: Mailer): Promise<void> {
    const { store } = this.#options
    for (;;) {
      const next = (await nextMailAt(store.db)) ?? Number.POSITIVE_INFINITY
      const mails = next === Number.POSITIVE_INFINITY ? [] : await dueMails(store.db, this.#dueBy(next), PAGE)
      if (mails.length === 0) return
      for (const mail of mails) {
        if (this.#isStopping || !(await this.#send(mailer, mail))) return
      }
    }
  }

  /** Sends one; false where the server is not there. */
  async #send(mailer: Mailer, mail: DueMail): Promise<boolean> {
    const { store, directory, host, now, log } = this.#options
    const { db, fence } = store
    const sending = { id: mail.id, fence }
    const content = JSON.parse(mail.content) as MailContent | LinkMail
    const to = hasLink(content) ? [content.to] : (directory.project(mail.project)?.alertEmails ?? [])
    if (to.length === 0) {
      await endMail(db, sending, "Nobody is to be told any more.", now())
      return true
    }
    const messageId = `<${mail.key.replaceAll(":", ".")}@${host}>`
    const words = this.#compose(mail.key, content)
    if (words === null) {
      await endMail(db, sending, "What it holds was sealed with another key.", now())
      return true
    }
    const outbound = { ...words, to, messageId, at: content.at }
    // Written down before the server hears of the mail: whoever finds it so after a crash does not send it again.
    const handed = await mailer.handOver(outbound, () => beginMail(db, sending, now()))
    if (handed.kind !== "unreachable") this.#absences = 0
    switch (handed.kind) {
      case "taken":
        this.#error = null
        if (handed.refused.length > 0)
          log.warn({ mail: mail.key, refused: handed.refused }, "not for all addresses was a mail taken")
        await endMail(db, sending, "Handed over.", now())
        return true
      case "not_begun":
        // Another process is at it.
        return true
      case "unknown":
        this.#noteError(handed.message)
        log.warn(
          { mail: mail.key, error: handed.message },
          "whether a mail was taken is not known; it is not sent again",
        )
        await endMail(db, sending, `Whether it was taken is not known: ${handed.message}`, now())
        return true
      case "refused":
        this.#noteError(handed.message)
        await this.#putOff(mail, fence, handed.message)
        return true
      case "unreachable":
        this.#rest(handed.message)
        // It may have been begun.
        await putOffMail(db, sending, { dueAt: now(), refusals: mail.refusals, at: now() })
        return false
    }
  }

  /** The words of a mail; null where its seal cannot be opened any more. */
  #compose(key: string, content: MailContent | LinkMail): MailText | null {
    const { store, publicUrl, log } = this.#options
    if (!hasLink(content)) return composeMail(content, publicUrl())
    try {
      const token = store.seal.open(mailPlace(key), content.sealedToken)
      switch (content.cause) {
        case "invitation":
          return composeInvitation(content, `${publicUrl()}/invitation?token=${token}`)
        case "password_reset":
          return composePasswordReset(content, `${publicUrl()}/password-reset?token=${token}`)
      }
    } catch (error) {
      log.warn({ err: error, mail: key }, "a link cannot be mailed any more: its token does not open")
      return null
    }
  }

  async #putOff(mail: DueMail, fence: number, error: string): Promise<void> {
    const { store, now, log } = this.#options
    const at = now()
    if (mail.refusals + 1 >= MOST_REFUSALS) {
      log.error({ mail: mail.key, error }, "a mail was not taken for days and is given up")
      await endMail(store.db, { id: mail.id, fence }, `Given up: ${error}`, at)
      return
    }
    log.warn({ mail: mail.key, error }, "a mail was not taken; it is tried again")
    const put = { dueAt: at + delayMs(mail.refusals), refusals: mail.refusals + 1, at }
    await putOffMail(store.db, { id: mail.id, fence }, put)
  }

  #noteError(message: string): void {
    // Servers name whom they refuse; every project of this Waybill reads how mail stands.
    this.#error = { message: withoutAddresses(message), at: this.#options.now() }
  }
}

/** A mail to one address alone, with a link that is for nobody else. */
type LinkMail = InvitationMail | PasswordResetMail

function hasLink(content: MailContent | LinkMail): content is LinkMail {
  return content.cause === "invitation" || content.cause === "password_reset"
}

/** 30 s, 1, 2, 4 … min, at most an hour. */
function delayMs(before: number): number {
  return Math.min(LONGEST_DELAY_MS, FIRST_DELAY_MS * 2 ** Math.min(before, 20))
}
