/**
 * Calls from process to process: "something waits in these lanes". They are a convenience that may be lost at any time, and
 * never comes through behind a pooler in transaction mode; whoever holds a lane looks by itself, too (ND-46).
 */
import { randomUUID } from "node:crypto"
import pg from "pg"
import type { DeliveryId, IntegrationId } from "../domain/id.ts"
import { sql } from "./database.ts"
import type { PostgresDatabase } from "./postgres.ts"

/** Lanes that are called by name at a time: a call has room for 8,000 bytes. */
const MOST_LANES = 400
const CONNECT_MS = 5_000

/** What a call says: look at these lanes, at all of them, at who holds which; or try this delivery, which a person wants tried. */
export type Call = readonly IntegrationId[] | "all" | "lanes" | DeliveryId

export class Wakes {
  readonly #url: string
  readonly #db: PostgresDatabase
  readonly #self = randomUUID()
  #client: pg.Client | undefined
  #isConnecting = false
  #isHeard = false
  /** The call by which it finds out whether it hears has not come back yet. */
  #isAsking = false
  #isClosed = false
  /** Hears calls of other processes, and of this one. */
  onCall: (call: Call) => void = () => undefined

  /** `db`: where calls go out. They are heard on a connection of their own. */
  constructor(url: string, db: PostgresDatabase) {
    this.#url = url
    this.#db = db
  }

  /** Whether calls come through. */
  get isHeard(): boolean {
    return this.#isHeard
  }

  /** Sees to it that calls are heard, where they can be: call it every now and then. Never throws. */
  async keep(): Promise<void> {
    if (this.#isClosed || this.#isConnecting) return
    this.#isConnecting = true
    try {
      // Nothing may come through any more without the connection having been closed.
      if (this.#isAsking) this.#drop()
      if (this.#client === undefined) await this.#connect()
      this.#isAsking = true
      await this.#notify(`? ${this.#self}`)
    } catch {
      this.#drop()
    } finally {
      this.#isConnecting = false
    }
  }

  /** Calls whoever holds these lanes. Never throws: what is not heard is found a little later. */
  async call(call: Call): Promise<void> {
    if (!this.#isHeard) return
    await this.#notify(textOf(call)).catch(() => undefined)
  }

  async close(): Promise<void> {
    this.#isClosed = true
    this.#drop()
  }

  async #notify(text: string): Promise<void> {
    await this.#db.query(sql`select pg_notify('waybill_wakes', ${text})`)
  }

  async #connect(): Promise<void> {
    const client = new pg.Client({
      connectionString: this.#url,
      connectionTimeoutMillis: CONNECT_MS,
      application_name: "waybill wakes",
      keepAlive: true,
    })
    // Without a listener a broken connection would end the process (ND-48).
    client.on("error", () => this.#drop(client))
    client.on("end", () => this.#drop(client))
    client.on("notification", ({ payload }) => this.#hear(payload ?? ""))
    try {
      await client.connect()
      await client.query("listen waybill_wakes")
    } catch (error) {
      client.end().catch(() => undefined)
      throw error
    }
    if (this.#isClosed) client.end().catch(() => undefined)
    else this.#client = client
  }

  #hear(text: string): void {
    if (text.startsWith("?")) {
      if (text !== `? ${this.#self}`) return
      this.#isAsking = false
      this.#isHeard = true
      return
    }
    if (text === "all" || text === "lanes") this.onCall(text)
    else if (text.startsWith("!")) {
      const [integration = 0, event = 0] = text.slice(1).split(",").map(Number)
      this.onCall({ integration, event })
    } else this.onCall(text.split(",").map(Number))
  }

  #drop(client = this.#client): void {
    if (client === undefined || client !== this.#client) return
    this.#client = undefined
    this.#isHeard = false
    this.#isAsking = false
    client.end().catch(() => undefined)
  }
}

function textOf(call: Call): string {
  if (typeof call === "string") return call
  if ("event" in call) return `!${call.integration},${call.event}`
  return call.length > MOST_LANES ? "all" : call.join(",")
}
