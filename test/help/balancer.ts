/**
 * A balancer in a process of its own, as operators have one before several Waybill processes: it asks each for /readyz and
 * sends what comes to those that say yes, in turn, over connections that it keeps. It sends nothing twice: whatever breaks
 * between it and a process is a request lost, and counted.
 */
import type { TestContext } from "node:test"
import { HelperProcess } from "./helper-process.ts"
import { until } from "./system-ledger.ts"

export interface BalancerSetup {
  /** `http://127.0.0.1:8080`, … */
  readonly upstreams: readonly string[]
  /** How often each of them is asked for /readyz. */
  readonly everyMs: number
}

export interface BalancerState {
  /** Those that take requests, by /readyz. */
  readonly ready: readonly string[]
  /** Requests that each of them has answered. */
  readonly answered: Readonly<Record<string, number>>
  /** Requests that could not be sent, or were not answered: what went wrong with each. */
  readonly broken: readonly string[]
}

export interface Balancer {
  readonly url: string
  state(): Promise<BalancerState>
  /** Resolves when so many take requests. */
  ready(count: number): Promise<void>
}

export type BalancerQuestion = { readonly kind: "address" } | { readonly kind: "state" }

/** Resolves when it listens and all of them take requests. */
export async function startBalancer(t: TestContext, setup: BalancerSetup): Promise<Balancer> {
  const child = new HelperProcess(t, "balancer-process.ts", setup)
  const ask = (question: BalancerQuestion) => child.ask(question)
  const url = String(await ask({ kind: "address" }))
  const state = async () => (await ask({ kind: "state" })) as BalancerState
  const ready = (count: number) =>
    until(`${count} processes take requests`, 15_000, async () => (await state()).ready.length === count)
  await ready(setup.upstreams.length)
  return { url, state, ready }
}
