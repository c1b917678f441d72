import assert from "node:assert/strict"
import { readFileSync } from "node:fs"
import { test } from "node:test"
import { headOf } from "../scripts/sdk.ts"

test("the SDK's types were made from the API's document as it is now: else run npm run sdk", () => {
  const types = readFileSync("sdk/src/api.d.ts", "utf8")
  assert.equal(`${types.split("\n")[0]}\n`, headOf(readFileSync("docs/reference/openapi.json", "utf8")))
})
