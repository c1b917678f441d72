/** The mail that takes an invitation to a project to whoever is invited. */
import { asHtml, type MailText, timeOf } from "./operational-mail.ts"
import { type Role, roles } from "./scope.ts"
import { oneLine } from "./sentence.ts"

/** What is kept of it until it is sent. */
export interface InvitationMail {
  readonly cause: "invitation"
  readonly at: number
  /** Whom it goes to. */
  readonly to: string
  readonly project: string
  readonly role: Role
  /** The name of the person who invites; null where a program does. */
  readonly by: string | null
  readonly expiresAt: number
  /** The token of the link, sealed for the mail's key: it opens the project to whoever has it. */
  readonly sealedToken: string
}

/** The words of the mail. `link`: where the invitation is accepted. */
export function composeInvitation(mail: Omit<InvitationMail, "sealedToken">, link: string): MailText {
  const project = oneLine(mail.project)
  const first = `${mail.by === null ? "You are invited" : `${oneLine(mail.by)} invites you`} to the project ${project} of a Waybill, as ${mail.role}. ${roles[mail.role].may}`
  const how = "Open this link to accept:"
  const end = `The link is yours alone, works once, and holds until ${timeOf(new Date(mail.expiresAt).toISOString())}. If you expected no invitation, do nothing.`
  return {
    subject: `Invitation to ${project}`,
    text: `${first}\n\n${how}\n${link}\n\n${end}\n`,
    html: `<!doctype html>\n<html lang="en"><body>\n<p>${asHtml(first)}</p>\n<p>${how}<br><a href="${asHtml(link)}">${asHtml(link)}</a></p>\n<p><small>${asHtml(end)}</small></p>\n</body></html>\n`,
  }
}
