/** The table of verdicts is whole, and its sentences stand. */
import assert from "node:assert/strict"
import { describe, test } from "node:test"
import { diagnose } from "../../src/domain/diagnosis.ts"
import type { Picture } from "../../src/domain/picture.ts"
import { reasonCodes } from "../../src/domain/reason.ts"
import { fill, namesIn } from "../../src/domain/sentence.ts"
import { verdictCodes, verdictTable } from "../../src/domain/verdict-table.ts"
import { hoursWith, pictureOf, steady, times, tried } from "../help/picture.ts"

describe("the table of verdicts", () => {
  test("has a row for each, and its sentences stand without facts", () => {
    assert.deepEqual(Object.keys(verdictTable).sort(), [...verdictCodes].sort())
    for (const code of verdictCodes) {
      const { variants = {}, ...row } = verdictTable[code]
      for (const wording of [row, ...Object.values(variants)]) {
        for (const template of [wording.title, wording.what, wording.causes, wording.advice]) {
          const bare = fill(template ?? "", {})
          assert.doesNotMatch(bare, /\s{2}|\s[.,;:]|[{}[\]|]|^\s|\s$/, `${code}: ${bare}`)
        }
      }
    }
  })

  test("every fact that a sentence of a verdict needs is among its evidence", () => {
    const shown: Picture[] = [
      pictureOf({ attempts: tried(...times(20, "server_error 503")), hours: hoursWith(steady()) }),
      pictureOf({ attempts: tried(...times(3, "rejected 401"), "ok") }),
      pictureOf({ integration: { paused: true }, waiting: { total: 5 } }),
    ]
    for (const picture of shown) {
      const { verdict } = diagnose(picture)
      const row = verdictTable[verdict.code]
      const missing = namesIn(row.what).filter(name => !(name in verdict.facts))
      assert.deepEqual(missing, [], verdict.code)
      for (const text of [verdict.title, verdict.what, verdict.causes, verdict.advice])
        assert.doesNotMatch(text, /[{}[\]|]/)
    }
    assert.ok(reasonCodes.length > 0)
  })
})
