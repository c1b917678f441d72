/** Stores of several processes over one PostgreSQL, without the programs around them, and plain events to put into them. */
import type { TestContext } from "node:test"
import type { Arrival } from "../../src/store/ledger.ts"
import { openPostgres, type PostgresStore } from "../../src/store/postgres-store.ts"
import { freshProject, saveProject } from "../../src/store/projects.ts"
import { ordinary } from "./filled-store.ts"
import { dropDatabase, testDatabase } from "./postgres.ts"
import { temporaryFolder } from "./waybill.ts"

/** The project that the events belong to. */
export const project = 1

/** Stores of one database, one for each clock, or for how far it is ahead, in ms. */
export async function openSeveral(
  t: TestContext,
  ...clocks: readonly (number | (() => number))[]
): Promise<{ url: string; stores: PostgresStore[] }> {
  const url = await testDatabase()
  const dataDir = temporaryFolder(t)
  const stores: PostgresStore[] = []
  t.after(async () => {
    for (const store of stores) await store.close()
    await dropDatabase(url)
  })
  for (const clock of clocks) {
    const now = typeof clock === "number" ? () => Date.now() + clock : clock
    stores.push(await openPostgres({ url, name: "test", dataDir, sealingKeys: undefined, allowUnsafe: true, now }))
  }
  const [first] = stores
  if (first !== undefined) await saveProject(first.db, { ...freshProject, id: project, name: "one", createdAt: 0 })
  return { url, stores }
}

/** An event that goes to nobody. */
export function arrival(receivedAt: number, given: Partial<Arrival> & { readonly type?: string } = {}): Arrival {
  const { type = "order_paid", ...more } = given
  return {
    project,
    key: null,
    draft: { ...ordinary, type },
    fingerprint: null,
    idempotencyKey: null,
    appId: null,
    receivedAt,
    test: false,
    payloadDays: 7,
    targets: [],
    withheld: {},
    red: 0,
    ...more,
  }
}
