/**
 * A shop that lives with Waybill: integrations in every state that people meet, customers and devices, a recovery, people,
 * keys, a catalogue. What the pages of the dashboard show in their pictures, and in the tests that go through all of them.
 */
import { Endpoint, type Reply } from "./endpoint.ts"
import { event, type ShopEvent } from "./shop-events.ts"

/** Calls the API as the project's first key. */
export type Call = (
  method: "GET" | "POST" | "PUT" | "PATCH" | "DELETE",
  path: string,
  body?: unknown,
) => Promise<unknown>

export interface ShopOptions {
  readonly call: Call
  /** How many days there were before today; none: the clock is left alone. */
  readonly days: number
  /** Sets the clock back by so many ms from now; each time by less. */
  readonly turn?: (agoMs: number) => void
  /** What an integration's endpoint is called, by its name and port; 127.0.0.1 where it is left out. */
  readonly addressOf?: (name: string, port: number) => string
}

/** What there is one of at least, for the addresses of pages. */
export interface Shop extends AsyncDisposable {
  readonly healthy: string
  readonly failing: string
  readonly inbox: string
  /** At the failing one it needs someone, at others it was delivered. */
  readonly event: string
  /** Its delivery that needs someone. */
  readonly delivery: string
  readonly recovery: string
  readonly profile: string
  readonly eventType: string
  /** An invitation that nobody has answered yet: the path of its link. */
  readonly invitation: string
}

const SECOND_MS = 1_000
const MINUTE_MS = 60 * SECOND_MS
const HOUR_MS = 60 * MINUTE_MS
const DAY_MS = 24 * HOUR_MS

/** Since when the CRM refuses who asks. */
const REFUSED_SINCE_MS = 3 * HOUR_MS
/** When the ledger was out for an hour, which a recovery has mended. */
const OUTAGE_DAY = 3

/** How long something may take that is bound to happen. */
const PATIENCE_MS = 30_000

const taken: Reply = { status: 200, body: '{"ok":true}' }
const refused: Reply = {
  status: 401,
  body: '{"error":"invalid_token","error_description":"The access token was revoked."}',
}
const out: Reply = { status: 503, headers: { "content-type": "text/plain" }, body: "upstream connect error" }

/** Fills a project that has nothing in it yet. */
export async function fillShop({ call, days, turn, addressOf }: ShopOptions): Promise<Shop> {
  const endpoints = await openEndpoints()
  const make = (name: string, at: Endpoint, more: object = {}): Promise<string> => {
    const host = addressOf?.(name, at.port) ?? `127.0.0.1:${at.port}`
    const config = {
      production: { url: `http://${host}/waybill`, authorization: "Bearer 6f1c2d5e8a" },
      destination_record: { pointer: "/id" },
      verification: "none",
    }
    return idOf(call("POST", "/v1/integrations", { name, config, ...more }))
  }
  turn?.((days + 1) * DAY_MS)
  await describeProject(call)
  const healthy = await make("Data warehouse", endpoints.warehouse)
  const failing = await make("CRM", endpoints.crm, {
    policy: { retry_delays_ms: [SECOND_MS], stop: "400-499", protection: { enabled: false } },
    events: { types: { "device.*": { enabled: false } } },
  })
  const ledger = await make("Billing ledger", endpoints.ledger, {
    policy: { retry_delays_ms: [SECOND_MS, 2 * SECOND_MS, 5 * SECOND_MS], protection: { enabled: false } },
    events: { default: "off", types: { "payment.*": { enabled: true }, "subscription.*": { enabled: true } } },
  })
  await make("Push gateway", endpoints.push, {
    policy: { protection: { rest_ms: 60_000 } },
    events: { default: "off", types: { "device.*": { enabled: true }, "order.shipped": { name: "OrderOnItsWay" } } },
  })
  await make("Fraud screening", endpoints.screening, { filter: { gte: ["data.amount", 50] } })
  const finance = await make("Finance export", endpoints.finance)
  await call("POST", `/v1/integrations/${finance}/disable`)
  const inbox = await idOf(call("POST", "/v1/integrations", { name: "Preview", connector: "inbox", config: {} }))

  let sent = 0
  const settled = async (): Promise<void> => {
    const isOpen = async (status: string): Promise<boolean> =>
      some(await call("GET", `/v1/deliveries?status=${status}&limit=1`))
    await until("what was sent has gone out", async () => !(await isOpen("pending")) && !(await isOpen("sending")))
  }
  /** Sends so many at a time of the past; a few seconds later what is to be tried again is tried again. */
  const send = async (count: number, agoMs: number): Promise<void> => {
    turn?.(agoMs)
    const events: ShopEvent[] = Array.from({ length: count }, () => event(sent++))
    await call("POST", "/v1/events/batch", { events })
    await settled()
    for (const laterMs of [3, 8, 20]) {
      if (turn === undefined || agoMs < 30 * SECOND_MS) break
      turn(agoMs - laterMs * SECOND_MS)
      await settled()
    }
  }
  let recovery = ""
  for (let day = days; day > 0; day--) {
    const isQuiet = day % 7 < 2
    for (const hour of [20, 14, 9, 4]) {
      const isOut = day === OUTAGE_DAY && hour === 14
      endpoints.ledger.answer(isOut ? () => out : ledgerAnswer())
      await send(isQuiet ? 9 : 16 + ((day * hour) % 9), day * DAY_MS - (24 - hour) * HOUR_MS)
    }
    if (day === OUTAGE_DAY) recovery = await recover(call, ledger, day * DAY_MS)
  }
  endpoints.ledger.answer(ledgerAnswer())
  await send(14, 5 * HOUR_MS)
  endpoints.crm.play(refused)
  await send(16, REFUSED_SINCE_MS)
  await send(14, HOUR_MS)
  endpoints.push.answer(failingOften())
  await send(30, 12 * MINUTE_MS)
  await call("POST", "/v1/events", { type: "order shipped!" }).catch(() => undefined)
  await call("POST", "/v1/events", { type: "", data: {} }).catch(() => undefined)
  await send(12, 90 * SECOND_MS)
  turn?.(0)
  await send(6, 0)
  // Without a past there was no outage either: one that has nothing to do is a recovery all the same.
  if (recovery === "") recovery = await recover(call, ledger, HOUR_MS)
  const invitation = (await call("POST", "/v1/invitations", {
    email: "li.wei@northwind.example",
    role: "viewer",
  })) as { readonly url: string }
  const link = new URL(invitation.url)
  const [failed] = (await listOf(call("GET", `/v1/deliveries?status=failed&integration=${failing}&limit=1`))) as {
    readonly id: string
    readonly event: { readonly id: string }
  }[]
  if (failed === undefined) throw new Error("An event should have failed at the CRM.")
  const { profile_id: profile } = (await call("GET", `/v1/events/${failed.event.id}`)) as {
    readonly profile_id: string
  }
  return {
    healthy,
    failing,
    inbox,
    event: failed.event.id,
    delivery: failed.id,
    recovery,
    profile,
    eventType: "subscription.renewed",
    invitation: link.pathname + link.search,
    [Symbol.asyncDispose]: async () => {
      await Promise.all(Object.values(endpoints).map(endpoint => endpoint.close()))
    },
  }
}

/** One address at least for each route of the dashboard; throws for a route with a parameter that nobody has thought of. */
export function addressesOf(routes: readonly string[], shop: Shop): readonly string[] {
  const of: Readonly<Record<string, readonly string[]>> = {
    "/invitation": [shop.invitation],
    "/events/$id": [`/events/${shop.event}`],
    "/integrations/$id": [
      `/integrations/${shop.failing}`,
      ...tabs.map(tab => `/integrations/${shop.failing}?tab=${tab}`),
      ...["inbox", "settings"].map(tab => `/integrations/${shop.inbox}?tab=${tab}`),
    ],
    "/event-types/$name": [`/event-types/${shop.eventType}`, "/event-types/waybill.integration.sleeping"],
    "/deliveries/$id": [`/deliveries/${shop.delivery}`],
    "/reasons/$code": ["/reasons/rejected"],
    "/recoveries/$id": [`/recoveries/${shop.recovery}`],
    "/profiles/$id": [`/profiles/${shop.profile}`],
  }
  return routes.flatMap(route => {
    const found = of[route]
    if (found === undefined && route.includes("$")) {
      throw new Error(`${route} is a new page: say in test/help/shop.ts at which address it has something to show.`)
    }
    return found ?? [route]
  })
}

/** Of the page of an integration, but for the first. */
const tabs = [
  "events",
  "history",
  "logs",
  "failures",
  "recovery",
  "test",
  "types",
  "filter",
  "settings",
  "secret",
  "changes",
]

async function openEndpoints() {
  const [warehouse, crm, ledger, push, screening, finance] = await Promise.all([
    Endpoint.open(taken),
    Endpoint.open(taken),
    Endpoint.open(taken),
    Endpoint.open({ ...taken, delayMs: 4 }),
    Endpoint.open({ ...taken, delayMs: 12 }),
    Endpoint.open(taken),
  ])
  let record = 48_211
  warehouse.answer(() => ({ status: 201, body: `{"id":"row_${record++}"}`, delayMs: 8 }))
  return { warehouse, crm, ledger, push, screening, finance }
}

/** Takes all but each ninth, which is taken when it comes again. */
function ledgerAnswer(): () => Reply {
  let asked = 0
  return () => (++asked % 9 === 0 ? out : { status: 200, body: `{"id":"led_${70_000 + asked}"}`, delayMs: 6 })
}

/** Takes one of four. */
function failingOften(): () => Reply {
  let asked = 0
  return () => (++asked % 4 === 1 ? taken : out)
}

/** What the project is called, knows and protects. */
async function describeProject(call: Call): Promise<void> {
  const { data } = (await call("GET", "/v1/projects")) as { readonly data: readonly { readonly id: string }[] }
  await call("PATCH", `/v1/projects/${data[0]?.id}`, {
    name: "Northwind Home",
    alert_emails: ["ops@northwind.example"],
    private_fields: ["/customer/phone"],
  })
  for (const [name, title] of apps) await call("POST", "/v1/apps", { name, title })
  for (const [name, description, schema, example] of types) {
    await call("PUT", `/v1/event-types/${name}`, { description, schema, examples: [example] })
  }
  await call("POST", "/v1/api-keys", { name: "Shop backend", scopes: ["ingest"], app: "web" })
  await call("POST", "/v1/api-keys", { name: "Grafana", scopes: ["events:read", "integrations:read"] })
}

const apps = [
  ["ios", "Northwind for iPhone"],
  ["android", "Northwind for Android"],
  ["web", "Web shop"],
  ["thermostat", "Thermostat T2"],
] as const

const amount = {
  type: "object",
  required: ["amount", "currency"],
  properties: { amount: { type: "number" }, currency: { type: "string", minLength: 3, maxLength: 3 } },
} as const
const paid = { amount: 12.99, currency: "EUR", plan: "comfort" } as const
const types = [
  ["subscription.renewed", "A subscription goes on for another period, and was paid.", amount, paid],
  [
    "subscription.cancelled",
    "A customer has cancelled; it ends with the period.",
    null,
    { plan: "comfort", reason: "price" },
  ],
  ["payment.succeeded", "Money has come in.", amount, paid],
  ["payment.refunded", "Money has gone back.", amount, paid],
  ["order.shipped", "A parcel has left the warehouse.", null, { order: "NW-20417", carrier: "DHL" }],
  ["device.temperature", "A thermostat reports what it measures.", null, { celsius: 21.4 }],
] as const

/** Sends again to the ledger what failed in so many ms up to the machine's now; gives the recovery when it is over. */
async function recover(call: Call, ledger: string, sinceMs: number): Promise<string> {
  const from = new Date(Date.now() - sinceMs).toISOString()
  const id = await idOf(call("POST", "/v1/recoveries", { from, integrations: ledger, statuses: ["failed"] }))
  await until("the recovery is over", async () => {
    const { status } = (await call("GET", `/v1/recoveries/${id}`)) as { readonly status: string }
    return status !== "running"
  })
  return id
}

async function idOf(made: Promise<unknown>): Promise<string> {
  return ((await made) as { readonly id: string }).id
}

async function listOf(page: Promise<unknown>): Promise<readonly unknown[]> {
  return ((await page) as { readonly data: readonly unknown[] }).data
}

function some(page: unknown): boolean {
  return (page as { readonly data: readonly unknown[] }).data.length > 0
}

async function until(what: string, isSo: () => Promise<boolean>): Promise<void> {
  const deadline = performance.now() + PATIENCE_MS
  while (!(await isSo())) {
    if (performance.now() > deadline) throw new Error(`It was to be seen that ${what}.`)
    await new Promise(resolve => setTimeout(resolve, 20))
  }
}
