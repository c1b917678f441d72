/** The mail with the link for a new password, for whoever has forgotten theirs. */
import { asHtml, type MailText, timeOf } from "./operational-mail.ts"

/** What is kept of it until it is sent. */
export interface PasswordResetMail {
  readonly cause: "password_reset"
  readonly at: number
  /** Whom it goes to. */
  readonly to: string
  readonly expiresAt: number
  /** The token of the link, sealed for the mail's key: it opens the account to whoever has it. */
  readonly sealedToken: string
}

/** The words of the mail. `link`: where the new password is chosen. */
export function composePasswordReset({ expiresAt }: Pick<PasswordResetMail, "expiresAt">, link: string): MailText {
  const { host } = new URL(link)
  const first = `Somebody, probably you, asked for a new password for your account at the Waybill on ${host}.`
  const how = "Open this link to choose one:"
  const end = `The link works once, and holds until ${timeOf(new Date(expiresAt).toISOString())}. Choosing a new password signs you out everywhere. If you did not ask for it, do nothing: your password stays as it is.`
  return {
    subject: "A new password for your Waybill account",
    text: `${first}\n\n${how}\n${link}\n\n${end}\n`,
    html: `<!doctype html>\n<html lang="en"><body>\n<p>${asHtml(first)}</p>\n<p>${how}<br><a href="${asHtml(link)}">${asHtml(link)}</a></p>\n<p><small>${asHtml(end)}</small></p>\n</body></html>\n`,
  }
}
