/** What the pages of integrations read, and the small decisions that they share. */
import { queryOptions } from "@tanstack/react-query"
import { useEffect } from "react"
import { given, WaybillProblem } from "waybill-sdk"
import { memberText } from "../parts/json-parts.ts"
import { type Answer, queries, waybill } from "../waybill.ts"

export type Integration = Answer<"/v1/integrations/{id}">
export type Catalogue = Pick<Answer<"/v1/connectors">, "data" | "presets" | "schemas">
export type ConnectorInfo = Catalogue["data"][number]
export type Preset = Catalogue["presets"][number]
export type Policy = Integration["policy"]
export type Diagnosis = Answer<"/v1/integrations/{id}/diagnosis">
export type Verdict = Diagnosis["verdict"]
export type Verification = NonNullable<Integration["verification"]["production"]>
export type Environment = "production" | "sandbox"
export type Json = Readonly<Record<string, unknown>>

/** An integration with the ETag by which it is changed. */
export interface Tagged {
  readonly integration: Integration
  readonly tag: string | null
  /** The filter's JSON text as it is kept, "null" for none: `integration.filter` has its numbers rounded. */
  readonly filterText: string
}

export const catalogueQuery = queryOptions({
  queryKey: ["connectors"],
  queryFn: () => given(waybill.GET("/v1/connectors")),
  staleTime: Number.POSITIVE_INFINITY,
})

export function integrationQuery(id: string) {
  return queryOptions({
    queryKey: ["integration", id, "itself"],
    queryFn: async (): Promise<Tagged> => {
      const { data, response } = await waybill.GET("/v1/integrations/{id}", {
        params: { path: { id } },
        parseAs: "text",
      })
      if (data === undefined) throw new Error("The answer has no body.")
      const integration = JSON.parse(data) as Integration
      return { integration, tag: response.headers.get("etag"), filterText: memberText(data, "filter") ?? "null" }
    },
  })
}

export function diagnosisQuery(id: string) {
  return queryOptions({
    queryKey: ["integration", id, "diagnosis"],
    queryFn: () => given(waybill.GET("/v1/integrations/{id}/diagnosis", { params: { path: { id } } })),
    refetchInterval: 10_000,
  })
}

export const eventTypesQuery = queryOptions({
  queryKey: ["event-types"],
  queryFn: () => given(waybill.GET("/v1/event-types")),
})

/** The last events of the project, from which types, examples and tests are taken. */
export const lastEventsQuery = queryOptions({
  queryKey: ["events", "last"],
  queryFn: () => given(waybill.GET("/v1/events", { params: { query: { limit: 100 } } })),
})

/** Reads again whatever is shown of an integration, and the lists that it stands in. */
export async function renew(id?: string): Promise<void> {
  await Promise.all([
    queries.invalidateQueries({ queryKey: id === undefined ? ["integration"] : ["integration", id] }),
    queries.invalidateQueries({ queryKey: ["integrations"] }),
    queries.invalidateQueries({ queryKey: ["diagnosis"] }),
  ])
}

export function environmentsOf({ config }: Pick<Integration, "config">): Environment[] {
  const named = (["production", "sandbox"] as const).filter(name => (config as Json)[name] !== undefined)
  return named.length > 0 ? named : ["production", "sandbox"]
}

/** What a problem says, by JSON pointer into the body. */
export type Faults = ReadonlyMap<string, string>
export const noFaults: Faults = new Map()

export function faultsOf(error: unknown): Faults {
  if (!(error instanceof WaybillProblem)) return noFaults
  return new Map(error.errors.map(({ pointer, message }) => [pointer, message]))
}

/** A step of a JSON pointer. */
export function pointerTo(parent: string, name: string): string {
  return `${parent}/${name.replaceAll("~", "~0").replaceAll("/", "~1")}`
}

/** The field that is wrong first gets the focus, as soon as it is marked as wrong. */
export function useFocusOnFault(error: Error | null): void {
  useEffect(() => {
    if (error === null) return
    // The button that was pressed is let go of first: while it waits it cannot have the focus.
    const timer = setTimeout(() => document.querySelector<HTMLElement>('[aria-invalid="true"]')?.focus(), 50)
    return () => clearTimeout(timer)
  }, [error])
}

export function isObject(value: unknown): value is Json {
  return typeof value === "object" && value !== null && !Array.isArray(value)
}

/** The JSON merge patch (RFC 7396) that makes one value of another; undefined where they are equal. */
export function patchBetween(from: unknown, to: unknown): unknown {
  if (!isObject(from) || !isObject(to)) return JSON.stringify(from) === JSON.stringify(to) ? undefined : (to ?? null)
  const names = [...new Set([...Object.keys(from), ...Object.keys(to)])]
  const changes = names.flatMap(name => {
    const change = to[name] === undefined ? null : patchBetween(from[name], to[name])
    return change === undefined || (change === null && from[name] === undefined) ? [] : [[name, change] as const]
  })
  return changes.length === 0 ? undefined : Object.fromEntries(changes)
}

/** A rule for a type, or for those that begin alike. */
export interface TypeRule {
  readonly enabled?: boolean
  readonly name?: string
}

/** How a type goes out by these rules: exact beats the longest prefix, a prefix beats the default, which leaves out Waybill's own. */
export function nameOfType(
  events: { readonly default?: string; readonly types?: Json },
  type: string,
): { readonly on: boolean; readonly name: string; readonly by: string } {
  const types = events.types ?? {}
  const isOwn = (text: string) => text.startsWith("waybill.")
  const prefixes = Object.keys(types).filter(key => {
    const prefix = key.slice(0, -1)
    return key.endsWith("*") && type.startsWith(prefix) && (!isOwn(type) || isOwn(prefix))
  })
  const by = Object.hasOwn(types, type) ? type : prefixes.sort((a, b) => b.length - a.length)[0]
  if (by === undefined) return { on: events.default !== "off" && !isOwn(type), name: type, by: "default" }
  const { enabled, name } = types[by] as TypeRule
  return { on: enabled !== false && name?.trim() !== "", name: name ?? type, by }
}
