/** The page of policies: their fields, the presets, and what becomes of each status under each preset. */
import { PolicyIn } from "../../src/api/integration-schemas.ts"
import { reasonOfStatus } from "../../src/domain/decide.ts"
import {
  bandOf,
  type PresetName,
  policyToJson,
  presetNames,
  presets,
  presetVerification,
} from "../../src/domain/policy.ts"
import type { LongFailurePolicy, ProtectionPolicy } from "../../src/domain/policy-trouble.ts"
import { formatDuration } from "../../src/domain/sentence.ts"
import { code, pageHead, table } from "./markdown.ts"
import { fieldTable, plainSchema } from "./schema.ts"

const intro = `A policy says when an event counts as delivered, how long an attempt may take and when it is tried again. It is part of an
integration: name a preset, and beside it the fields that are to differ.

\`\`\`json
{ "policy": { "preset": "subscription", "timeout_ms": 20000, "max_per_second": 50 } }
\`\`\`

\`standard\` is what Standard Webhooks recommends. \`subscription\` behaves as Adapty does, \`revenuecat\` as RevenueCat,
\`device\` as Particle, for those who come from there.`

const bands = `A status is *delivered*, *failed* at once, or *retried*. It decides as soon as the head of the answer is complete, whatever
becomes of its body. Every network error and every time-out is retried; redirects are never followed. \`Retry-After\` is
obeyed on every answer that is retried, up to 24 h, and never makes a delay shorter. A 410 under \`on_gone: disable\` also
switches the integration off.`

const longFailure = `What follows when nothing gets through, counted from the first error after the last success; a success ends it. Only what was
tried counts: an integration without traffic is not failing. How people are told: [Be told when something fails](../be-told.md).`

/** The page as Markdown. */
export function policiesPage(): string {
  return [
    pageHead("Policies", "src/domain/policy.ts", intro),
    `## Presets\n\n${presetTable()}`,
    `## Retries\n\nHow long after the attempt before, and in brackets after the first one. Jitter makes each delay a little shorter or longer.\n\n${retryTable()}`,
    `## After a long failure\n\n${longFailure}\n\n${longFailureTable()}`,
    `## What a status means\n\n${bands}\n\n${bandTable()}`,
    `## Fields\n\n${fieldTable(plainSchema(PolicyIn), "input")}`,
  ].join("\n")
}

/** A column for each preset, named by it. */
function byPreset(head: string, rows: readonly (readonly [string, (name: PresetName) => string])[]): string {
  return table(
    [head, ...presetNames.map(code)],
    rows.map(([name, cell]) => [name, ...presetNames.map(cell)]),
  )
}

function presetTable(): string {
  const json = Object.fromEntries(presetNames.map(name => [name, policyToJson(presets[name])]))
  const field = (name: PresetName, key: string) => code(JSON.stringify(json[name]?.[key as "success"] ?? null))
  const plain = ["timeout_ms", "success", "stop", "on_gone", "max_per_second", "max_concurrent", "keep_response_bytes"]
  return byPreset("field", [
    ...plain.map(key => [code(key), (name: PresetName) => field(name, key)] as const),
    ["protection", name => protectionText(presets[name].protection)],
    ["after long failure", name => longFailureText(presets[name].longFailure)],
    ["retries", name => String(presets[name].retryDelaysMs.length)],
    [code("jitter"), name => jitterText(presets[name].jitter)],
    [`${code("config.verification")} where it is left out`, name => code(presetVerification[name])],
  ])
}

function longFailureTable(): string {
  const after = (ms: number | null) => (ms === null ? "never" : `after ${formatDuration(ms)}`)
  return byPreset("what", [
    ["the owner is warned", name => after(presets[name].longFailure.warnAfterMs)],
    ["nothing is retried until one succeeds", name => after(presets[name].longFailure.stopRetriesAfterMs)],
    ["it is switched off", name => after(presets[name].longFailure.disableAfterMs)],
  ])
}

/** What differs between presets; the numbers that they share stand in the fields' own table. */
function protectionText({ enabled, minAttempts, windowMs, restMs, longestRestMs, onSkip }: ProtectionPolicy): string {
  if (!enabled) return "off"
  const judged = `judged by ${minAttempts} attempts or more in ${formatDuration(windowMs)}`
  const skip = onSkip === "wait" ? "a skip uses up no retry" : "a skip uses up a retry"
  return `on: ${judged}, rests ${formatDuration(restMs)} to ${formatDuration(longestRestMs)}; ${skip}`
}

function longFailureText({ warnAfterMs, disableAfterMs, stopRetriesAfterMs }: LongFailurePolicy): string {
  const texts = [
    warnAfterMs === null ? null : `warned after ${formatDuration(warnAfterMs)}`,
    disableAfterMs === null ? null : `switched off after ${formatDuration(disableAfterMs)}`,
    stopRetriesAfterMs === null ? null : `no retries after ${formatDuration(stopRetriesAfterMs)} until one succeeds`,
  ]
  return texts.filter(text => text !== null).join(", ") || "nothing"
}

function jitterText({ down, up, lastUp }: { down: number; up: number; lastUp: number }): string {
  if (down === 0 && up === 0) return "none"
  const last = lastUp === up ? "" : `, the last −${down * 100}…+${lastUp * 100} %`
  return `${down === up ? `±${up * 100}` : `−${down * 100}…+${up * 100}`} %${last}`
}

function retryTable(): string {
  const most = Math.max(...presetNames.map(name => presets[name].retryDelaysMs.length))
  return byPreset(
    "retry",
    Array.from({ length: most }, (_, i) => [
      String(i + 1),
      name => {
        const delays = presets[name].retryDelaysMs
        const delay = delays[i]
        if (delay === undefined) return ""
        const after = delays.slice(0, i + 1).reduce((sum, ms) => sum + ms, 0)
        return `${formatDuration(delay)} (${clock(after)})`
      },
    ]),
  )
}

/** `31:35:05` */
function clock(ms: number): string {
  const seconds = Math.round(ms / 1_000)
  const pair = (value: number) => String(value).padStart(2, "0")
  return `${Math.floor(seconds / 3_600)}:${pair(Math.floor(seconds / 60) % 60)}:${pair(seconds % 60)}`
}

/** Neighbours that every preset treats alike, in one row. */
function bandTable(): string {
  const cellsOf = (status: number) => [
    `[${code(reasonOfStatus(status))}](reasons.md#${reasonOfStatus(status)})`,
    ...presetNames.map(name => bandText(name, status)),
  ]
  const rows: { from: number; to: number; cells: string[] }[] = []
  for (let status = 100; status <= 599; status++) {
    const cells = cellsOf(status)
    const last = rows.at(-1)
    if (last?.cells.every((cell, i) => cell === cells[i])) last.to = status
    else rows.push({ from: status, to: status, cells })
  }
  return table(
    ["status", "reason, where it is not delivered", ...presetNames.map(code)],
    rows.map(({ from, to, cells }) => [from === to ? String(from) : `${from}–${to}`, ...cells]),
  )
}

function bandText(name: PresetName, status: number): string {
  const policy = presets[name]
  const text = { success: "delivered", stop: "failed", retry: "retried" }[bandOf(policy, status)]
  return status === 410 && policy.onGone === "disable" ? "failed, switched off" : text
}
