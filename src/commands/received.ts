/** A received request in words: for people with its headers and body laid out, for programs as one line. */
import { isUtf8 } from "node:buffer"
import type { Verification } from "../transport/sign.ts"
import { indentJson } from "./pretty-json.ts"
import type { Received } from "./receiver.ts"
import { oneLine, printable, type Terminal } from "./terminal.ts"

/** Headers whose values must not end up in a terminal's history or somebody's screenshot. */
const secretHeader = /^(proxy-)?authorization$|^(set-)?cookie$|api-?key|token|secret|passw/i

/** Longer bodies are cut for people; `--json` has all of it. */
const MAX_LINES = 100
const MAX_COLUMNS = 500

/** Prints a request for a person. */
export function showReceived(received: Received, terminal: Terminal): void {
  const { method, path, headers, body, verification, status } = received
  const verdict = verdictOf(verification)
  const mark = verdict.verified === null ? "-" : verdict.verified ? "✓" : "✗"
  const style = verdict.verified === null ? "dim" : verdict.verified ? "green" : "red"
  const title = `${method} ${oneLine(path)}`
  terminal.print(`${terminal.paint("dim", terminal.time(received.at))}  ${terminal.paint("bold", title)}`)
  for (const [name, value] of headers) {
    terminal.print(`  ${terminal.paint("cyan", printable(name))}: ${oneLine(masked(name, value), MAX_COLUMNS)}`)
  }
  for (const line of linesOf(body)) terminal.print(`  ${line}`)
  terminal.print(`  ${terminal.paint(style, `${mark} ${verdict.sentence}`)}`)
  terminal.print(`  ${terminal.paint(status < 400 ? "green" : "yellow", `→ answered ${status}`)}`)
  terminal.print()
}

/** A request as a value for one line of JSON. `verified` is null where nothing was there to check with. */
export function receivedToJson({ at, method, path, headers, body, verification, status }: Received): object {
  const text = isUtf8(body) ? Buffer.from(body).toString() : null
  return {
    at: new Date(at).toISOString(),
    method,
    path,
    headers: headers.map(([name, value]) => [name, masked(name, value)]),
    ...(text === null ? { body_base64: Buffer.from(body).toString("base64") } : { body: text }),
    verified: verdictOf(verification).verified,
    verification: verification?.kind ?? "not_checked",
    status,
  }
}

/** What the check of a signature found; `verified` is null where there was none. */
export function verdictOf(verification: Verification | null): {
  readonly verified: boolean | null
  readonly sentence: string
} {
  const failed = (sentence: string) => ({ verified: false, sentence })
  switch (verification?.kind) {
    case undefined:
      return { verified: null, sentence: "signature not checked: give the integration's secret with --secret" }
    case "verified":
      return { verified: true, sentence: "signature verified" }
    case "missing_header":
      return failed(`not signed: the header ${verification.header} is missing`)
    case "bad_timestamp":
      return failed("webhook-timestamp is no number of seconds")
    case "too_old":
      return failed(`signed ${verification.bySeconds} s ago, more than 5 minutes: compare the clocks`)
    case "too_new":
      return failed(`signed ${verification.bySeconds} s in the future: compare the clocks`)
    case "no_match":
      return failed("the signature does not fit: another secret signed it, or the body was changed on its way")
    case "bad_key":
      return failed("the secret cannot be used: copy it again, in full")
  }
}

function masked(name: string, value: string): string {
  return secretHeader.test(name) ? `•••• (${value.length} characters)` : value
}

function linesOf(body: Uint8Array): string[] {
  if (body.length === 0) return ["(no body)"]
  if (!isUtf8(body))
    return [`(${body.length} bytes that are no text: ${Buffer.from(body.subarray(0, 32)).toString("hex")}…)`]
  const text = Buffer.from(body).toString()
  const lines = printable(indentJson(text) ?? text).split("\n")
  const shown = lines
    .slice(0, MAX_LINES)
    .map(line => (line.length > MAX_COLUMNS ? `${line.slice(0, MAX_COLUMNS)}…` : line))
  return lines.length > MAX_LINES ? [...shown, `(${lines.length - MAX_LINES} more lines; --json has them)`] : shown
}
