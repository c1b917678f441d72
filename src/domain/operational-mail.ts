/** Mails to the people of a project, made of the operational event that they tell of: subject, plain text and simple HTML. */
import type { OperationalData, OperationalEvent } from "./operational-types.ts"
import { formatDuration, oneLine } from "./sentence.ts"

/** What a mail is about. An integration gets one of each a day at most. */
export const mailCauses = ["failing", "retries_stopped", "gone", "long_failure", "recovered"] as const
export type MailCause = (typeof mailCauses)[number]

/** Operational events that mails tell of too. */
export type MailedEvent = Extract<
  OperationalEvent,
  { readonly type: `waybill.integration.${"failing" | "disabled" | "recovered"}` }
>

/** What is kept of a mail until it is sent. */
export interface MailContent {
  readonly cause: MailCause
  readonly at: number
  readonly event: MailedEvent
}

export interface MailText {
  readonly subject: string
  readonly text: string
  readonly html: string
}

/** What stands in a mail, before it is text or HTML. */
interface Letter {
  readonly subject: string
  readonly first: string
  /** Facts, each with its name. */
  readonly facts: readonly (readonly [name: string, value: string])[]
  readonly advice: string | null
}

/** The words of a mail. `publicUrl`: where Waybill is reached, without a slash at its end. */
export function composeMail({ event, at }: MailContent, publicUrl: string): MailText {
  const { integration } = event.data
  const letter = letterOf(event, oneLine(integration.name))
  const link = `${publicUrl}/v1/integrations/${integration.id}`
  const facts = [...letter.facts, ["Integration", `${oneLine(integration.name)} (${integration.id})`] as const]
  const end = `Sent by Waybill at ${timeOf(new Date(at).toISOString())}: at most one mail a day for each integration and cause.`
  const told = [
    letter.first,
    facts.map(([name, value]) => `${name}: ${value}`).join("\n"),
    ...(letter.advice === null ? [] : [`What to do: ${letter.advice}`]),
    `The integration: ${link}`,
    end,
  ]
  const rows = facts.map(([name, value]) => `<tr><td>${asHtml(name)}</td><td>${asHtml(value)}</td></tr>`).join("")
  const marked = [
    `<p>${asHtml(letter.first)}</p>`,
    `<table cellpadding="4">${rows}</table>`,
    ...(letter.advice === null ? [] : [`<p><strong>What to do:</strong> ${asHtml(letter.advice)}</p>`]),
    `<p>The integration: <a href="${asHtml(link)}">${asHtml(link)}</a></p>`,
    `<p><small>${asHtml(end)}</small></p>`,
  ]
  return {
    subject: letter.subject,
    text: `${told.join("\n\n")}\n`,
    html: `<!doctype html>\n<html lang="en"><body>\n${marked.join("\n")}\n</body></html>\n`,
  }
}

function letterOf({ type, data }: MailedEvent, name: string): Letter {
  switch (type) {
    case "waybill.integration.failing":
      return failing(data, name)
    case "waybill.integration.disabled":
      return disabled(data, name)
    case "waybill.integration.recovered":
      return {
        subject: `${name} works again`,
        first: `A delivery to the integration ${name} has got through again, after nothing had since ${timeOf(data.since)}.`,
        facts: countOf(data.failed_attempts),
        advice: "Replay the events that failed or were withheld meanwhile, if they are still wanted.",
      }
  }
}

function failing(data: OperationalData<"waybill.integration.failing">, name: string): Letter {
  const { failing_since, last_success_at, consequence, disabled_after_ms } = data
  const isWarning = consequence === "warned"
  const limit =
    disabled_after_ms === null
      ? ""
      : ` After ${formatDuration(disabled_after_ms)} without a success it is switched off.`
  const stopped = " Nothing is retried by itself any more until a delivery succeeds; new events are still tried once."
  return {
    subject: isWarning ? `${name} is failing` : `${name} is failing: retries have stopped`,
    first: `Nothing has got through to the integration ${name} since ${timeOf(failing_since)}.${isWarning ? "" : stopped}${limit}`,
    facts: [
      ["Failing since", timeOf(failing_since)],
      ["Last success", last_success_at === null ? "none known" : timeOf(last_success_at)],
      ...countOf(data.failed_attempts),
      ...errorOf(data.last_error),
    ],
    advice: data.advice,
  }
}

function disabled(data: OperationalData<"waybill.integration.disabled">, name: string): Letter {
  const { cause, failing_since } = data
  const why = {
    gone: "its endpoint answered 410, which says that it wants no more events",
    long_failure: `nothing had got through to it${failing_since === null ? "" : ` since ${timeOf(failing_since)}`}`,
    person: "somebody switched it off",
  }[cause]
  const short = { gone: "410 Gone", long_failure: "failed for too long", person: "by a person" }[cause]
  return {
    subject: `${name} was switched off: ${short}`,
    first: `The integration ${name} was switched off, because ${why}. What waited for it has ended, and new events are withheld from it.`,
    facts: [
      ...(failing_since === null ? [] : [["Failing since", timeOf(failing_since)] as const]),
      ...countOf(data.failed_attempts),
      ...errorOf(data.last_error),
    ],
    advice: data.advice,
  }
}

function countOf(count: number | null): Letter["facts"] {
  return count === null ? [] : [["Failed attempts", count.toLocaleString("en")]]
}

function errorOf(error: OperationalData<"waybill.integration.disabled">["last_error"]): Letter["facts"] {
  return error === null
    ? []
    : [
        ["Last error", oneLine(error.what)],
        ["Reason", error.reason],
        ["Delivery", error.delivery],
      ]
}

/** `2026-11-21 10:00:00 UTC` */
export function timeOf(text: string): string {
  return `${text.slice(0, 19).replace("T", " ")} UTC`
}

/** A text as it stands in HTML. */
export function asHtml(text: string): string {
  return text.replace(/[&<>"']/g, found => `&#${found.charCodeAt(0)};`)
}
