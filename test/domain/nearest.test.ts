import assert from "node:assert/strict"
import { test } from "node:test"
import { nearest } from "../../src/domain/nearest.ts"

const fields = ["type", "data", "id", "occurred_at", "environment", "app", "profile_id", "device_id"]

const cases: readonly (readonly [name: string, meant: string | null])[] = [
  ["profileId", "profile_id"],
  ["profile-id", "profile_id"],
  ["occured_at", "occurred_at"],
  ["OCCURRED_AT", "occurred_at"],
  ["enviroment", "environment"],
  ["tpye", "type"],
  ["apps", "app"],
  ["date", "data"],
  ["customer", null],
  ["x", null],
  ["", null],
  ["é".repeat(5_000), null],
]

for (const [name, meant] of cases) {
  test(`${JSON.stringify(name.slice(0, 20))} means ${meant ?? "nothing known"}`, () => {
    assert.equal(nearest(name, fields), meant)
  })
}
