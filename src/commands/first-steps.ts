/** The first words of a new Waybill: three lines to type that end with an event which a receiver shows as verified. */
import { createServer } from "node:http"

/** Where the receiver of the three lines listens, if nobody else does. */
const USUAL_PORT = 9_000

export interface FirstSteps {
  /** Where this Waybill is reached: at its public address, where it has one. */
  readonly url: string
  /** The first API key, or how a shell names it. */
  readonly key: string
  /** `whsec_…` */
  readonly secret: string
  /** Where the receiver listens. */
  readonly port: number
  /** How a command of Waybill is started here, such as `npm run waybill --`. */
  readonly command: string
  readonly platform: NodeJS.Platform
}

/**
 * The three lines: a receiver, an integration that points to it, an event. Nothing is verified beforehand, so that all
 * three may be pasted at once: a first attempt that finds the receiver still starting is tried again after seconds.
 */
export function firstSteps({ url, key, secret, port, command, platform }: FirstSteps): [string, string, string] {
  const target = `http://127.0.0.1:${port}`
  const listen = `${command} listen --port ${port} --secret ${secret}`
  if (platform === "win32") {
    // Windows' shells disagree on quotes within quotes, which curl's JSON would need.
    const server = `--url ${url} --key ${key}`
    return [
      listen,
      `${command} integrations create --name first --endpoint ${target} --verification none --secret ${secret} ${server}`,
      `${command} send --type hello --data true ${server}`,
    ]
  }
  const post = (path: string, body: unknown) =>
    `curl -sS ${url}${path} -H "Authorization: Bearer ${key}" -H "Content-Type: application/json" -w "\\n" -d '${JSON.stringify(body)}'`
  const config = { production: { url: target }, verification: "none" }
  return [
    // In the background, so that one more terminal is enough for all three.
    `${listen} &`,
    post("/v1/integrations", { name: "First receiver", config, secret }),
    post("/v1/events", { type: "order.created", data: { order: 1842, total: 12.5 } }),
  ]
}

/** What to say before the lines: in which terminal they go, and how the receiver ends. */
export function firstStepsTitle(platform: NodeJS.Platform): string {
  return platform === "win32"
    ? "To see a first event arrive, type these three lines, the first in a second terminal, the others in a third:"
    : "To see a first event arrive, type these three lines in a second terminal (`fg` and Ctrl-C end the receiver):"
}

/** The usual port, or another one that is free where somebody listens there already. */
export async function freePort(): Promise<number> {
  return (await portIfFree(USUAL_PORT)) ?? (await portIfFree(0)) ?? USUAL_PORT
}

function portIfFree(port: number): Promise<number | undefined> {
  return new Promise(resolve => {
    const server = createServer()
    server.once("error", () => resolve(undefined))
    server.listen({ port, host: "127.0.0.1", exclusive: true }, () => {
      const address = server.address()
      server.close(() => resolve(typeof address === "object" && address !== null ? address.port : undefined))
    })
  })
}
