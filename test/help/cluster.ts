/** Several Waybill processes over one PostgreSQL, and what the database says of them when they are done. */
import type { TestContext } from "node:test"
import { type PostgresServer, withClient } from "./postgres.ts"
import type { StoredAttempt, StoredDelivery, StoredEvent, SystemLedger } from "./system-ledger.ts"
import { stablePort, startWaybill, temporaryFolder, type Waybill } from "./waybill.ts"

export interface Cluster {
  readonly databaseUrl: string
  /** The processes, each on a port of its own that it keeps. */
  readonly nodes: readonly Node[]
  /** Everything that the oracle holds against the other ledgers. */
  read(): Promise<SystemLedger>
  /** Rows of a query, bigints as text. The caller names the type that it gives. */
  query<Row extends object>(text: string): Promise<readonly Row[]>
  /** Resolves when nothing waits and nothing is under way any more; throws where that takes longer than `limitMs`. */
  drained(limitMs: number): Promise<void>
}

/** One process of a cluster. */
export interface Node {
  readonly url: string
  readonly waybill: Waybill
  /** Ends it with SIGKILL and starts it again. */
  kill(): Promise<void>
  /** Ends it as an orderly stop does; gives how it ended. */
  stop(): ReturnType<() => Waybill["stopped"]>
  start(): Promise<void>
}

/** Starts so many processes at once on an empty database, which one of them makes its own. */
export async function startCluster(
  t: TestContext,
  server: Pick<PostgresServer, "database">,
  { nodes: count, env = {} }: { readonly nodes: number; readonly env?: Readonly<Record<string, string>> },
): Promise<Cluster> {
  const databaseUrl = await server.database()
  const folder = temporaryFolder(t)
  const ports: number[] = []
  while (ports.length < count) {
    const port = await stablePort()
    if (!ports.includes(port)) ports.push(port)
  }
  const common = {
    DATABASE_URL: databaseUrl,
    WAYBILL_ALLOW_UNSAFE_DATABASE: "yes",
    WAYBILL_SECRET_KEY: Buffer.alloc(32, 7).toString("base64"),
    ...env,
  }
  const open = (i: number): Promise<Waybill> => {
    const own = env[`NODE_${i}_DATABASE_URL`]
    const url = own === undefined ? {} : { DATABASE_URL: own }
    return startWaybill(t, { dataDir: `${folder}/node-${i}`, port: ports[i] ?? 0, env: { ...common, ...url } })
  }
  const running = await Promise.all(ports.map((_, i) => open(i)))
  const nodes = running.map((_, i): Node => {
    const waybill = (): Waybill => running[i] as Waybill
    return {
      url: waybill().url,
      get waybill() {
        return waybill()
      },
      kill: async () => {
        waybill().kill("SIGKILL")
        await waybill().stopped
        running[i] = await open(i)
      },
      stop: () => {
        waybill().kill("SIGTERM")
        return waybill().stopped
      },
      start: async () => {
        running[i] = await open(i)
      },
    }
  })
  return {
    databaseUrl,
    nodes,
    read: () => readCluster(databaseUrl),
    query: <Row extends object>(text: string) =>
      withClient(databaseUrl, async client => (await client.query(text)).rows as Row[]),
    drained: limitMs => drained(databaseUrl, limitMs),
  }
}

/** The system's ledger, read past the program. */
export async function readCluster(url: string): Promise<SystemLedger> {
  return withClient(url, async client => {
    const rows = async <Row>(text: string): Promise<Row[]> =>
      (await client.query<Record<string, unknown>>(text)).rows.map(
        row =>
          Object.fromEntries(
            Object.entries(row).map(([name, value]) => [
              name,
              numeric.has(name) && value !== null ? Number(value) : value,
            ]),
          ) as Row,
      )
    return {
      events: await rows<StoredEvent>(
        "select id, external_id, status, targets, withheld from event where test = 0 and type not like 'waybill.%'",
      ),
      deliveries: await rows<StoredDelivery>("select integration_id, event_id, status, reason, attempts from delivery"),
      attempts: await rows<StoredAttempt>(
        "select integration_id, event_id, number, started_at, outcome, status::integer as status, phase from attempt order by id",
      ),
    }
  })
}

/** Columns that hold bigints. `status` is a number of an attempt only. */
const numeric = new Set(["id", "integration_id", "event_id", "attempts", "number", "started_at"])

export async function drained(url: string, limitMs: number): Promise<void> {
  const until = performance.now() + limitMs
  for (let open = -1; open !== 0; ) {
    if (performance.now() > until) throw new Error(`${open} deliveries are still open after ${limitMs / 1_000} s.`)
    await new Promise(resolve => setTimeout(resolve, 200))
    try {
      open = await withClient(url, async client => {
        const { rows } = await client.query<{ n: string }>(
          "select count(*) as n from delivery where claim is not null or next_at is not null",
        )
        return Number(rows[0]?.n)
      })
    } catch {
      // It is starting again.
    }
  }
}
