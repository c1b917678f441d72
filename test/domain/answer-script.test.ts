import assert from "node:assert/strict"
import { test } from "node:test"
import { parseScript, statusOfTurn } from "../../src/domain/answer-script.ts"

test("a script is statuses separated by commas, with or without spaces", () => {
  for (const text of ["500, 500, 200", "500,500,200", " 500 ,500 , 200 "]) {
    assert.deepEqual(parseScript(text), { kind: "statuses", statuses: [500, 500, 200] }, text)
  }
  assert.deepEqual(parseScript("599"), { kind: "statuses", statuses: [599] })
})

test("a script of anything but final statuses is refused with the part that is wrong", () => {
  const wrong: [text: string, part: string][] = [
    ["", '""'],
    ["500,,200", '""'],
    ["200, 199", '"199"'],
    ["103", '"103"'],
    ["600", '"600"'],
    ["2000", '"2000"'],
    ["200 500", '"200 500"'],
    ["timeout", '"timeout"'],
    ["x".repeat(100), `"${"x".repeat(20)}…"`],
  ]
  for (const [text, part] of wrong) {
    const reading = parseScript(text)
    assert.ok(reading.kind === "fault", text)
    assert.ok(reading.message.startsWith(`${part} is no status from 200 to 599`), reading.message)
  }
  const long = parseScript(Array(101).fill("200").join(","))
  assert.ok(long.kind === "fault")
  assert.match(long.message, /at most 100 answers, this one 101/)
})

test("answers are given in turn, and the last one stays", () => {
  const given = [1, 2, 3, 4, 1_000].map(turn => statusOfTurn([500, 503, 200], turn))
  assert.deepEqual(given, [500, 503, 200, 200, 200])
  assert.equal(statusOfTurn([], 1), undefined)
})
