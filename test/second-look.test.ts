import assert from "node:assert/strict"
import { test } from "node:test"
import { byFile, hasFailed, Report, type TestEvent } from "../scripts/second-look.ts"

/** What the runner says of a file with these tests, each of which passed or failed. */
function fileOf(file: string, tests: Readonly<Record<string, "pass" | "fail">>): TestEvent[] {
  const results = Object.entries(tests)
  const failed = results.filter(([, result]) => result === "fail").length
  const counts = { tests: results.length, passed: results.length - failed, failed, cancelled: 0, skipped: 0, todo: 0 }
  return [
    ...results.map(([name, result], index) => ({
      type: `test:${result}`,
      data: { nesting: 0, name, file, testNumber: index + 1, details: { type: "test" } },
    })),
    { type: "test:summary", data: { file, counts: { ...counts, suites: 0 } } },
  ]
}

/** What the runner says when all files are done. */
function endOf(counts: Readonly<Record<string, number>>): TestEvent[] {
  return [
    { type: "test:plan", data: { nesting: 0, count: 9 } },
    ...Object.entries(counts).map(([name, count]) => ({
      type: "test:diagnostic",
      data: { nesting: 0, message: `${name} ${count}` },
    })),
  ]
}

async function files(events: readonly TestEvent[]): Promise<(readonly TestEvent[])[]> {
  const found: (readonly TestEvent[])[] = []
  for await (const ofFile of byFile(
    (async function* () {
      yield* events
    })(),
  ))
    found.push(ofFile)
  return found
}

function messages(events: Iterable<TestEvent>): string[] {
  return [...events].map(
    ({ type, data }) => data.message ?? `${type} ${data.testNumber ?? ""} ${data.name ?? ""}`.trim(),
  )
}

test("what failed beside others and passes alone is counted once, and the report says that it ran twice", async t => {
  const said: string[] = []
  t.mock.method(console, "error", (line: string) => said.push(line))
  const report = new Report()
  const shown: TestEvent[] = []
  const first = [
    ...fileOf("a.test.ts", { one: "pass" }),
    ...fileOf("b.test.ts", { two: "pass", late: "fail" }),
    ...endOf({ tests: 3, pass: 2, fail: 1, cancelled: 0 }),
  ]
  for (const ofFile of await files(first)) {
    if (hasFailed(ofFile)) report.withhold(ofFile)
    else shown.push(...report.of(ofFile))
  }
  const alone = [...fileOf("b.test.ts", { two: "pass", late: "pass" }), ...endOf({ tests: 2, pass: 2, fail: 0 })]
  for (const ofFile of await files(alone)) shown.push(...report.of(ofFile, "postgres"))
  assert.equal(report.hasFailed, false)
  assert.deepEqual(messages(shown.filter(event => event.type === "test:pass")), [
    "test:pass 1 one",
    "test:pass 2 two (on PostgreSQL)",
    "test:pass 3 late (on PostgreSQL)",
  ])
  const end = messages(report.end())
  for (const line of ["files that failed beside others and ran again alone: 1", "tests 3", "pass 3", "fail 0"])
    assert.ok(end.includes(line), `${line}: ${end}`)
  assert.match(said.join("\n"), /Failed beside others, and runs again alone at the end: b\.test\.ts: late/)
})

test("what fails alone too has failed", async () => {
  const report = new Report()
  const events = [...fileOf("b.test.ts", { late: "fail" }), ...endOf({ tests: 1, pass: 0, fail: 1 })]
  for (const ofFile of await files(events)) assert.ok([...report.of(ofFile)])
  assert.equal(report.hasFailed, true)
  assert.ok(messages(report.end()).includes("fail 1"))
})

test("a file whose process ended too soon is taken back as the one test that the runner counts", async t => {
  t.mock.method(console, "error", () => undefined)
  const report = new Report()
  const crashed: TestEvent = { type: "test:fail", data: { nesting: 0, name: "c.test.ts", file: "c.test.ts" } }
  report.withhold([crashed])
  for (const ofFile of await files(endOf({ tests: 1, pass: 0, fail: 1 }))) assert.deepEqual([...report.of(ofFile)], [])
  assert.deepEqual(
    messages(report.end()).filter(line => /^(tests|fail) /.test(line)),
    ["tests 0", "fail 0"],
  )
})
