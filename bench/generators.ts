/** Runs a load generator against a program: wrk where it is installed and no rate is asked for, else the one in this folder. */
import { join } from "node:path"
import { runChild } from "./children.ts"
import type { Load } from "./load.ts"
import type { Program } from "./programs.ts"
import { CpuWatch } from "./usage.ts"

export interface Offer {
  readonly seconds: number
  /** Events a second, whatever is answered; null for a closed loop, in which each answer is followed by the next event. */
  readonly rate: number | null
  /** At that rate before the seconds that count; those events carry no time. */
  readonly warmUpSeconds?: number
  /** A file with the events, a line each. */
  readonly events: string
  readonly useWrk: boolean
  /** Of the closed loop; 64 where it is left out. */
  readonly connections?: number
}

/** Where events are posted to. */
export type Target = Pick<Program, "url" | "key">

export interface Offered extends Load {
  /** Answered with success. */
  readonly accepted: number
  /** CPU time of the generator as a share of one core. */
  readonly cpuShare: number
}

/** Connections of the closed loop; the open loop takes as many as it may need to stay open. */
export const CLOSED_CONNECTIONS = 64
const OPEN_CONNECTIONS = 512

/** Loads a program for some seconds. */
export async function offerLoad(program: Target, offer: Offer): Promise<Offered> {
  const { command, args } = commandFor(program, offer)
  let watch: CpuWatch | undefined
  const output = await runChild(command, args, pid => {
    watch = new CpuWatch(pid)
  })
  const cpuShare = watch?.stop() ?? 0
  const load: unknown = JSON.parse(output.trimEnd().split("\n").at(-1) ?? "")
  if (!isLoad(load)) throw new Error(`${command} has not said what it did: ${output}`)
  return { ...load, accepted: load.answered - load.refused, cpuShare }
}

/** The same as a person would type it. */
export function commandLine(program: Target, offer: Offer): string {
  const { command, args } = commandFor(program, offer)
  const text = [command, ...args].join(" ").replaceAll(program.key, "$WAYBILL_API_KEY")
  return text.replaceAll(process.execPath, "node").replaceAll(`${join(import.meta.dirname, "..")}/`, "")
}

function commandFor(
  { url, key }: Target,
  { seconds, rate, warmUpSeconds = 0, events, useWrk, connections: closed = CLOSED_CONNECTIONS }: Offer,
): { command: string; args: string[] } {
  if (useWrk && rate === null) {
    const script = join(import.meta.dirname, "wrk.lua")
    const size = ["-t1", `-c${closed}`, `-d${seconds}s`, "--timeout", "30s"]
    return { command: "wrk", args: [...size, "-s", script, url, "--", events, key] }
  }
  const connections = rate === null ? closed : OPEN_CONNECTIONS
  const to = ["--url", url, "--key", key, "--events", events]
  const size = ["--connections", String(connections), "--seconds", String(seconds)]
  const pace = rate === null ? [] : ["--rate", rate.toFixed(0), "--warm-up", String(warmUpSeconds)]
  return { command: process.execPath, args: [join(import.meta.dirname, "load.ts"), ...to, ...size, ...pace] }
}

function isLoad(value: unknown): value is Load {
  return typeof value === "object" && value !== null && "answered" in value && "refused" in value && "broken" in value
}
