import { mkdirSync, rmSync } from "node:fs"
import { Ids } from "../src/domain/id.ts"
import { migrate } from "../src/store/migrate.ts"
import { SearchIndex } from "../src/store/search.ts"
import { openConnection, SqliteDatabase } from "../src/store/sqlite.ts"
import { SqliteLedger } from "../src/store/sqlite-ledger.ts"

const dir = "/work/tmpbench"
rmSync(dir, { recursive: true, force: true })
mkdirSync(dir)
const c = openConnection(dir + "/w.db")
migrate(c)
const db = new SqliteDatabase(c)
const ledger = new SqliteLedger({
  db,
  ids: new Ids(Date.now, 0),
  search: new SearchIndex(db),
  now: Date.now,
  fence: 1,
  partLimits: { rows: 100_000, bytes: 128 << 20 },
})
const B = Number(process.argv[2] ?? 64),
  N = 60_000
const text = JSON.stringify({ a: "x".repeat(780), plan: "pro" })
const rh = [
  ["content-type", "application/json"],
  ["user-agent", "Waybill/0.1"],
  ["webhook-attempt", "1"],
  ["webhook-id", "evt_01h8x9k2m3p"],
  ["webhook-timestamp", "1700000000"],
  ["webhook-signature", "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="],
].map(([name, value]) => ({ name: name!, value: value! }))
const exch: any = {
  kind: "answered",
  sentHeaders: rh,
  timings: { dnsMs: null, connectMs: null, tlsMs: null, waitMs: 1.2, bodyMs: 0.1, totalMs: 1.5 },
  answer: {
    status: 200,
    headers: [
      ["server", "nginx"],
      ["date", "Sat, 21 Nov 2026 10:00:00 GMT"],
      ["content-length", "2"],
    ],
    body: Buffer.from("ok"),
    truncated: false,
    incomplete: false,
  },
}
const t0 = process.cpuUsage(),
  w0 = performance.now()
for (let i = 0; i < N; i += B) {
  const r = await Promise.all(
    Array.from({ length: B }, (_, j) =>
      ledger.accept([
        {
          project: 1,
          key: 2,
          draft: {
            type: "t.x",
            payload: { kind: "json", text },
            externalId: null,
            source: "api",
            occurredAt: null,
            environment: "production",
            app: "ios",
            profileId: "prf_" + (((i + j) * 7919) % 100003),
            deviceId: null,
            sourceRecord: "order-" + (((i + j) * 104729) % 1000003),
            orderingKey: null,
            historical: false,
            cloud: null,
            fingerprint: "",
          } as any,
          fingerprint: null,
          idempotencyKey: null,
          appId: 3,
          receivedAt: Date.now(),
          test: false,
          payloadDays: 7,
          targets: [{ integration: 77, claim: 1, ordered: false }],
          withheld: {},
          red: 0,
        },
      ]),
    ),
  )
  await Promise.all(
    r.map(([a]: any) =>
      ledger.settle([
        {
          claim: {
            delivery: { event: a.id, integration: 77 },
            claim: 1,
            event: a.event,
            project: 1,
            revision: null,
            attempts: 0,
            scheduleAttempts: 0,
            charged: 0,
            lastAttempt: null,
            createdAt: 1,
            tally: { app: 3, environment: "production", type: "t.x", test: false },
          },
          attempt: {
            delivery: { event: a.id, integration: 77 },
            number: 1,
            startedAt: Date.now(),
            outcome: "success",
            revision: 1,
            process: "p1",
            exchange: exch,
            url: "127.0.0.1:9000/hook",
            requestHeaders: rh,
            requestBody: null,
          },
          attemptReason: null,
          next: { status: "delivered" },
          recordId: null,
          payloadDays: 7,
        },
      ]),
    ),
  )
}
const u = process.cpuUsage(t0)
console.log(
  "batch",
  B,
  "cpu us/event",
  ((u.user + u.system) / N).toFixed(1),
  "wall/s",
  ((N / (performance.now() - w0)) * 1000).toFixed(0),
  "rss",
  (process.memoryUsage().rss / 1e6).toFixed(0),
)
