/** A project is removed with all that is in it, whatever is added to the schema, and nobody else notices. */
import assert from "node:assert/strict"
import { describe, test } from "node:test"
import { parseId } from "../../src/domain/id.ts"
import { tablesOfNoProject, tablesOfProjects } from "../../src/store/project-tables.ts"
import { Browser } from "../help/browser.ts"
import { Endpoint } from "../help/endpoint.ts"
import { engine } from "../help/engines.ts"
import { type FullProject, fillProject } from "../help/full-project.ts"
import { join } from "../help/people.ts"
import { type Answer, Program } from "../help/program.ts"

/** Tables of the database as it is, partitions left out, with their columns. */
async function schema(program: Program): Promise<Map<string, string[]>> {
  const rows = await program.rows<{ name: string; column: string }>(
    engine === "sqlite"
      ? `select t.name, c.name as column from sqlite_schema t join pragma_table_info(t.name) c
         where t.type = 'table' and t.name not like 'sqlite_%'`
      : `select c.relname as name, a.attname as column from pg_class c
         join pg_attribute a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
         where c.relnamespace = 'public'::regnamespace and c.relkind in ('r', 'p') and not c.relispartition`,
  )
  const tables = new Map<string, string[]>()
  for (const { name, column } of rows) tables.set(name, [...(tables.get(name) ?? []), column])
  return tables
}

/** A table as the lists name it: parts are tables of their own on the embedded engine. */
const kindOf = (table: string) => table.replace(/^(payload|exchange)_\d+$/, "$1")

/** What is left of a project, its integrations, its events, attempts and recoveries: table, column and how many rows. */
async function traces(program: Program, { mark }: FullProject, things: Things): Promise<string[]> {
  const found: string[] = []
  for (const [table, columns] of await schema(program)) {
    // People stay, and what several projects share.
    if (kindOf(table) in tablesOfNoProject) continue
    for (const column of columns) {
      const ids = things[column as keyof Things] ?? []
      if (ids.length === 0) continue
      const [row] = await program.rows<{ n: number }>(
        `select count(*) as n from "${table}" where "${column}" in (${ids.join(", ")})`,
      )
      if (Number(row?.n) > 0) found.push(`${table}.${column}: ${row?.n}`)
    }
    // The project that made it keeps the entry which says so; the job that removed it knows it by its id.
    if (table === "change") continue
    const texts = await program.rows<Record<string, unknown>>(`select * from "${table}"`)
    const named = texts.filter(row =>
      Object.values(row).some(value => {
        const text = value instanceof Uint8Array ? Buffer.from(value).toString() : String(value)
        return text.includes(mark)
      }),
    )
    if (named.length > 0) found.push(`${table}: ${named.length} rows with text of it`)
  }
  return found
}

interface Things {
  readonly project_id: readonly number[]
  readonly integration_id: readonly number[]
  readonly event_id: readonly number[]
  readonly attempt_id: readonly number[]
  readonly recovery_id: readonly number[]
}

async function thingsOf(program: Program, { id }: FullProject): Promise<Things> {
  const project = parseId("prj", id) ?? 0
  const ids = async (table: string) =>
    (await program.rows<{ id: number }>(`select id from ${table} where project_id = ?`, project)).map(row => row.id)
  return {
    project_id: [project],
    integration_id: await ids("integration"),
    event_id: await ids("event"),
    attempt_id: await ids("attempt"),
    recovery_id: await ids("recovery"),
  }
}

/** Rows of a project in each table that has a column for it. */
async function fullness(program: Program, project: number): Promise<Record<string, number>> {
  const found: Record<string, number> = {}
  for (const [table, columns] of await schema(program)) {
    if (!columns.includes("project_id")) continue
    const [row] = await program.rows<{ n: number }>(
      `select count(*) as n from "${table}" where project_id = ?`,
      project,
    )
    found[kindOf(table)] = (found[kindOf(table)] ?? 0) + Number(row?.n)
  }
  return found
}

async function removed(program: Program, token: unknown): Promise<Answer["body"]> {
  let last: Answer["body"] = {}
  await program.until("the project has gone", async () => {
    last = (await program.ask("GET", `/v1/removals/${token}`, undefined, { authorization: "" })).body
    return String(last.state) === "done"
  })
  return last
}

test("every table says whether it holds something of a project", async () => {
  await using program = await Program.open()
  const known = { ...tablesOfProjects, ...tablesOfNoProject }
  const tables = await schema(program)
  for (const [table, columns] of tables) {
    const name = kindOf(table)
    assert.ok(name in known, `${name} is in neither list of src/store/project-tables.ts: does it go with a project?`)
    const links = ["project_id", "integration_id", "recovery_id"].filter(column => columns.includes(column))
    assert.ok(
      links.length === 0 || name in tablesOfProjects,
      `${name} has ${links.join(", ")} and yet is said to hold nothing of a project`,
    )
  }
})

describe("a project that is removed", () => {
  test("leaves no row in any table, and its neighbour all of its own", async () => {
    await using good = await Endpoint.open()
    await using bad = await Endpoint.open({ status: 404 })
    await using program = await Program.open()
    const a = await fillProject(program, "canary-a", { good, bad })
    const b = await fillProject(program, "canary-b", { good, bad })
    await program.tallied()
    const [own, others] = [parseId("prj", a.id) ?? 0, parseId("prj", b.id) ?? 0]
    const before = await fullness(program, others)
    const empty = Object.entries(await fullness(program, own)).filter(([table, n]) => n === 0 && !(table in unfilled))
    assert.deepEqual(empty, [], "it has something in each of the tables")
    const things = await thingsOf(program, a)

    const begun = await a.call("DELETE", `/v1/projects/${a.id}`, { name: "canary-a shop" })
    assert.equal((await a.ask("GET", "/v1/projects")).status, 401)
    assert.equal((await a.ask("POST", "/v1/events", { type: "late" })).status, 401)
    assert.equal((await a.owner.ask("GET", "/v1/session")).status, 401)
    const done = await removed(program, begun.token)
    assert.deepEqual([done.project, done.removing], [a.id, null])
    const counts = done.removed as unknown as Record<string, number>
    assert.ok((counts["event"] ?? 0) >= 2 && (counts["attempt"] ?? 0) >= 2, JSON.stringify(counts))
    // What is told of the removal itself stays, and names the project by its id alone.
    const left = await traces(program, a, things)
    assert.deepEqual(left, [])
    const after = await fullness(program, others)
    // The index follows at a distance: what it has gathered is written when something is removed for good.
    assert.ok((after["search_entry"] ?? 0) >= (before["search_entry"] ?? 0))
    assert.deepEqual({ ...after, search_entry: 0 }, { ...before, search_entry: 0 })
    await b.call("POST", "/v1/events", { type: "still.there" })
    const dangling = await program.rows(
      "select 1 from search_entry s where not exists (select 1 from event e where e.id = s.event_id)",
    )
    assert.deepEqual(dangling, [])
  })

  test("is asked for by its name, and never without another one", async () => {
    await using program = await Program.open()
    const [only] = (await program.call("GET", "/v1/projects")).data as unknown as { id: string; name: string }[]
    assert.ok(only)
    const last = await program.ask("DELETE", `/v1/projects/${only.id}`, { name: only.name })
    assert.equal(last.status, 409)
    assert.match(String(last.body.detail), /only project/)
    const other = await program.call("POST", "/v1/projects", { name: "other" })
    const wrong = await program.ask("DELETE", `/v1/projects/${only.id}`, { name: "other" })
    assert.equal(wrong.status, 422)
    assert.match(wrong.text, /This project is called \\"default\\"/)
    const foreign = await program.ask("DELETE", `/v1/projects/${other.id}`, { name: "other" })
    assert.equal(foreign.status, 404)
    assert.equal((await program.ask("GET", "/v1/removals/nonsense")).status, 404)
  })

  test("is removed by its owner, and by no other person", async () => {
    await using good = await Endpoint.open()
    await using bad = await Endpoint.open({ status: 404 })
    await using program = await Program.open()
    const a = await fillProject(program, "canary-a", { good, bad })
    const admin = await join(a.owner, program, "admin@canary-a.example", "admin")
    const refused = await admin.ask("DELETE", `/v1/projects/${a.id}`, { name: "canary-a shop" })
    assert.deepEqual([refused.status, refused.body.detail], [403, "Only an owner removes a project."])
    const { token } = await a.owner.call("DELETE", `/v1/projects/${a.id}`, { name: "canary-a shop" })
    const stranger = new Browser(program)
    assert.equal((await stranger.signIn("owner@canary-a.example", "correct horse battery")).status, 401)
    await removed(program, token)
  })

  test("waits for what is on its way, and sends nothing more", async () => {
    const answer = Promise.withResolvers<void>()
    await using slow = await Endpoint.open({ after: answer.promise })
    await using program = await Program.open()
    const made = await program.call("POST", "/v1/projects", { name: "slow" })
    const as = { authorization: `Bearer ${made.key}` }
    const policy = { max_concurrent: 1 }
    const config = { production: { url: slow.url() }, verification: "none" }
    const integration = await program.ask("POST", "/v1/integrations", { name: "slow", config, policy }, as)
    assert.equal(integration.status, 201)
    for (let i = 0; i < 3; i++) await program.ask("POST", "/v1/events", { type: "a" }, as)
    await slow.received(1)
    const { body } = await program.ask("DELETE", `/v1/projects/${made.id}`, { name: "slow" }, as)
    await program.until("all but one has gone", async () => (await program.deliveries()).length === 1)
    assert.equal((await program.ask("GET", `/v1/removals/${body.token}`)).body.state, "removing")
    answer.resolve()
    await removed(program, body.token)
    assert.equal(slow.requests.length, 1)
    assert.deepEqual(await program.attempts(String(integration.body.id)), [])
  })
})

test("a removal goes on after a restart", async () => {
  await using good = await Endpoint.open()
  await using bad = await Endpoint.open({ status: 404 })
  await using program = await Program.open()
  const a = await fillProject(program, "canary-a", { good, bad })
  const things = await thingsOf(program, a)
  const { token } = await a.call("DELETE", `/v1/projects/${a.id}`, { name: "canary-a shop" })
  await program.restart()
  assert.equal((await a.ask("GET", "/v1/projects")).status, 401)
  await removed(program, token)
  assert.deepEqual(await traces(program, a, things), [])
})

/** Tables in which a full project need not have anything. */
const unfilled: Readonly<Record<string, string>> = {
  source: "has no behaviour yet",
  profile: "has no behaviour yet",
  setup: "the link was used",
  sealed_payload: "masked when its last delivery has ended",
}
