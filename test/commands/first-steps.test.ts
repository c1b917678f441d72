/** The three lines of a first start can be typed as they stand, in the shells of each system. */
import assert from "node:assert/strict"
import test from "node:test"
import { firstSteps } from "../../src/commands/first-steps.ts"

const steps = {
  url: "http://127.0.0.1:8080",
  key: "wb_live_abc",
  secret: "whsec_a+b/c=",
  port: 9000,
  command: "npm run waybill --",
}

test("on Unix they are a receiver in the background and two calls of curl", () => {
  const [listen, integration, event] = firstSteps({ ...steps, platform: "linux" })
  assert.equal(listen, "npm run waybill -- listen --port 9000 --secret whsec_a+b/c= &")
  assert.match(
    integration,
    /^curl -sS http:\/\/127\.0\.0\.1:8080\/v1\/integrations -H "Authorization: Bearer wb_live_abc" /,
  )
  assert.deepEqual(JSON.parse(/ -d '([^']+)'$/.exec(integration)?.[1] ?? ""), {
    name: "First receiver",
    config: { production: { url: "http://127.0.0.1:9000" }, verification: "none" },
    secret: "whsec_a+b/c=",
  })
  assert.match(event, /^curl -sS http:\/\/127\.0\.0\.1:8080\/v1\/events .* -d '\{"type":"order\.created",/)
})

test("on Windows, whose shells disagree on quotes, no line holds any", () => {
  const lines = firstSteps({ ...steps, platform: "win32" })
  for (const line of lines) assert.doesNotMatch(line, /["'&]/)
  assert.match(
    lines[1],
    /integrations create --name first --endpoint http:\/\/127\.0\.0\.1:9000 .*--url http:\/\/127\.0\.0\.1:8080/,
  )
})
