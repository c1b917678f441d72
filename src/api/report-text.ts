/** A report as Markdown, to be pasted into a ticket: what came from elsewhere stands in code, so that none of it is markup. */
import type { ReportView } from "./report.ts"

type LastError = ReportView["last_errors"][number]
type Headers = readonly { readonly name: string; readonly value: string | null }[]

/** Longer bodies are cut: a ticket needs the beginning. */
const MAX_BODY_CHARACTERS = 4_000

export function reportText(report: ReportView): string {
  const { integration, project, apps, range, diagnosis, counts, waybill } = report
  const { verdict } = diagnosis
  return [
    `# Delivery report: ${plain(integration.name)}`,
    bullets([
      ["Integration", `${code(integration.id)} (${plain(integration.connector)}, revision ${integration.revision})`],
      ["Endpoint", integration.endpoints.map(code).join(", ")],
      ["Project", `${plain(project.name)} ${code(project.id)}`],
      ["Apps", apps.length === 0 ? "all" : apps.map(plain).join(", ")],
      ["From", range.from],
      ["To", range.to],
      ["Made at", report.made_at],
    ]),
    "## What is happening",
    `**${plain(verdict.title)}**${verdict.since === null ? "" : ` since ${verdict.since}`}. ${plain(verdict.what)}`,
    verdict.causes === "" ? "" : `*Likely causes:* ${plain(verdict.causes)}`,
    verdict.questions.map(question => `- ${plain(question)}`).join("\n"),
    verdict.changes.length === 0 ? "" : `Changed on our side around then:\n\n${changes(verdict.changes)}`,
    "## Errors by reason and code",
    `${counts.success} attempts got through, ${counts.error} failed, ${counts.skipped} were held back; ${counts.failed} deliveries failed for good.`,
    table(
      ["reason", "status", "class", "code", "count", "first", "last"],
      report.errors.map(error => [
        plain(error.title),
        error.status === null ? "" : String(error.status),
        error.class ?? "",
        error.code ?? "",
        String(error.count),
        error.first_at,
        error.last_at,
      ]),
    ),
    ...(report.failures.length === 0
      ? []
      : [
          "## Failures that look alike",
          table(
            ["reason", "status", "message", "count", "first", "last", "goes on"],
            report.failures.map(failure => [
              plain(failure.title),
              failure.status === null ? "" : String(failure.status),
              failure.message === null ? "" : code(failure.message),
              String(failure.count),
              failure.first_at,
              failure.last_at,
              failure.going_on ? "yes" : "no",
            ]),
          ),
        ]),
    "## Last errors",
    ...(report.last_errors.length === 0 ? ["None in this time."] : report.last_errors.map(wholeError)),
    "## Events and devices",
    table(
      ["event", "type", "device"],
      report.failed_events.map(({ event, type, device_id }) => [
        code(event),
        code(type),
        device_id === null ? "" : code(device_id),
      ]),
    ),
    "## Waybill",
    bullets([
      // Which Waybill it is, the portal does not tell.
      ...(waybill.started_at === null ? [] : [["Version", waybill.version] as const]),
      ["Health", waybill.healthy ? "healthy" : "not healthy: see GET /v1/status"],
      ...(waybill.started_at === null ? [] : [["Running since", waybill.started_at] as const]),
      ["Oldest due delivery", `${waybill.oldest_due_seconds} s late`],
    ]),
  ]
    .filter(part => part !== "")
    .join("\n\n")
    .concat("\n")
}

function wholeError({ delivery, event, method, attempt }: LastError): string {
  const answer = attempt.response
  return [
    `### ${attempt.started_at}: ${plain(attempt.reason?.title ?? attempt.outcome)}`,
    bullets([
      ["Event", `${code(event.id)} of type ${code(event.type)}`],
      ["Device", event.device_id === null ? "" : code(event.device_id)],
      ["Profile", event.profile_id === null ? "" : code(event.profile_id)],
      ["Delivery", `${code(delivery)}, attempt ${attempt.number} ${code(attempt.id)}`],
      ["Error", attempt.error === null ? "" : `${code(attempt.error.class)} ${plain(attempt.error.message)}`],
      ["Took", attempt.timings === null ? "" : `${Math.round(attempt.timings.total_ms)} ms`],
    ]),
    attempt.request === null
      ? "Request and answer are no longer kept."
      : `Request:\n\n${fence([`${method} ${attempt.url ?? ""}`, ...headerLines(attempt.request.headers), "", bodyText(attempt.request)])}`,
    answer === null
      ? ""
      : `Answer:\n\n${fence([String(answer.status), ...headerLines(answer.headers), "", bodyText(answer)])}`,
  ]
    .filter(part => part !== "")
    .join("\n\n")
}

function changes(list: ReportView["diagnosis"]["verdict"]["changes"]): string {
  return list
    .map(({ at, when, kind, touches }) => `- ${at} (${when}): ${code(kind)} ${touches.map(plain).join(", ")}`)
    .join("\n")
}

function headerLines(headers: Headers): string[] {
  return headers.map(({ name, value }) => `${name}: ${value ?? "(secret)"}`)
}

function bodyText({
  body,
  body_encoding,
}: {
  readonly body: string | null
  readonly body_encoding: string | null
}): string {
  if (body === null) return body_encoding === "base64" ? "(bytes that are no text)" : "(none kept)"
  return body.length > MAX_BODY_CHARACTERS ? `${body.slice(0, MAX_BODY_CHARACTERS)}…` : body
}

/** A block of code that nothing in it can end. */
function fence(lines: readonly string[]): string {
  const text = lines.join("\n").replace(/[\u0000-\u0008\u000b-\u001f\u007f]/g, "\ufffd")
  const longest = Math.max(2, ...[...text.matchAll(/`+/g)].map(([run]) => run.length))
  const mark = "`".repeat(longest + 1)
  return `${mark}\n${text}\n${mark}`
}

function bullets(items: readonly (readonly [name: string, value: string])[]): string {
  return items
    .filter(([, value]) => value !== "")
    .map(([name, value]) => `- **${name}:** ${value}`)
    .join("\n")
}

function table(heads: readonly string[], rows: readonly (readonly string[])[]): string {
  if (rows.length === 0) return "None."
  const line = (cells: readonly string[]) => `| ${cells.map(cell => cell.replaceAll("|", "\\|")).join(" | ")} |`
  return [line(heads), line(heads.map(() => "---")), ...rows.map(line)].join("\n")
}

/** Text as code, on one line. */
function code(text: string): string {
  const line = text.replace(/[\s\u0000-\u001f\u007f]+/g, " ")
  return line.includes("`") ? `\`\` ${line} \`\`` : `\`${line}\``
}

/** Text in which nothing acts as markup. */
function plain(text: string): string {
  return text
    .replace(/[\s\u0000-\u001f\u007f]+/g, " ")
    .replace(/[\\`*_<>[\]#]/g, found => `\\${found}`)
    .trim()
}
