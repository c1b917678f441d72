/** `waybill listen`: a receiver on this machine for trying things out, which can set itself up as an integration. */
import { hostname } from "node:os"
import type { Command } from "commander"
import { commandName } from "../config.ts"
import { generateSecret } from "../transport/sign.ts"
import { type Client, clientOf, type ServerFlags, withServer } from "./client.ts"
import { CommandFault, codeOf, misuse } from "./fault.ts"
import { receivedToJson, showReceived, verdictOf } from "./received.ts"
import { isUsableSecret, type Received, Receiver } from "./receiver.ts"
import type { Terminal } from "./terminal.ts"
import { collect, readDuration, readNumber, readShare } from "./values.ts"

const INTERRUPTED = 130

interface ListenFlags extends ServerFlags {
  readonly host: string
  readonly port: number
  readonly secret?: readonly string[]
  readonly status: number
  readonly delay: number
  readonly body: string
  readonly failRate: number
  readonly count?: number
  readonly register?: true
  readonly name?: string
  readonly types?: readonly string[]
  readonly publicUrl?: string
  readonly keep?: true
}

export function addListen(program: Command, terminal: Terminal): void {
  withServer(program.command("listen").summary("run a local receiver that shows and verifies what comes"))
    .description(
      "Runs a receiver on this machine: shows each request, checks its signature, answers as told. With --register it sets itself up as an integration of a running Waybill, and takes that away again when it ends.",
    )
    .option("--host <address>", "the address to listen on", "127.0.0.1")
    .option("--port <number>", "the port to listen on; 0 takes a free one", readNumber(0, 65_535), 9_000)
    .option("--secret <secret>", "check signatures with whsec_…, or a public key whpk_…; repeatable", collect)
    .option("--status <code>", "the status to answer with", readNumber(200, 599), 200)
    .option("--delay <duration>", "how long to wait before each answer, such as 500ms or 2s", readDuration, 0)
    .option("--body <text>", "the body of the answer", '{"received":true}')
    .option("--fail-rate <share>", "answer this share of requests with 500, from 0 to 1", readShare, 0)
    .option("--count <number>", "end after so many requests", readNumber(1, 1_000_000_000))
    .option("--register", "create an integration that points here, with a secret of its own")
    .option("--name <text>", "the integration's name")
    .option("--types <list>", "only these event types, exact or with a star at the end; separated by commas", collect)
    .option("--public-url <url>", "where Waybill reaches this receiver, if not at its own address")
    .option("--keep", "leave the integration there at the end")
    .addHelpText(
      "after",
      "\nExamples:\n  $ waybill listen --register --types 'order.*'\n  $ waybill listen --port 9000 --secret whsec_… --fail-rate 0.3",
    )
    .action((flags: ListenFlags) => listen(flags, terminal))
}

async function listen(flags: ListenFlags, terminal: Terminal): Promise<void> {
  if (flags.register === undefined && (flags.name ?? flags.types ?? flags.publicUrl ?? flags.keep) !== undefined) {
    throw misuse("--name, --types, --public-url and --keep say how to set up an integration: add --register.")
  }
  const unusable = flags.secret?.find(secret => !isUsableSecret(secret))
  if (unusable !== undefined) {
    throw misuse("--secret must be a signing secret: whsec_… (or a public key, whpk_…). Copy it again, in full.")
  }
  // Before anything listens: without a key there is nothing to register with.
  const client = flags.register === undefined ? undefined : clientOf(flags, terminal)
  // Requests may come before the answer to the registration does, so the secret is brought, not taken from there.
  const secrets = flags.secret ?? (client === undefined ? [] : [generateSecret()])
  const { status, delay: delayMs, body, failRate } = flags
  const session = new Session(flags, terminal)
  const receiver = new Receiver({
    secrets,
    manner: { status, delayMs, body, failRate },
    now: terminal.now,
    hear: received => session.hear(received),
  })
  const port = await open(receiver, flags)
  const url = urlOf(flags.host, port)
  try {
    const registered = client === undefined ? undefined : await register(client, flags, url, secrets[0] ?? "")
    terminal.note(
      `Listening on ${url}. Ctrl-C ends it${registered === undefined || flags.keep ? "" : " and removes the integration"}.`,
    )
    if (registered !== undefined) terminal.note(`Registered as ${registered} (${client?.url}).`)
    await session.ended
    // Removed first: whatever is sent meanwhile still finds somebody.
    if (client !== undefined && registered !== undefined && !flags.keep) await unregister(client, registered)
  } finally {
    await receiver.close()
  }
  terminal.note(session.summary())
}

/** Counts what comes and shows it, until a signal or the last of the requests that were asked for. */
class Session {
  readonly ended: Promise<void>
  readonly #flags: ListenFlags
  readonly #terminal: Terminal
  #end: () => void = () => {}
  #requests = 0
  #verified = 0
  #isEnding = false

  constructor(flags: ListenFlags, terminal: Terminal) {
    this.#flags = flags
    this.#terminal = terminal
    this.ended = new Promise(resolve => {
      this.#end = resolve
    })
    for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.on(signal, () => this.#interrupt())
  }

  hear(received: Received): void {
    if (this.#requests === this.#flags.count) return
    this.#requests++
    if (verdictOf(received.verification).verified === true) this.#verified++
    if (this.#flags.json) this.#terminal.printJson(receivedToJson(received))
    else showReceived(received, this.#terminal)
    if (this.#requests === this.#flags.count) this.#end()
  }

  summary(): string {
    const requests = `${this.#requests} request${this.#requests === 1 ? "" : "s"}`
    return `${requests}, ${this.#verified} verified.`
  }

  /** A second Ctrl-C ends at once, whether the integration is gone or not. */
  #interrupt(): void {
    if (this.#isEnding) process.exit(INTERRUPTED)
    this.#isEnding = true
    this.#end()
  }
}

async function open(receiver: Receiver, { host, port }: ListenFlags): Promise<number> {
  try {
    return await receiver.listen(host, port)
  } catch (error) {
    switch (codeOf(error)) {
      case "EADDRINUSE":
        throw new CommandFault(`${host}:${port} is taken by another program: choose another port with --port.`)
      case "EACCES":
        throw new CommandFault(`Port ${port} may not be used by this user: choose one above 1023 with --port.`)
      case "EADDRNOTAVAIL":
      case "ENOTFOUND":
        throw misuse(`${host} is no address of this machine: choose another with --host.`)
      default:
        throw error
    }
  }
}

async function register(client: Client, flags: ListenFlags, ownUrl: string, secret: string): Promise<string> {
  const endpoint = { url: flags.publicUrl ?? ownUrl }
  const types = Object.fromEntries((flags.types ?? []).map(type => [type, { enabled: true }]))
  const { value } = await client.post<{ readonly id: string }>("/v1/integrations", {
    name: flags.name ?? `waybill listen on ${hostname()}`,
    // It may have been told to answer what no verification would pass.
    config: { production: endpoint, sandbox: endpoint, verification: "none" },
    secret,
    ...(flags.types === undefined ? {} : { events: { default: "off", types } }),
  })
  return value.id
}

async function unregister(client: Client, id: string): Promise<void> {
  try {
    await client.call("DELETE", `/v1/integrations/${id}`)
  } catch (error) {
    if (!(error instanceof CommandFault)) throw error
    const command = `${commandName()} integrations remove ${id}`
    throw new CommandFault([
      ...error.message.split("\n"),
      `The integration is still there. Remove it later: ${command}`,
    ])
  }
}

function urlOf(host: string, port: number): string {
  const reachable = host === "0.0.0.0" || host === "::" ? "127.0.0.1" : host
  return `http://${reachable.includes(":") ? `[${reachable}]` : reachable}:${port}`
}
