/**
 * Secrets of an integration that a change would send to another host than they were given for. Whoever sends them to a host of
 * their own reads them there: it asks for as much as reading them does, or for the values themselves (API-44).
 */
import type { Settings } from "../connectors/connector.ts"
import { environments } from "../domain/event.ts"
import { parsePointer } from "../domain/json-pointer.ts"
import { Problem } from "./problem.ts"

/** An integration's settings as they are shown, with its secrets beside them. */
interface Kept {
  readonly config: Settings
  readonly secrets: ReadonlyMap<string, string>
}

/** Throws a problem where kept secrets would go elsewhere; `patch`: the settings as the request has them. */
export function refuseSecretsElsewhere(before: Kept, after: Kept, patch: Settings | undefined): void {
  const moved = environments.filter(
    environment => origins(before.config, environment) !== origins(after.config, environment),
  )
  const kept = [...before.secrets.keys()].filter(
    pointer =>
      moved.some(
        environment => pointer.startsWith(`/${environment}/`) && origins(before.config, environment) !== null,
      ) &&
      // The private key of a certificate goes to nobody.
      !/^\/[^/]+\/tls\//.test(pointer) &&
      after.secrets.has(pointer) &&
      typeof at(patch, pointer) !== "string",
  )
  if (kept.length === 0) return
  const errors = kept.map(pointer => ({
    pointer: `/config${pointer}`,
    message: `\`config${pointer.replaceAll("/", ".")}\` was given for another host. Send it again for this one.`,
  }))
  throw new Problem(
    "forbidden",
    "This would send kept secrets to another host, where they can be read, and this credential does not have the scope `secrets:read`. Send them again with the new address.",
    { errors, extra: { scope: "secrets:read" } },
  )
}

/** Where an endpoint's secrets go, as text to be compared; null where there is no endpoint. */
function origins(config: Settings, environment: string): string | null {
  const url = at(config, `/${environment}/url`)
  const tokenUrl = at(config, `/${environment}/auth/token_url`)
  if (typeof url !== "string") return null
  return JSON.stringify([url, tokenUrl].map(each => (typeof each === "string" ? URL.parse(each)?.origin : null)))
}

function at(document: unknown, pointer: string): unknown {
  let found = document
  for (const key of parsePointer(pointer) ?? []) {
    if (typeof found !== "object" || found === null || !Object.hasOwn(found, key)) return undefined
    found = (found as Settings)[key]
  }
  return found
}
